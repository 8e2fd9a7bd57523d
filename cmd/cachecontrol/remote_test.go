package main

import (
	"strings"
	"testing"
)

func TestRemoteStores(t *testing.T) {
	for _, test := range []struct {
		value, shown, problem string
	}{
		{"redis://localhost:6379", "redis://localhost:6379", ""},
		{"redis://user:secret@localhost:6379/2?prefix=web:", "redis://localhost:6379/2?prefix=web:", ""},
		{"rediss://localhost?skip_verify=true", "rediss://localhost?skip_verify=true", ""},
		{"redis://a:1?cluster=true&addr=b:2", "redis://a:1?cluster=true&addr=b:2", ""},
		{"redis://a:1?master_name=main&addr=b:2", "redis://a:1?master_name=main&addr=b:2", ""},
		{"memcached://localhost", "memcached://localhost", ""},
		{"memcached://a:1,b:2,[::1]:3/?prefix=p&max_item=8M", "memcached://a:1,b:2,[::1]:3/?prefix=p&max_item=8M", ""},

		{"redis:localhost", "", "host is missing"},
		{"redis://", "", "host is missing"},
		{"redis://localhost?no_such=1", "", "no_such"},
		{"redis://localhost?cluster=maybe", "", "true or false"},
		{"redis://localhost/text", "", "invalid"},
		{"redis://:secret@ho st", "", "does not parse"},
		{"memcached://", "", "host is missing"},
		{"memcached://a,,b", "", "host is missing"},
		{"memcached:a", "", "it must be redis"},
		{"memcached://a/b", "", "neither a path"},
		{"memcached://user@a", "", "neither a path"},
		{"memcached://a?max_item=none", "", "max_item"},
		{"memcached://a?no_such=1", "", "no_such"},
	} {
		var s storeFlag
		err := s.parse(test.value)
		switch {
		case test.problem == "" && err != nil:
			t.Errorf("%s: %v", test.value, err)
		case test.problem == "":
			if got := s.String(); got != test.shown {
				t.Errorf("%s is shown as %s, want %s", test.value, got, test.shown)
			}
		case err == nil || !strings.Contains(err.Error(), test.problem):
			t.Errorf("%s: error %v, want one with %q", test.value, err, test.problem)
		case strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows the password: %v", test.value, err)
		}
	}
}

func TestNearNeedsAStore(t *testing.T) {
	code, _, stderr := call(t, "proxy", "--upstream", "http://127.0.0.1:1", "--near", "1M")
	if code != exitUsage || !strings.Contains(stderr, "--near") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestUnknownServerIsAnError(t *testing.T) {
	code, _, stderr := call(t, "proxy", "--upstream", "http://127.0.0.1:1", "--store", "memcached://127.0.0.1:no-such-port")
	if code != exitFailed || !strings.Contains(stderr, "cannot open the store") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// FuzzRemote checks that no message about the URL of a store shows its password.
func FuzzRemote(f *testing.F) {
	f.Add("redis://user:", "@localhost:6379/2?prefix=web:")
	f.Add("redis://a:1?master_name=main&password=", "&addr=b:2")
	f.Add("rediss://:", "@ho st")
	f.Add("memcached://user:", "@a?max_item=8M")
	f.Add("redis://localhost?password=", "%zz")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "s3cr3t"
		if strings.Contains(before+after, "3cr3") || !strings.HasSuffix(before, ":") && !strings.HasSuffix(before, "&password=") {
			return
		}
		text := before + secret + after
		remote, err := parseRemote(text)
		switch {
		case err != nil && strings.HasPrefix(text, "redis") && strings.HasPrefix(after, "@") && strings.Contains(err.Error(), secret):
			t.Errorf("parseRemote(%q) = %v", text, err)
		case err == nil && remote.connect == nil:
			t.Errorf("parseRemote(%q) returns neither a store nor an error", text)
		}
	})
}
