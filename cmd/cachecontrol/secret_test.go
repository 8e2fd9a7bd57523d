package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestHideSecret(t *testing.T) {
	for _, test := range []struct{ text, secret, want string }{
		{"wrong password secret", "secret", "wrong password xxxxx"},
		{"secretsecret", "secret", "xxxxxxxxxx"},
		{"nothing", "", "nothing"},
		{`invalid password "ab", user ab`, "ab", `invalid password "xxxxx", user xxxxx`},
		{"ab", "ab", "xxxxx"},
		{"about grab abab ab2 éab", "ab", "about grab abab ab2 éab"},
		{"ab,ab ab.", "ab", "xxxxx,xxxxx xxxxx."},
		{"a-b -", "-", "a-b xxxxx"},
		{"a", "abc", "a"},
	} {
		if got := hideSecret(test.text, test.secret); got != test.want {
			t.Errorf("hideSecret(%q, %q) = %q, want %q", test.text, test.secret, got, test.want)
		}
	}
}

// The password of a store is not in messages, even if it is short.
func TestStorePasswordIsHidden(t *testing.T) {
	for _, password := range []string{"x", "pw", "abc", "secret", `a"b`} {
		t.Setenv(passwordVariable, password)
		remote, err := parseRemote("redis://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		var stderr buffer
		e := &env{stderr: &stderr}
		if err := remote.readPasswords(e); err != nil {
			t.Fatal(err)
		}
		e.report("the server refused the password '" + password + "', user default")
		if got, want := stderr.String(), "the server refused the password '"+hiddenSecret+"', user default\n"; got != want {
			t.Errorf("password %q: stderr %q, want %q", password, got, want)
		}
		if strings.Contains(e.hide("connection refused"), hiddenSecret) {
			t.Errorf("password %q hides a word of which it is a part", password)
		}
	}
}

// TestMessagesHoldNoUserinfo covers messages about arguments that contain a user and a password: those of the commands,
// of package flag, and of parsers, which quote their input.
func TestMessagesHoldNoUserinfo(t *testing.T) {
	dir := newFilled(t, false).dir
	for _, args := range [][]string{
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:s3cret@127.0.0.1:notaport/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store=redis://alice:s3cret@h:1/0?nonsense=1"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:s3cret@/%zz"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "memcached://alice:s3cret@h"},
		{"proxy", "--upstream", "http://alice:s3cret@h:1/"},
		{"proxy", "--upstream", "http://alice:s3cret@h:bad/"},
		{"proxy", "http://alice:s3cret@h/"},
		{"get", "http://alice:s3cret@h:bad/x"},
		{"get", "-f", "http://alice:s3cret@127.0.0.1:1/x"},
		{"explain", "http://alice:s3cret@127.0.0.1:1/x"},
		{"rm", dir, "http://alice:s3cret@h/x"},
		{"rm", dir, "http://alice:s3cret/x@h:bad/x%zz"},
		{"show", dir, "http://alice:s3cret@h/x"},
		{"show", dir, "http://alice:s3cret@h:bad/x%zz"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:1/s3cret@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:s3cret?x@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice:%s3cret@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", `redis://alice:"s3cret@h/0`},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://alice: s3cret@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis:alice:s3cret@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "Redis:alice:s3cret@h/0"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://h:x?master_name=m&username=alice&password=s3cret"},
		{"proxy", "--upstream", "http://127.0.0.1:1", "--store", "redis://h?master_name=m&username=alice&password=s3cret&db=x"},
		{"proxy", "--upstream", "alice:s3cret@h:1"},
		{"proxy", "--upstream", "alice:s3/s3cret@h:1"},
		{"get", "alice:s3cret@h/x"},
		{"get", "alice:s3/s3cret@h/x"},
		{"get", "http://alice:s3cret @h/x"},
		{"get", "-H", "Authorization Basic s3cret", "http://127.0.0.1:1/"},
		{"get", "--store", "redis:alice:s3cret@h", "http://127.0.0.1:1/"},
		{"explain", "alice:s3cret@h/x"},
		{"ls", "redis://alice:s3cret@h"},
		{"verify", "redis://alice:s3cret@h"},
		{"prune", "--max-age", "1d", "redis://alice:s3cret@h"},
		{"stats", dir, "http://alice:s3cret@h/x"},
		{"rm", "--json", dir, "http://alice:s3cret@h/x"},
		{"rm", "--hash", "--json", dir, "http://alice:s3cret@h/x"},
		{"show", "--json", dir, "http://alice:s3cret@h/x"},
		{"show", dir, "alice:s3cret@h/x"},
		{"http://alice:s3cret@h/x"},
		{"help", "http://alice:s3cret@h/x"},
		{"get", "---store=redis://alice:s3cret@h"},
		{"get", "--stroe=redis://alice:s3cret@h", "http://127.0.0.1:1/"},
	} {
		code, stdout, stderr := call(t, args...)
		if said := stdout + stderr; code == exitOK || strings.Contains(said, "s3cret") || strings.Contains(said, "alice") {
			t.Errorf("%q: exit code %d, and it says %q", args, code, said)
		}
	}
}

// TestStoreEchoesPassword covers a server that does not know a command and quotes its arguments, the password among
// them. The password comes from each place that may have one.
func TestStoreEchoesPassword(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	defer origin.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\"word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ store, variable, value string }{
		"in the URL":         {`redis://alice:s3cret%22word@`, "", ""},
		"in the environment": {"redis://alice@", passwordVariable, `s3cret"word`},
		"in a file":          {"redis://", passwordVariable + fileSuffix, file},
	} {
		t.Run(name, func(t *testing.T) {
			server := startEcho(t)
			if test.variable != "" {
				t.Setenv(test.variable, test.value)
			}
			code, stdout, stderr := call(t, "get", "-v", "--store", test.store+server.addr, origin.URL)
			if code != exitOK || strings.Contains(stdout+stderr, "s3cret") || !strings.Contains(stderr, "store failed") {
				t.Errorf("exit code %d, and it says %q", code, stdout+stderr)
			}
			if got := server.String(); !strings.Contains(got, `s3cret"word`+"\r\n") {
				t.Errorf("the server got %q, want the password in it", got)
			}
		})
	}
}

// echo is a server that responds to everything with an error that quotes its input.
type echo struct {
	buffer
	addr string
}

func startEcho(t *testing.T) *echo {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: listener.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				var got [4096]byte
				for {
					n, err := conn.Read(got[:])
					if err != nil {
						return
					}
					e.Write(got[:n])
					if _, err := fmt.Fprintf(conn, "-ERR unknown command, with args beginning with: %s\r\n", strings.ReplaceAll(string(got[:n]), "\r\n", " ")); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return e
}

func TestPasswordsOfStores(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, value, file, want string
	}{
		{"both", "x", empty, "are both set"},
		{"no such file", "", filepath.Join(dir, "none"), "cannot read a password from"},
		{"an empty file", "", empty, "it is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(passwordVariable, test.value)
			t.Setenv(passwordVariable+fileSuffix, test.file)
			code, _, stderr := call(t, "get", "--store", "redis://127.0.0.1:1", "http://127.0.0.1:1/")
			if code == exitOK || !strings.Contains(stderr, test.want) {
				t.Errorf("exit code %d, message %q, want %q in it", code, stderr, test.want)
			}
		})
	}
	t.Run("of Sentinels", func(t *testing.T) {
		t.Setenv(sentinelVariable, "theirs")
		t.Setenv(passwordVariable, "its own")
		var s storeFlag
		if err := s.parse("redis://127.0.0.1:1?master_name=main"); err != nil {
			t.Fatal(err)
		}
		if err := s.remote.readPasswords(new(env)); err != nil {
			t.Fatal(err)
		}
		if got, sentinels := *s.remote.passwords[0].value, *s.remote.passwords[1].value; got != "its own" || sentinels != "theirs" {
			t.Errorf("passwords are %q and %q, want %q and %q", got, sentinels, "its own", "theirs")
		}
	})
}
