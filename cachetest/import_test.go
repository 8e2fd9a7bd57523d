package cachetest_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// received returns a response to a request.
func received(method, url, sent string, status int, body string, fields ...string) *http.Response {
	req, err := http.NewRequest(method, url, strings.NewReader(sent))
	if err != nil {
		panic(err)
	}
	return respond(req, status, body, fields...)
}

func TestImport(t *testing.T) {
	dir := recordings(t)
	login := received("POST", "https://example.com/login", `{"password":"correct-horse-battery"}`, 200, `{"token":"sesame0123456789"}`, "Content-Type: application/json")
	use := received("GET", "https://example.com/me?t=sesame0123456789", "", 200, "octocat")
	compressed := received("GET", "https://example.com/text", "", 200, "plain")
	compressed.Uncompressed, compressed.ContentLength = true, -1
	responses := []*http.Response{
		login, use, compressed,
		received("GET", "https://example.com/job", "", 202, "waiting"),
		received("GET", "https://example.com/job", "", 200, "done"),
		received("GET", "https://example.com/job", "", 200, "done"),
		received("HEAD", "https://example.com/file", "", 200, "", "Content-Length: 99"),
	}
	if err := cachetest.Import(filepath.Join(dir, "TestX"), responses); err != nil {
		t.Fatal(err)
	}
	all := files(t, dir)
	if len(all) != len(responses) {
		t.Errorf("%d files, want %d", len(all), len(responses))
	}
	for name, data := range all {
		if strings.Contains(name+data, "sesame") || strings.Contains(data, "correct-horse") {
			t.Errorf("%s holds a secret:\n%s", name, data)
		}
	}
	passes(t, "TestX", func(tb testing.TB) {
		client := cachetest.Client(tb, dir, cachetest.Once(), cachetest.RequireAll(), cachetest.Base(down))
		for _, test := range []struct{ method, url, body, want string }{
			{"GET", "https://example.com/job", "", "waiting"},
			{"GET", "https://example.com/job", "", "done"},
			{"GET", "https://example.com/job", "", "done"},
			{"GET", "https://example.com/me?t=another0123456789", "", "octocat"},
			{"GET", "https://example.com/text", "", "plain"},
			{"POST", "https://example.com/login", `{"password": "other"}`, `{"token":"REDACTED"}`},
			{"HEAD", "https://example.com/file", "", ""},
		} {
			if got := send(client, test.method, test.url, test.body); got != test.want {
				tb.Errorf("%s %s: got %q, want %q", test.method, test.url, got, test.want)
			}
		}
	})
	if err := cachetest.Import(filepath.Join(dir, "TestX"), responses); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v, want fs.ErrExist", err)
	}
}

// TestImportRefuses checks that nothing is written if one of the responses cannot be recorded.
func TestImportRefuses(t *testing.T) {
	dir := recordings(t)
	broken := received("GET", "https://example.com/broken", "", 200, "")
	broken.Body = io.NopCloser(iotest.ErrReader(errors.New("broken off")))
	unsent := received("POST", "https://example.com/unsent", "", 200, "")
	unsent.Request.Body = io.NopCloser(iotest.ErrReader(errors.New("not sent")))
	without := received("GET", "https://example.com/", "", 200, "")
	without.Request = nil
	for _, test := range []struct {
		name, want string
		resp       *http.Response
	}{
		{"a body that breaks off", "broken off", broken},
		{"the body of a request", "response 2: not sent", unsent},
		{"no request", "response 2: it has no Request", without},
		{"no response", "response 2: it has no Request", nil},
		{"another protocol", "no longer HTTP", received("GET", "https://example.com/", "", 101, "")},
		{"no status", "cannot be recorded", received("GET", "https://example.com/", "", 0, "")},
		{"a negative status", "cannot be recorded", received("GET", "https://example.com/", "", -1, "")},
		{"a name with a space", "cannot be recorded", received("GET", "https://example.com/", "", 200, "", "a b: c")},
	} {
		var closed [2]bool
		good := func(i int) *http.Response {
			resp := received("GET", "https://example.com/good", "", 200, "good")
			resp.Body = closeFunc{resp.Body, func() { closed[i] = true }}
			return resp
		}
		err := cachetest.Import(dir, []*http.Response{good(0), test.resp, good(1)})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "cachetest: ") {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if n := len(files(t, dir)); n > 0 {
			t.Errorf("%s: %d files were written, want none", test.name, n)
		}
		if closed != [2]bool{true, true} {
			t.Errorf("%s: the bodies of the others are closed: %v, want both", test.name, closed)
		}
	}
}

// closeFunc is a body that calls a function when it is closed.
type closeFunc struct {
	io.Reader
	closed func()
}

func (c closeFunc) Close() error {
	c.closed()
	return nil
}
