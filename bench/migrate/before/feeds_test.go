package feeds

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// site is a web site with feeds.
type site struct {
	version   int
	down      bool
	answered  int // with a body
	confirmed int // with 304
}

func (s *site) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.down {
		return nil, errors.New("the site is down")
	}
	h := http.Header{}
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	etag := fmt.Sprintf(`"%d"`, s.version)
	h.Set("Etag", etag)
	switch req.URL.Path {
	case "/hourly":
		h.Set("Cache-Control", "max-age=3600")
	case "/always":
		h.Set("Cache-Control", "max-age=0")
	case "/robust":
		h.Set("Cache-Control", "max-age=0, stale-if-error=3600")
	case "/secret":
		h.Set("Cache-Control", "no-store")
	}
	resp := &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
	}
	body := fmt.Sprintf("%s, version %d", req.URL.Path, s.version)
	if req.Header.Get("If-None-Match") == etag {
		s.confirmed++
		resp.Status, resp.StatusCode, body = "304 Not Modified", http.StatusNotModified, ""
	} else {
		s.answered++
	}
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

func TestReader(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, base http.RoundTripper) (*Reader, error){
		"in memory":  func(_ *testing.T, base http.RoundTripper) (*Reader, error) { return InMemory(base) },
		"on disk":    func(t *testing.T, base http.RoundTripper) (*Reader, error) { return OnDisk(t.TempDir(), base) },
		"in a table": func(_ *testing.T, base http.RoundTripper) (*Reader, error) { return InTable(base) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{version: 1}
			r, err := open(t, s)
			if err != nil {
				t.Fatal(err)
			}
			read := func(path, want string, wantCached bool) {
				t.Helper()
				feed, cached, err := r.Read("http://feeds.example.com" + path)
				if err != nil || feed != want || cached != wantCached {
					t.Errorf("Read(%s) = %q, %v, %v; want %q, %v", path, feed, cached, err, want, wantCached)
				}
			}
			peek := func(path, want string) {
				t.Helper()
				feed, ok, err := r.Peek("http://feeds.example.com" + path)
				if err != nil || feed != want || ok != (want != "") {
					t.Errorf("Peek(%s) = %q, %v, %v; want %q", path, feed, ok, err, want)
				}
			}

			peek("/hourly", "")
			read("/hourly", "/hourly, version 1", false)
			read("/hourly", "/hourly, version 1", true)
			peek("/hourly", "/hourly, version 1")

			read("/always", "/always, version 1", false)
			read("/always", "/always, version 1", true) // confirmed
			if s.confirmed != 1 {
				t.Errorf("%d confirmed, want 1", s.confirmed)
			}
			s.version = 2
			read("/always", "/always, version 2", false)
			read("/hourly", "/hourly, version 1", true)
			peek("/always", "/always, version 2")

			read("/secret", "/secret, version 2", false)
			read("/secret", "/secret, version 2", false)
			peek("/secret", "")

			read("/robust", "/robust, version 2", false)
			s.down = true
			read("/robust", "/robust, version 2", true)
			if _, _, err := r.Read("http://feeds.example.com/other"); err == nil {
				t.Error("a site that is down is no error")
			}
			s.down = false

			if err := r.Forget("http://feeds.example.com/hourly"); err != nil {
				t.Fatal(err)
			}
			peek("/hourly", "")
			read("/hourly", "/hourly, version 2", false)
		})
	}
}

func TestDiskOutlivesReader(t *testing.T) {
	dir, s := t.TempDir(), &site{version: 1}
	for i := range 2 {
		r, err := OnDisk(dir, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, cached, err := r.Read("http://feeds.example.com/hourly"); err != nil || cached != (i == 1) {
			t.Errorf("run %d: cached %v, %v", i, cached, err)
		}
	}
}
