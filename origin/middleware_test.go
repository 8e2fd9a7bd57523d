package origin_test

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// answer is a handler that sets fields and answers with a status and a body.
func answer(status int, body string, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ":")
			w.Header().Add(name, strings.TrimSpace(value))
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		if body != "" {
			io.WriteString(w, body)
		}
	})
}

type middleware = func(http.Handler) http.Handler

// What Flask-CacheControl's and pesto's decorators do, and where they apply.
func TestCacheFields200(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	tests := []struct {
		name string
		m    middleware
		h    http.Handler
		code int
		want []string
	}{
		{"cache_for", origin.CacheFor(time.Hour), answer(0, "x"), 200, []string{"Cache-Control: max-age=3600", "Expires: Sat, 01 Jan 2000 01:00:00 GMT"}},
		{"cache_for, nothing written", origin.CacheFor(time.Hour), nothing, 200, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, an error", origin.CacheFor(time.Hour), answer(500, "x"), 500, []string{"Cache-Control:", "Expires:"}},
		{"cache_for, a redirect", origin.CacheFor(time.Hour), answer(302, ""), 302, []string{"Cache-Control:", "Expires:"}},
		{"cache_for, 304", origin.CacheFor(time.Hour), answer(304, ""), 304, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, redirects too", origin.CacheFor(time.Hour, origin.SuccessOrRedirect), answer(302, ""), 302, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, always", origin.CacheFor(time.Hour, origin.Always), answer(500, ""), 500, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, by choice", origin.CacheFor(time.Hour, func(s int) bool { return s == 404 }), answer(404, ""), 404, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, below 0", origin.CacheFor(-time.Hour), answer(0, "x"), 200, []string{"Cache-Control: max-age=0", "Expires: Sat, 01 Jan 2000 00:00:00 GMT"}},
		{"cache_for, for ever", origin.CacheFor(1<<63 - 1), answer(0, "x"), 200, []string{"Cache-Control: max-age=2147483648"}},
		{"cache_for over the handler's", origin.CacheFor(time.Hour), answer(0, "x", "Cache-Control: max-age=5, no-transform", "Expires: 0"), 200,
			[]string{"Cache-Control: no-transform, max-age=3600", "Expires: Sat, 01 Jan 2000 01:00:00 GMT"}},
		{"cache_for does not undo no-store", origin.CacheFor(time.Hour), answer(0, "x", "Cache-Control: no-store"), 200, []string{"Cache-Control: no-store, max-age=3600"}},
		{"cache(max_age=, public=)", origin.CacheControl("max-age=60, public"), answer(0, "x"), 200,
			[]string{"Cache-Control: max-age=60, public", "Expires:"}},
		{"every directive", origin.CacheControl("private, s-maxage=1, stale-if-error=0, stale-while-revalidate=60, no-cache, must-revalidate, immutable"), answer(0, "x"), 200,
			[]string{"Cache-Control: private, s-maxage=1, stale-if-error=0, stale-while-revalidate=60, no-cache, must-revalidate, immutable"}},
		{"later wins", origin.CacheControl("max-age=0, public, max-age=3600, private"), answer(0, "x"), 200,
			[]string{"Cache-Control: max-age=3600, private"}},
		{"private with a field", origin.CacheControl(`public, max-age=60, private="Set-Cookie"`), answer(0, "x"), 200,
			[]string{`Cache-Control: max-age=60, private="Set-Cookie"`}},
		{"over the handler's, on two lines", origin.CacheControl("public"), answer(0, "x", `Cache-Control: ext="a, b", Private`, "Cache-Control: no-cache"), 200,
			[]string{`Cache-Control: ext="a, b", no-cache, public`}},
		{"nothing to say", origin.CacheControl(""), answer(0, "x"), 200, []string{"Cache-Control:"}},
		{"dont_cache", origin.NoStore(), answer(0, "x"), 200, []string{"Cache-Control: no-store", "Expires:", "Pragma:"}},
		{"dont_cache replaces", origin.NoStore(), answer(0, "x", "Cache-Control: public, max-age=9", "Expires: x", "Pragma: y", "Cdn-Cache-Control: max-age=9"), 200,
			[]string{"Cache-Control: no-store", "Expires:", "Pragma:", "Cdn-Cache-Control:"}},
		{"dont_cache of errors", origin.NoStore(), answer(500, "x"), 500, []string{"Cache-Control: no-store"}},
		{"no_cache for old proxies", origin.NoStoreForOldProxies(), answer(0, "x", "Cache-Control: public"), 200,
			[]string{"Cache-Control: no-store, no-cache, must-revalidate, max-age=0", "Expires: 0", "Pragma: no-cache"}},
		{"Vary", origin.Vary("Accept", "cookie", "Accept"), answer(0, "x", "Vary: ACCEPT, X"), 200, []string{"Vary: ACCEPT, X | cookie"}},
		{"Vary, star", origin.Vary("Accept"), answer(0, "x", "Vary: *"), 200, []string{"Vary: *"}},
		{"Vary, none", origin.Vary("Accept", "Cookie"), answer(404, "x"), 404, []string{"Vary: Accept, Cookie"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight, 2000-01-01
				w := call(t, test.m(test.h), "/")
				want(t, w.Code, test.code, w.Header(), test.want...)
			})
		})
	}
}

func TestDirectivesPanic(t *testing.T) {
	for _, field := range []string{"max_age=60", "max-age", "max-age=-1", "max-age=01", "max-age=\"1\"", "public=1", "nostore", "no-store; public", "=", "public x",
		`private=x`, `private="`, "max-age =1", "max-age=99999999999"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: no panic", field)
				}
			}()
			origin.CacheControl(field)
		}()
	}
}

// pesto's with_etag: the tag first, the body only if it is needed.
func TestValidate(t *testing.T) {
	var made atomic.Int64
	h := origin.Validate(func(r *http.Request) (origin.Validators, error) {
		switch r.URL.Path {
		case "/error":
			return origin.Validators{}, errors.New("secret")
		case "/missing":
			return origin.Validators{Missing: true}, nil
		}
		return origin.Validators{ETag: `"one"`, LastModified: modified}, nil
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		made.Add(1)
		switch r.URL.Path {
		case "/content":
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
		case "/fails":
			http.Error(w, "x", 500)
		case "/missing":
			http.NotFound(w, r)
		case "/own":
			w.Header().Set("ETag", `"own"`)
			w.WriteHeader(404)
		case "/nothing":
		default:
			io.WriteString(w, "body")
		}
	}))
	protocols(t, h, func(t *testing.T, s *server) {
		for _, test := range []struct {
			do     string
			fields []string
			code   int
			made   int64
			want   []string
		}{
			{"/", nil, 200, 1, []string{`ETag: "one"`, "Last-Modified: " + same}},
			{"HEAD /", nil, 200, 1, []string{`ETag: "one"`}},
			{"/nothing", nil, 200, 1, []string{`ETag: "one"`}},
			{"/", []string{`If-None-Match: "one"`}, 304, 0, []string{`ETag: "one"`}},
			{"/", []string{`If-None-Match: *`}, 304, 0, nil},
			{"/", []string{`If-None-Match: "two"`}, 200, 1, nil},
			{"/", []string{`If-Modified-Since: ` + same}, 304, 0, nil},
			{"/", []string{`If-Match: "two"`}, 412, 0, []string{"ETag:"}},
			{"/content", []string{"Range: bytes=1-2", `If-Range: "one"`}, 206, 1, []string{"Content-Range: bytes 1-2/10", `ETag: "one"`}},
			{"/content", []string{"Range: bytes=1-2", `If-Range: "two"`}, 200, 1, nil},
			{"/content", []string{"Range: bytes=20-"}, 416, 1, []string{"ETag:"}},
			{"/fails", nil, 500, 1, []string{"ETag:", "Last-Modified:"}},
			{"/own", nil, 404, 1, []string{`ETag: "own"`}},
			{"/missing", []string{"If-None-Match: *"}, 404, 1, []string{"ETag:"}},
			{"/error", nil, 500, 0, []string{"ETag:", "Cache-Control: no-store"}},
			{"PUT /", []string{`If-Match: "one"`}, 200, 1, []string{"ETag:", "Last-Modified:"}},
			{"PUT /", []string{`If-Match: "old"`}, 412, 0, nil},
			{"OPTIONS /", []string{`If-Match: "old"`}, 200, 1, []string{"ETag:"}},
		} {
			made.Store(0)
			g := s.do(test.do, test.fields...)
			want(t, g.StatusCode, test.code, g.Header, test.want...)
			if made.Load() != test.made || g.err != nil || strings.Contains(g.body, "secret") {
				t.Errorf("%s %q: made %d bodies, want %d; %q %v", test.do, test.fields, made.Load(), test.made, g.body, g.err)
			}
		}
	})
}

// The Flask recipe: 428 and 412 against lost updates.
func TestRequirePrecondition(t *testing.T) {
	log.SetOutput(io.Discard) // of the request whose validators fail
	defer log.SetOutput(os.Stderr)
	h := origin.RequirePrecondition(func(r *http.Request) (origin.Validators, error) {
		switch r.URL.Path {
		case "/error":
			return origin.Validators{}, errors.New("x")
		case "/new":
			return origin.Validators{Missing: true}, nil
		case "/undated":
			return origin.Validators{ETag: `"v1"`}, nil
		}
		return origin.Validators{ETag: `"v1"`, LastModified: modified}, nil
	})(answer(204, ""))
	for _, test := range []struct {
		path  string
		field string
		code  int
	}{
		{"/", "", 428},
		{"/new", "", 428},
		{"/", `If-Match: "v1"`, 204},
		{"/", `If-Match: *`, 204},
		{"/", `If-Match: "v0"`, 412},
		{"/", `If-Match: W/"v1"`, 412},
		{"/", `If-Match: junk`, 412},
		{"/", "If-Unmodified-Since: " + same, 204},
		{"/", "If-Unmodified-Since: " + before, 412},
		{"/", "If-Unmodified-Since: junk", 428},
		{"/undated", "If-Unmodified-Since: " + same, 428},
		{"/", "If-None-Match: *", 412},
		{"/new", "If-None-Match: *", 204},
		{"/new", `If-Match: *`, 412},
		{"/", `If-None-Match: "v0"`, 428},
		{"/", "If-Modified-Since: " + same, 428},
		{"/error", `If-Match: "v1"`, 500},
		{"/", "If-Match:", 428},
	} {
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			var fields []string
			if test.field != "" {
				fields = []string{test.field, "X: y"}
			}
			w := call(t, h, method+" "+test.path, fields...)
			want(t, w.Code, test.code, w.Header(), "ETag:")
			if w.Code == 428 && (w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), "If-Match")) {
				t.Errorf("428: %v %s", w.Header(), w.Body)
			}
		}
		for _, method := range []string{"GET", "POST"} {
			if w := call(t, h, method+" "+test.path); w.Code != 204 {
				t.Errorf("%s: %d", method, w.Code)
			}
		}
	}
	post := origin.RequirePrecondition(func(*http.Request) (origin.Validators, error) { return origin.Validators{}, nil }, "POST")(answer(204, ""))
	if a, b := call(t, post, "POST /").Code, call(t, post, "PUT /").Code; a != 428 || b != 204 {
		t.Errorf("for POST alone: %d, %d", a, b)
	}
}

// pesto's etag_middleware and flask-webcache's validation.
func TestAutoETag(t *testing.T) {
	weak := "W/" + string(tagOf("body"))
	long := strings.Repeat("x", origin.DefaultMaxBuffer+1)
	tests := []struct {
		name string
		opts []origin.TagOption
		do   string
		h    http.Handler
		with string
		code int
		want []string
		body string
	}{
		{"a tag", nil, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak, "Content-Length: 4"}, "body"},
		{"explicit 200", nil, "/", answer(200, "body"), "", 200, []string{"ETag: " + weak}, "body"},
		{"strong", []origin.TagOption{origin.StrongTags()}, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak[2:]}, "body"},
		{"its tag again", nil, "/", answer(0, "body", "Content-Type: a/b"), "If-None-Match: " + weak, 304, []string{"ETag: " + weak, "Content-Type:", "Content-Length:"}, ""},
		{"strong against weak", nil, "/", answer(0, "body"), "If-None-Match: " + weak[2:], 304, nil, ""},
		{"If-Match is strong", nil, "/", answer(0, "body"), "If-Match: " + weak, 412, []string{"ETag:"}, "412 Precondition Failed: the resource is not in the state that the request's preconditions name\n"},
		{"another tag", nil, "/", answer(0, "body"), `If-None-Match: "x"`, 200, nil, "body"},
		{"by date", nil, "/", answer(0, "body", "Last-Modified: "+same), "If-Modified-Since: " + same, 304, []string{"ETag: " + weak}, ""},
		{"empty", nil, "/", answer(0, ""), "", 200, []string{"ETag: W/" + string(tagOf(""))}, ""},
		{"HEAD of the body", nil, "HEAD /", answer(0, "body"), "", 200, []string{"ETag: " + weak, "Content-Length: 4"}, ""},
		{"HEAD without a body", nil, "HEAD /", answer(0, "", "Content-Length: 4"), "", 200, []string{"ETag:", "Content-Length: 4"}, ""},
		{"POST", nil, "POST /", answer(0, "body"), "", 200, []string{"ETag:"}, "body"},
		{"not 200", nil, "/", answer(201, "body"), "", 201, []string{"ETag:"}, "body"},
		{"404", nil, "/", answer(404, "body"), "If-None-Match: *", 404, []string{"ETag:"}, "body"},
		{"206", nil, "/", answer(206, "od", "Content-Range: bytes 1-2/4"), "", 206, []string{"ETag:"}, "od"},
		{"a tag of its own", nil, "/", answer(0, "body", `ETag: "own"`), `If-None-Match: "own"`, 200, []string{`ETag: "own"`}, "body"},
		{"no-store", nil, "/", answer(0, "body", "Cache-Control: no-store"), "", 200, []string{"ETag:"}, "body"},
		{"events", nil, "/", answer(0, "body", "Content-Type: Text/Event-Stream; x"), "", 200, []string{"ETag:"}, "body"},
		{"announced trailers", nil, "/", answer(0, "body", "Trailer: X"), "", 200, []string{"ETag:"}, "body"},
		{"over the limit", []origin.TagOption{origin.MaxBuffer(3)}, "/", answer(0, "body"), "", 200, []string{"ETag:"}, "body"},
		{"at the limit", []origin.TagOption{origin.MaxBuffer(4)}, "/", answer(0, "body"), "", 200, []string{"ETag: " + weak}, "body"},
		{"the default limit", []origin.TagOption{origin.MaxBuffer(0)}, "/", answer(0, long), "", 200, []string{"ETag:"}, long},
		{"no limit", []origin.TagOption{origin.MaxBuffer(-1)}, "/", answer(0, long), "", 200, []string{"ETag: W/" + string(tagOf(long))}, long},
		{"length over the limit", []origin.TagOption{origin.MaxBuffer(3)}, "/", answer(0, "body", "Content-Length: 4"), "", 200, []string{"ETag:"}, "body"},
		{"flush", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "bo")
			w.(http.Flusher).Flush()
			io.WriteString(w, "dy")
		}), "If-None-Match: *", 200, []string{"ETag:"}, "body"},
		{"copied", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag: " + weak}, "body"},
		{"copied to the limit", []origin.TagOption{origin.MaxBuffer(4)}, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag: " + weak}, "body"},
		{"copied over the limit", []origin.TagOption{origin.MaxBuffer(2)}, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
		}), "", 200, []string{"ETag:"}, "body"},
		{"status after status", nil, "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.WriteHeader(500)
			io.WriteString(w, "body")
		}), "", 200, []string{"ETag: " + weak}, "body"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			protocols(t, origin.AutoETag(test.opts...)(test.h), func(t *testing.T, s *server) {
				var fields []string
				if test.with != "" {
					fields = []string{test.with}
				}
				g := s.do(test.do, fields...)
				want(t, g.StatusCode, test.code, g.Header, test.want...)
				if g.body != test.body || g.err != nil {
					t.Errorf("%q, %v", g.body, g.err)
				}
			})
		})
	}
}

func tagOf(body string) origin.ETag {
	h := origin.AutoETag(origin.StrongTags(), origin.MaxBuffer(-1))(answer(0, body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return origin.ETag(w.Header().Get("ETag"))
}

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
					t.Errorf("nothing: %d %q %v", g.StatusCode, g.body, g.err)
				}
				if g := s.do("/upgrade"); s.EnableHTTP2 && g.StatusCode != 501 {
					t.Errorf("upgrade over HTTP/2: %d %v", g.StatusCode, g.err)
				}
				if g := s.do("/panic"); g.err == nil {
					t.Errorf("panic: %d %v", g.StatusCode, g.Header)
				}
				if g := s.traced("/hints"); len(g.hints) != 1 || g.body != "x" {
					t.Errorf("hints: %v %q", g.hints, g.body)
				}
				resp, err := s.client.Get(s.URL + "/flush")
				if err != nil {
					t.Fatal(err)
				}
				var b [1]byte
				if _, err := io.ReadFull(resp.Body, b[:]); err != nil || b[0] != 'a' {
					t.Errorf("flush: %q %v", b, err)
				}
				resp.Body.Close()
			})
			s := serve(t, h, false)
			if out := s.raw("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"); !strings.HasSuffix(out, "hello") {
				t.Errorf("upgrade: %q", out)
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
						t.Errorf("%s: %q", path, g.body)
					}
				}
				if g := s.do("/works?body=x"); g.ContentLength != 1 || g.body != "x" {
					t.Errorf("%q, Content-Length %d", g.body, g.ContentLength)
				}
				for _, body := range []string{"x", long} {
					g := s.do("/fails?body=" + body)
					want(t, g.StatusCode, 200, g.Header)
					if g.body != body+"no body\n" {
						t.Errorf("%d bytes instead of %d", len(g.body), len(body)+8)
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
		t.Errorf("%d bytes, %v; ReadFrom took %d, of a file: %v", n, err, rf.n, rf.file)
	}
	want(t, resp.StatusCode, 200, resp.Header, "Cache-Control: max-age=3600")
}

//go:embed middleware_test.go
var embedded embed.FS

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"a.txt": "0123456789", "dir/index.html": "index"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(filepath.Join(dir, name), modified, modified)
	}
	files := origin.CacheFor(time.Hour)(origin.Files(os.DirFS(dir)))
	protocols(t, files, func(t *testing.T, s *server) {
		g := s.do("/a.txt")
		tag := g.Header.Get("ETag")
		want(t, g.StatusCode, 200, g.Header, "Last-Modified: "+same, "Cache-Control: max-age=3600")
		if tag == "" || strings.HasPrefix(tag, "W/") {
			t.Errorf("tag %q", tag)
		}
		g = s.do("/a.txt", "If-None-Match: "+tag)
		want(t, g.StatusCode, 304, g.Header, "ETag: "+tag, "Cache-Control: max-age=3600")
		g = s.do("/a.txt", "Range: bytes=2-3", "If-Range: "+tag)
		want(t, g.StatusCode, 206, g.Header, "Content-Range: bytes 2-3/10")
		if other := s.do("/dir/").Header.Get("ETag"); other == "" || other == tag {
			t.Errorf("the index has the tag %q", other)
		}
		for target, code := range map[string]int{"/dir": 301, "/dir/index.html": 301, "/none": 404, "/a.txt/": 301, "/": 200, "/../a.txt": 200, "POST /a.txt": 405} {
			g = s.do(target, "If-None-Match: "+tag)
			if target == "/../a.txt" {
				continue // the client may clean it
			}
			want(t, g.StatusCode, code, g.Header, "ETag:")
			if code != 200 && code != 405 {
				want(t, g.StatusCode, code, g.Header, "Cache-Control:", "Expires:")
			}
		}
	})

	count := &countingFS{FS: embedded}
	h := origin.Files(count)
	w := call(t, h, "/middleware_test.go")
	tag := w.Header().Get("ETag")
	if tag == "" || w.Header().Get("Last-Modified") != "" {
		t.Errorf("embedded: %v", w.Header())
	}
	opened := count.opened.Load()
	w = call(t, h, "/middleware_test.go", "If-None-Match: "+tag)
	if w.Code != 304 || count.opened.Load() >= 2*opened {
		t.Errorf("embedded again: %d; opened %d times, first %d", w.Code, count.opened.Load(), opened)
	}
	w = call(t, origin.Files(fstest.MapFS{"x": {Data: []byte("1")}}), "/x")
	if w.Code != 200 || w.Header().Get("ETag") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A file that is replaced between the look at it and its opening has the tag of what is sent.
func TestFileReplaced(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	fsys := &replacingFS{FS: os.DirFS(dir), replace: func() {
		if err := os.WriteFile(name+"~", []byte("newer"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+"~", name); err != nil {
			t.Fatal(err)
		}
	}}
	h := origin.Files(fsys)
	first := call(t, h, "/a.txt")
	second := call(t, h, "/a.txt")
	if first.Body.String() != "newer" || first.Header().Get("ETag") != second.Header().Get("ETag") {
		t.Errorf("%q has the tag %s, then %s", first.Body, first.Header().Get("ETag"), second.Header().Get("ETag"))
	}
}

// replacingFS calls replace once, after its first Stat.
type replacingFS struct {
	fs.FS
	replace func()
	once    sync.Once
}

func (f *replacingFS) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(f.FS, name)
	f.once.Do(f.replace)
	return info, err
}

type countingFS struct {
	embed.FS
	opened atomic.Int64
}

func (f *countingFS) Open(name string) (fs.File, error) {
	f.opened.Add(1)
	return f.FS.Open(name)
}

// Hostile fields, on the wire.
func TestHostileRequests(t *testing.T) {
	h := origin.CacheFor(time.Hour)(origin.AutoETag()(newCache(t).Handler(checking(origin.Validators{ETag: `"v1"`, LastModified: modified}))))
	huge := strings.Repeat(`"x", `, 50000)
	protocols(t, h, func(t *testing.T, s *server) {
		for _, test := range []struct {
			field string
			code  int
		}{
			{"If-None-Match: " + huge + `"v1"`, 304},
			{"If-Match: " + huge, 412},
			{"If-None-Match: " + strings.Repeat("\"", 100001), 200},
			{"If-None-Match: " + strings.Repeat("*", 100000), 200},
			{"If-None-Match: \"\xff\xfe\"", 200},
			{"If-Modified-Since: " + strings.Repeat("9", 100000), 200},
			{"If-Unmodified-Since: Mon, 99 Foo 0000 99:99:99 GMT", 200},
			{"If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT", 304},
			{"Range: bytes=" + strings.Repeat("0-0,", 20000), 200},
			{"Cache-Control: " + strings.Repeat("max-age=", 10000), 200},
		} {
			if g := s.do("/", test.field); g.StatusCode != test.code || g.err != nil {
				t.Errorf("%.60q: %d, %v, want %d", test.field, g.StatusCode, g.err, test.code)
			}
		}
	})
	s := serve(t, h, false)
	for _, line := range []string{"If-None-Match: \"a\x00\"", "If-Match: \r\n \"v1\"", "If-None-Match : *", ": x", "If-Match"} {
		out := s.raw(fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n", line))
		if !strings.HasPrefix(out, "HTTP/1.1 ") {
			t.Errorf("%q: %q", line, out)
		}
	}
}
