package origin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// Whatever a handler does with its writer works under all middleware, as it does without.
func TestMiddlewareIsTransparent(t *testing.T) {
	v := func(*http.Request) (origin.Validators, error) { return origin.Validators{ETag: `"1"`}, nil }
	for name, m := range map[string]middleware{
		"CacheFor": origin.CacheFor(time.Hour), "CacheControl": origin.CacheControl("public"), "NoStore": origin.NoStore(), "Vary": origin.Vary("A"),
		"Validate": origin.Validate(v), "AutoETag": origin.AutoETag(),
	} {
		t.Run(name, func(t *testing.T) {
			h := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/panic":
					panic(http.ErrAbortHandler)
				case "/hints":
					w.WriteHeader(103)
					io.WriteString(w, "x")
				case "/flush":
					io.WriteString(w, "a")
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					<-r.Context().Done() // the client has the first part, or this never ends
				case "/upgrade":
					conn, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						http.Error(w, "no", http.StatusNotImplemented)
						return
					}
					io.WriteString(conn, "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
					conn.Close()
					w.Write([]byte("after"))
				}
			}))
			protocols(t, h, func(t *testing.T, s *server) {
				if g := s.do("/nothing"); g.StatusCode != 200 || g.body != "" || g.err != nil {
					t.Errorf("nothing: got %d %q, %v, want 200 without a body", g.StatusCode, g.body, g.err)
				}
				if g := s.do("/upgrade"); s.EnableHTTP2 && g.StatusCode != 501 {
					t.Errorf("upgrade over HTTP/2: got %d, %v, want 501", g.StatusCode, g.err)
				}
				if g := s.do("/panic"); g.err == nil {
					t.Errorf("panic: got %d with %v, want an error", g.StatusCode, g.Header)
				}
				if g := s.traced("/hints"); len(g.hints) != 1 || g.body != "x" {
					t.Errorf("hints: got %v and %q, want one and %q", g.hints, g.body, "x")
				}
				resp, err := s.client.Get(s.URL + "/flush")
				if err != nil {
					t.Fatal(err)
				}
				var b [1]byte
				if _, err := io.ReadFull(resp.Body, b[:]); err != nil || b[0] != 'a' {
					t.Errorf("flush: read %q, %v, want %q", b, err, "a")
				}
				resp.Body.Close()
			})
			s := serve(t, h, false)
			if out := s.raw("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"); !strings.HasSuffix(out, "hello") {
				t.Errorf("upgrade: got %q, want it to end in %q", out, "hello")
			}
		})
	}
}

// A handler that copies what cannot be read can still answer with an error, and nothing about caching is said of that. One that
// copies nothing can still say its status. Where a first byte was written it is too late, as without middleware.
func TestCopyFails(t *testing.T) {
	v := func(*http.Request) (origin.Validators, error) { return origin.Validators{ETag: `"1"`}, nil }
	none := func(h http.Handler) http.Handler { return h }
	long := strings.Repeat("x", 600)
	for name, m := range map[string]middleware{
		"none": none, "CacheFor": origin.CacheFor(time.Hour), "Validate": origin.Validate(v), "AutoETag": origin.AutoETag(),
		"all": func(h http.Handler) http.Handler {
			return origin.CacheFor(time.Hour)(origin.AutoETag(origin.MaxBuffer(10))(h))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body io.Reader = strings.NewReader(r.URL.Query().Get("body"))
				if r.URL.Path == "/fails" {
					body = io.MultiReader(body, iotest.ErrReader(errors.New("away")))
				}
				if n, err := io.Copy(w, body); err != nil || n == 0 {
					http.Error(w, "no body", http.StatusBadGateway)
				}
			}))
			protocols(t, h, func(t *testing.T, s *server) {
				for _, path := range []string{"/fails", "/empty"} {
					g := s.do(path)
					want(t, g.StatusCode, 502, g.Header, "Cache-Control:", "Expires:", "ETag:")
					if g.body != "no body\n" {
						t.Errorf("%s: body = %q, want %q", path, g.body, "no body\n")
					}
				}
				if g := s.do("/works?body=x"); g.ContentLength != 1 || g.body != "x" {
					t.Errorf("got %q with Content-Length %d, want %q with 1", g.body, g.ContentLength, "x")
				}
				for _, body := range []string{"x", long} {
					g := s.do("/fails?body=" + body)
					want(t, g.StatusCode, 200, g.Header)
					if g.body != body+"no body\n" {
						t.Errorf("got %d bytes, want %d", len(g.body), len(body)+8)
					}
				}
			})
		})
	}
}

// readerFrom counts what net/http could send with sendfile.
type readerFrom struct {
	http.ResponseWriter
	n    int64
	file bool
}

func (w *readerFrom) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		_, w.file = l.R.(*os.File)
	}
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	w.n += n
	return n, err
}

// A file of 1 GiB reaches net/http as a file, through CacheFor and Files, so that it is sent with sendfile.
func TestSendfile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(1 << 30)
	if testing.Short() {
		size = 1 << 24
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	last := make(chan *readerFrom, 1)
	inner := origin.CacheFor(time.Hour)(origin.Vary("A")(origin.Files(os.DirFS(dir))))
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rf := &readerFrom{ResponseWriter: w}
		inner.ServeHTTP(rf, r)
		last <- rf
	}), false)
	resp, err := s.client.Get(s.URL + "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if rf := <-last; n != size || err != nil || rf.n != size || !rf.file {
		t.Errorf("got %d bytes, %v, ReadFrom copied %d, of a file: %v, want %d, all by ReadFrom of a file", n, err, rf.n, rf.file, size)
	}
	want(t, resp.StatusCode, 200, resp.Header, "Cache-Control: max-age=3600")
}

// A handler may write field names in any form into its header, and net/http sends them so. They count as their canonical form does.
func TestHandlerNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name string
		set  http.Header
		want string // the bodies of two answers, the second to a request with X-A
	}{
		{"no-store", http.Header{"cache-control": {"no-store"}}, "#1 #2"},
		{"no-store in two names", http.Header{"Cache-Control": {"max-age=60"}, "cache-control": {"no-store"}}, "#1 #2"},
		{"private", http.Header{"CACHE-CONTROL": {"private, max-age=60"}}, "#1 #2"},
		{"max-age", http.Header{"cache-control": {"max-age=60"}}, "#1 #1"},
		{"vary", http.Header{"Cache-Control": {"max-age=60"}, "vary": {"X-A"}}, "#1 #2"},
		{"set-cookie", http.Header{"Cache-Control": {"max-age=60"}, "SET-COOKIE": {"session=alice"}}, "#1 #2"},
		{"cors", http.Header{"Cache-Control": {"max-age=60"}, "access-control-allow-origin": {"https://a"}}, "#1 #2"},
	} {
		for _, http2 := range []bool{false, true} {
			var n atomic.Int64
			s := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, lines := range test.set {
					w.Header()[name] = lines
				}
				fmt.Fprintf(w, "#%d", n.Add(1))
			})), http2)
			first := s.do("/", "Origin: https://b")
			second := s.do("/", "X-A: a", "Origin: https://c")
			if got := first.body + " " + second.body; got != test.want {
				t.Errorf("%s, HTTP/2 %v: bodies = %q, want %q", test.name, http2, got, test.want)
			}
		}
	}
}

// The middleware that adds fields recognizes existing fields whatever the case of their names is.
func TestMiddlewareNamesNotCanonical(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["cache-control"] = []string{"no-store"}
		w.Header()["etag"] = []string{`"mine"`}
	})
	for name, test := range map[string]struct {
		h    http.Handler
		want string // Cache-Control
	}{
		"AutoETag": {origin.AutoETag()(h), "no-store"},
		"NoStore":  {origin.NoStore()(h), "no-store"},
	} {
		w := httptest.NewRecorder()
		test.h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		header := w.Result().Header
		var got []string // in any case of the name
		for name, lines := range header {
			if strings.EqualFold(name, "Cache-Control") {
				got = append(got, lines...)
			}
		}
		if len(got) != 1 || got[0] != test.want || header.Get("Cache-Control") != test.want {
			t.Errorf("%s: Cache-Control = %q, want %q alone", name, got, test.want)
		}
		if name == "AutoETag" && header.Get("Etag") != `"mine"` {
			t.Errorf("AutoETag: ETag = %q, want %q", header["Etag"], `"mine"`)
		}
	}
}
