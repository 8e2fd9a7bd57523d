package origin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// counting returns a handler that says which of its answers each is, and sets the fields.
func counting(n *atomic.Int64, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ":")
			w.Header().Add(name, strings.TrimSpace(value))
		}
		fmt.Fprintf(w, "#%d", n.Add(1))
	})
}

func newCache(t testing.TB, opts ...origin.CacheOption) *origin.Cache {
	c := origin.NewCache(nil, opts...)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The situations of flask-webcache's documentation, and what a shared cache must not do.
func TestCache(t *testing.T) {
	tests := []struct {
		name   string
		opts   []origin.CacheOption
		fields []string   // of the handler's responses
		ask    [][]string // target and fields of each request
		want   string     // the bodies, in order
	}{
		{"a hit", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/"}, {"/"}}, "#1 #1"},
		{"nothing said", nil, nil, [][]string{{"/"}, {"/"}}, "#1 #2"},
		{"each query is a resource", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/?a"}, {"/?b"}, {"/?a"}}, "#1 #2 #1"},
		{"HEAD from GET", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/"}, {"HEAD /"}, {"/"}}, "#1  #1"},
		{"private", nil, []string{"Cache-Control: max-age=60, private"}, [][]string{{"/"}, {"/"}}, "#1 #2"},
		{"no-store", nil, []string{"Cache-Control: no-store"}, [][]string{{"/"}, {"/"}}, "#1 #2"},
		{"s-maxage", nil, []string{"Cache-Control: max-age=0, s-maxage=60"}, [][]string{{"/"}, {"/"}}, "#1 #1"},
		{"Authorization", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/", "Authorization: a"}, {"/", "Authorization: b"}}, "#1 #2"},
		{"Authorization and public", nil, []string{"Cache-Control: max-age=60, public"}, [][]string{{"/", "Authorization: a"}, {"/"}}, "#1 #1"},
		{"Set-Cookie", nil, []string{"Cache-Control: max-age=60", "Set-Cookie: a=b"}, [][]string{{"/"}, {"/"}}, "#1 #2"},
		{"Set-Cookie and public", nil, []string{"Cache-Control: max-age=60, public", "Set-Cookie: a=b"}, [][]string{{"/"}, {"/"}}, "#1 #1"},
		{"Set-Cookie that private names", nil, []string{`Cache-Control: max-age=60, private="set-cookie"`, "Set-Cookie: a=b"}, [][]string{{"/"}, {"/"}}, "#1 #1"},
		{"Set-Cookie by ReplaySetCookie", []origin.CacheOption{replayCookies}, []string{"Cache-Control: max-age=60", "Set-Cookie: a=b"}, [][]string{{"/"}, {"/"}}, "#1 #1"},
		{"CORS for one origin", nil, []string{"Cache-Control: max-age=60", "Access-Control-Allow-Origin: https://a"},
			[][]string{{"/", "Origin: https://a"}, {"/", "Origin: https://b"}, {"/", "Origin: https://a"}}, "#1 #2 #1"},
		{"CORS for all", nil, []string{"Cache-Control: max-age=60", "Access-Control-Allow-Origin: *"},
			[][]string{{"/", "Origin: https://a"}, {"/", "Origin: https://b"}}, "#1 #1"},
		{"variants", nil, []string{"Cache-Control: max-age=60", "Vary: Accept-Language"},
			[][]string{{"/", "Accept-Language: de"}, {"/", "Accept-Language: fr"}, {"/", "Accept-Language: de"}}, "#1 #2 #1"},
		{"an unsafe request invalidates", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/"}, {"POST /"}, {"/"}, {"/"}}, "#1 #2 #3 #3"},
		{"request directives", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/"}, {"/", "Cache-Control: no-cache"}}, "#1 #2"},
		{"request directives ignored", []origin.CacheOption{origin.IgnoreRequestDirectives()}, []string{"Cache-Control: max-age=60"},
			[][]string{{"/", "Cache-Control: no-store"}, {"/", "Cache-Control: no-cache"}, {"/", "Pragma: no-cache"}}, "#1 #1 #1"},
		{"exempt", []origin.CacheOption{origin.Exempt(origin.PathPrefix("/static"))}, []string{"Cache-Control: max-age=60"},
			[][]string{{"/static"}, {"/static/x"}, {"/static"}, {"/static/x"}, {"/statically"}, {"/statically"}}, "#1 #2 #3 #4 #5 #5"},
		{"two exemptions", []origin.CacheOption{origin.Exempt(origin.PathPrefix("/a/")), origin.Exempt(origin.PathPrefix("/b"))}, []string{"Cache-Control: max-age=60"},
			[][]string{{"/a/x"}, {"/a/x"}, {"/b"}, {"/b"}, {"/a"}, {"/a"}}, "#1 #2 #3 #4 #5 #5"},
		{"OPTIONS", nil, []string{"Cache-Control: max-age=60"}, [][]string{{"/"}, {"OPTIONS /"}, {"/"}}, "#1 #2 #1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, http2 := range []bool{false, true} {
				var n atomic.Int64
				s := serve(t, newCache(t, test.opts...).Handler(counting(&n, test.fields...)), http2)
				var bodies []string
				for _, ask := range test.ask {
					g := s.do(ask[0], ask[1:]...)
					if g.err != nil {
						t.Fatal(g.err)
					}
					bodies = append(bodies, g.body)
				}
				if got := strings.Join(bodies, " "); got != test.want {
					t.Errorf("HTTP/2 %v: bodies = %q, want %q", http2, got, test.want)
				}
			}
		})
	}
}

func TestCacheFields(t *testing.T) {
	var n atomic.Int64
	h := newCache(t).Handler(counting(&n, "Cache-Control: max-age=60", "Vary: A", "Set-Cookie: x=1"))
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "accept-encoding, a")
		w.Header().Set("Set-Cookie", "y=2")
		h.ServeHTTP(w, r)
	})
	w := call(t, outer, "/")
	want(t, w.Code, 200, w.Header(), "Cache-Control: max-age=60, private", "Set-Cookie: y=2 | x=1", "Vary: A | accept-encoding")
}

// A cookie reaches the client whose request the handler has answered, and no other, unless the program wants that.
func TestCacheSetCookie(t *testing.T) {
	for _, test := range []struct {
		opts []origin.CacheOption
		want string
	}{
		{nil, ""},
		{[]origin.CacheOption{replayCookies}, "a=b"},
	} {
		var n atomic.Int64
		h := newCache(t, test.opts...).Handler(counting(&n, "Cache-Control: max-age=60, public", "Set-Cookie: a=b"))
		for i, want := range []string{"a=b", test.want} {
			if w := call(t, h, "/"); w.Header().Get("Set-Cookie") != want || w.Body.String() != "#1" {
				t.Errorf("request %d: got %q with Set-Cookie %q, want %q with %q", i+1, w.Body, w.Header().Get("Set-Cookie"), "#1", want)
			}
		}
	}
}

func TestCacheAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := origin.NewCache(nil)
		defer c.Close()
		h := c.Handler(counting(&n, "Cache-Control: max-age=60"))
		call(t, h, "/")
		time.Sleep(20 * time.Second)
		w := call(t, h, "/")
		want(t, w.Code, 200, w.Header(), "Age: 20", "X-From-Cache: 1", "Content-Length: 2", "Content-Type: text/plain; charset=utf-8")
		if s := cachecontrol.StatusOf(w.Result()); s.Outcome != cachecontrol.Hit || s.TTL != 40*time.Second {
			t.Errorf("StatusOf = %+v, want a hit that is fresh for 40s", s)
		}
	})
}

func TestCacheGeneration(t *testing.T) {
	var n atomic.Int64
	c := newCache(t)
	h := c.Handler(counting(&n, "Cache-Control: max-age=60", "Vary: A"))
	ask := func(want string) {
		t.Helper()
		if got := call(t, h, "/", "A: 1").Body.String() + call(t, h, "/", "A: 2").Body.String(); got != want {
			t.Errorf("bodies = %q, want %q", got, want)
		}
	}
	ask("#1#2")
	ask("#1#2")
	c.SetGeneration("v2")
	ask("#3#4")
	ask("#3#4")
	c.SetGeneration("")
	ask("#1#2")
}

// A Partition of the program's own divides a generation further, and no two are mixed up.
func TestCacheGenerationAndPartition(t *testing.T) {
	var n atomic.Int64
	c := newCache(t, origin.Configure(func(tr *cachecontrol.Transport) {
		tr.Partition = func(r *http.Request) string { return r.Header.Get("User") }
	}))
	h := c.Handler(counting(&n, "Cache-Control: max-age=60"))
	seen := map[string]string{}
	for range 2 {
		for _, in := range []struct{ generation, user string }{{"", ""}, {"", "b"}, {"a", ""}, {"a", "b"}, {"", "1:ab"}, {"ab", ""}, {"", "0:b"}} {
			c.SetGeneration(in.generation)
			key := fmt.Sprintf("%q %q", in.generation, in.user)
			body := call(t, h, "/", "User: "+in.user).Body.String()
			if seen[key] == "" {
				seen[key] = body
			}
			if seen[key] != body {
				t.Errorf("%s: got %s, want %s as before", key, body, seen[key])
			}
		}
	}
	if n.Load() != 7 {
		t.Errorf("the handler ran %d times, want 7, once for each partition", n.Load())
	}
}

// What a handler makes while the generation changes belongs to the old one.
func TestCacheGenerationUnderWay(t *testing.T) {
	var n atomic.Int64
	c := newCache(t)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := n.Add(1)
		if i == 1 {
			c.SetGeneration("next")
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, i)
	}))
	for i, want := range []string{"1", "2", "2"} {
		if got := call(t, h, "/").Body.String(); got != want {
			t.Errorf("request %d: body = %q, want %q", i, got, want)
		}
	}
}

func TestCacheInvalidate(t *testing.T) {
	var n atomic.Int64
	c := newCache(t)
	c.SetGeneration("v1")
	h := c.Handler(counting(&n, "Cache-Control: max-age=60"))
	call(t, h, "/a")
	call(t, h, "/b")
	if err := c.Invalidate(t.Context(), "http://example.com/a"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, h, "/a").Body.String() + call(t, h, "/b").Body.String(); got != "#3#2" {
		t.Errorf("bodies = %q, want %q", got, "#3#2")
	}
	for _, bad := range []string{"/a", "http://%zz", ""} {
		if err := c.Invalidate(t.Context(), bad); err == nil {
			t.Errorf("Invalidate(%q) = nil, want an error", bad)
		}
	}
}

func TestCacheRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := origin.NewCache(nil, refreshAhead(20*time.Second))
		defer c.Close()
		h := c.Handler(counting(&n, "Cache-Control: max-age=60"))
		for _, step := range []struct {
			wait   time.Duration
			body   string
			answer int64 // how many the handler has given afterwards
		}{{0, "#1", 1}, {39 * time.Second, "#1", 1}, {2 * time.Second, "#1", 2}, {time.Second, "#2", 2}, {10 * time.Second, "#2", 2}} {
			time.Sleep(step.wait)
			if body := call(t, h, "/").Body.String(); body != step.body {
				t.Errorf("body = %q, want %q", body, step.body)
			}
			synctest.Wait()
			if n.Load() != step.answer {
				t.Errorf("the handler ran %d times, want %d", n.Load(), step.answer)
			}
		}
	})
}

// A handler that panics in the background does not affect other requests. If one panics for a request, a stale response is used.
func TestCachePanicStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c := origin.NewCache(nil, refreshAhead(10*time.Second))
		defer c.Close()
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) > 1 {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Cache-Control", "max-age=60, stale-if-error=60")
			io.WriteString(w, "good")
		}))
		for i, wait := range []time.Duration{0, 55 * time.Second, 10 * time.Second} {
			time.Sleep(wait)
			if w := call(t, h, "/"); w.Code != 200 || w.Body.String() != "good" {
				t.Errorf("request %d: got %d %q, want 200 %q", i, w.Code, w.Body, "good")
			}
			synctest.Wait()
			if n.Load() != int64(i+1) {
				t.Errorf("request %d: the handler ran %d times, want %d", i, n.Load(), i+1)
			}
		}
	})
}

// What a handler may do with its ResponseWriter, behind the cache and without it, comes to the same.
func TestCacheIsTransparent(t *testing.T) {
	boom := errors.New("boom")
	handlers := map[string]http.HandlerFunc{
		"nothing": func(w http.ResponseWriter, r *http.Request) {},
		"short":   func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>x") },
		"long":    func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("long ", 5000)) },
		"pieces": func(w http.ResponseWriter, r *http.Request) {
			for i := range 3000 {
				fmt.Fprintln(w, i)
			}
		},
		"length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
		},
		"too short": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "abc")
		},
		"204":     func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); io.WriteString(w, "no body") },
		"304":     func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"a"`); w.WriteHeader(304) },
		"404":     http.NotFound,
		"no type": func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil; io.WriteString(w, "x") },
		"no date": func(w http.ResponseWriter, r *http.Request) { w.Header()["Date"] = nil; io.WriteString(w, "x") },
		"coded": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "x")
			io.WriteString(w, "x")
		},
		"later header": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			w.Header().Set("Late", "1")
			w.WriteHeader(500)
		},
		"flush": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
			if err := http.NewResponseController(w).Flush(); err != nil && r.Method != "HEAD" {
				t.Error(err)
			}
		},
		"flush alone": func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() },
		"trailers": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "One, Two")
			io.WriteString(w, "body")
			w.Header().Set("One", "1")
			w.Header().Set(http.TrailerPrefix+"Three", "3")
		},
		"flushed trailers": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "One")
			io.WriteString(w, strings.Repeat("x", 9000))
			w.(http.Flusher).Flush()
			w.Header().Set("One", "1")
			w.Header().Set("Late", "1")
		},
		"exit": func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() },
		"unannounced trailer": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("x", 9000))
			w.Header().Set(http.TrailerPrefix+"Three", "3")
		},
		"early hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(103)
			w.Header().Set("Link", "</b>")
			w.WriteHeader(103)
			io.WriteString(w, "x")
		},
		"panic":             func(w http.ResponseWriter, r *http.Request) { panic(boom) },
		"panic after write": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); panic(http.ErrAbortHandler) },
		"panic after flush": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			panic(boom)
		},
		"bad status": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(42) },
		"reads": func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%q %v %s %s %s %v", b, err, r.RequestURI, r.URL, r.Method, r.PathValue("x"))
		},
	}
	mux := http.NewServeMux()
	cached, collapsing := http.NewServeMux(), http.NewServeMux()
	for name, h := range handlers {
		path := "/" + strings.ReplaceAll(name, " ", "-") + "/{x}"
		mux.Handle(path, h)
		cached.Handle(path, newCache(t).Handler(h))
		collapsing.Handle(path, newCache(t, collapse).Handler(h))
	}
	both := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Cached") {
		case "1":
			cached.ServeHTTP(w, r)
		case "collapsed":
			collapsing.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
	protocols(t, both, func(t *testing.T, s *server) {
		for name := range handlers {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				target := method + " /" + strings.ReplaceAll(name, " ", "-") + "/v?q"
				a := s.traced(target).describe()
				for _, kind := range []string{"1", "collapsed"} {
					if b := s.traced(target, "Cached: "+kind).describe(); a != b {
						t.Errorf("%s: behind the cache (%s), got\n%s\nwant, as without it,\n%s", target, kind, b, a)
					}
				}
			}
		}
	})
}

type tracedGot struct {
	got
	hints []string
}

func (s *server) traced(target string, fields ...string) (tg tracedGot) {
	req := newRequest(s.t, target, fields...)
	req.URL.Scheme, req.URL.Host, _ = strings.Cut(s.URL, "://")
	ctx := httptrace.WithClientTrace(s.t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			tg.hints = append(tg.hints, fmt.Sprint(code, h["Link"]))
			return nil
		},
	})
	if req.Method == "POST" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader("posted")), -1
	}
	resp, err := s.client.Do(req.WithContext(ctx))
	if err != nil {
		tg.got = got{&http.Response{Header: http.Header{}}, "", err}
		return tg
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	tg.got = got{resp, string(body), err}
	return tg
}

// describe is all that must be the same.
func (g tracedGot) describe() string {
	h := g.Header.Clone()
	for _, name := range []string{"Cache-Status", "Date", "X-From-Cache", "Age"} {
		delete(h, name)
	}
	n := g.ContentLength
	if len(g.Trailer) > 0 { // HTTP/2 could still say it
		delete(h, "Content-Length")
		n = -1
	}
	return fmt.Sprintf("%d %v length %d body %d %.40q trailer %v hints %v failed %v", g.StatusCode, h, n, len(g.body), g.body, g.Trailer, g.hints, g.err != nil)
}

// The header of a slow response comes before its body, and each part when it is flushed.
func TestCacheStreams(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testStreams(t) })
	t.Run("shared", func(t *testing.T) { testStreams(t, collapse) })
}

func testStreams(t *testing.T, opts ...origin.CacheOption) {
	next := make(chan string)
	h := newCache(t, opts...).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.(http.Flusher).Flush()
		for s := range next {
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
			if s == "." {
				return
			}
		}
	}))
	protocols(t, h, func(t *testing.T, s *server) {
		resp, err := s.client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for _, part := range []string{"one", strings.Repeat("x", 4096), "."} {
			next <- part
			buf := make([]byte, len(part))
			if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != part {
				t.Fatalf("read %.20q, %v, want %.20q", buf, err, part)
			}
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		if g := s.do("/"); g.Header.Get("X-From-Cache") != "1" || len(g.body) != 4100 {
			t.Errorf("got %d bytes with %v, want a hit of 4100 bytes", len(g.body), g.Header)
		}
	})
}

// A client that goes away ends the handler's context, and leaves nothing behind or stored.
func TestCacheCancelled(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testCancelled(t) })
	t.Run("shared", func(t *testing.T) { testCancelled(t, collapse) })
}

func testCancelled(t *testing.T, opts ...origin.CacheOption) {
	started, ended := make(chan struct{}), make(chan error)
	h := newCache(t, opts...).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		started <- struct{}{}
		<-r.Context().Done()
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				ended <- err
				return
			}
		}
	}))
	protocols(t, h, func(t *testing.T, s *server) {
		for range 2 { // the second would be a hit
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
			go func() { <-started; cancel() }()
			resp, err := s.client.Do(req)
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err := <-ended; err == nil {
				t.Error("the handler could go on")
			}
			cancel()
		}
	})
}

func TestCacheUpgrade(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
		rw.Flush()
		if _, err := io.WriteString(w, "after hijacking"); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write after Hijack = %v, want %v", err, http.ErrHijacked)
		}
	}))
	s := serve(t, h, false)
	if out := s.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"); !strings.HasSuffix(out, "hello") {
		t.Errorf("with Upgrade: got %q, want the handler's answer", out)
	}
	if out := s.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 501 ") {
		t.Errorf("without Upgrade: got %q, want status 501", out)
	}
	if out := s.raw("GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(out, "hello") {
		t.Errorf("without a Host: got %q, want the handler's answer", out)
	}
}

func TestCacheRanges(t *testing.T) {
	var n atomic.Int64
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("0123456789"))
	}))
	s := serve(t, h, false)
	if g := s.do("/"); g.body != "0123456789" {
		t.Errorf("body = %q, want %q", g.body, "0123456789")
	}
	g := s.do("/", "Range: bytes=2-4", `If-Range: "1"`)
	want(t, g.StatusCode, 206, g.Header, "Content-Range: bytes 2-4/10", "Content-Length: 3")
	g = s.do("/", `If-None-Match: W/"1"`)
	want(t, g.StatusCode, 304, g.Header, "Content-Type:")
	if n.Load() != 1 {
		t.Errorf("the handler ran %d times, want 1", n.Load())
	}
}

func TestCacheRequestURLs(t *testing.T) {
	var seen http.Request
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = *r }))
	r := httptest.NewRequest("GET", "/a%2Fb?x=%zz", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if seen.URL.String() != "/a%2Fb?x=%zz" || seen.Host != "example.com" || seen.Body != http.NoBody || seen.RequestURI != r.RequestURI {
		t.Errorf("the handler got %+v, want the request as it was sent", seen)
	}
	if r.Header.Get("If-None-Match") != "" || r.URL.Host != "" {
		t.Errorf("after the call the request is %+v, want it unchanged", r)
	}
}

// Many clients at once, over several handlers and a store of files: each gets whole responses of its own resource.
func TestCacheConcurrently(t *testing.T) {
	store, err := directory.NewSeparateBodyFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := origin.NewCache(store, refreshAhead(time.Hour))
	defer c.Close()
	h := c.Handler(origin.AutoETag()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("Vary", "A")
		io.WriteString(w, strings.Repeat(r.URL.Path+r.Header.Get("A"), 3000))
	})))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				path, a := fmt.Sprintf("/%d", (i+j)%4), fmt.Sprint(j%3)
				method := "GET"
				if j%10 == 9 {
					method = "POST"
				}
				w := call(t, h, method+" "+path, "A: "+a)
				if want := strings.Repeat(path+a, 3000); w.Code != 200 || w.Body.String() != want {
					t.Errorf("%s %s: got %d with %d bytes, want 200 with %d", path, a, w.Code, w.Body.Len(), len(want))
				}
				if j%15 == 14 {
					c.SetGeneration(fmt.Sprint(i))
				}
			}
		})
	}
	wg.Wait()
}

func TestCacheTrailersOfHits(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "body")
		w.Header().Set("Sum", "1")
	}))
	protocols(t, h, func(t *testing.T, s *server) {
		for i, fromCache := range []string{"", "1"} {
			g := s.do("/")
			want(t, g.StatusCode, 200, g.Header, "X-From-Cache: "+fromCache)
			if g.body != "body" || g.Trailer.Get("Sum") != "1" {
				t.Errorf("request %d: got %q with the trailer %v, want %q with Sum: 1", i+1, g.body, g.Trailer, "body")
			}
		}
	})
}

// Package net/http sends a line break in a value as spaces, so the client sees the directive behind it, and so does the cache.
func TestCacheReadsDirectivesBehindLineBreaks(t *testing.T) {
	for _, value := range []string{"max-age=60,\n private", "max-age=60,\r\nno-store", "max-age=60, private\r\n"} {
		c := origin.NewCache(nil)
		n := 0
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header()["Cache-Control"] = []string{value}
		}))
		for range 2 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://h.example/", nil))
		}
		if n != 2 {
			t.Errorf("Cache-Control %q: the handler ran %d times for two requests, want 2", value, n)
		}
		c.Close()
	}
}

// An offer to continue with HTTP/2 keeps neither the cache nor a computed entity tag from a response.
func TestUpgradeOffers(t *testing.T) {
	offer := func() *http.Request {
		r := httptest.NewRequest("GET", "http://example.com/", nil)
		r.Header = http.Header{"Upgrade": {"h2c"}, "Connection": {"Upgrade, HTTP2-Settings"}, "Http2-Settings": {"AAMAAABkAAQAAP__"}}
		return r
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "upgrade %q", r.Header["Upgrade"])
	})
	h := newCache(t).Handler(page)
	for i, want := range []string{"", "1"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, offer())
		if got := w.Header().Get("X-From-Cache"); got != want || w.Body.String() != "upgrade []" {
			t.Errorf("request %d: X-From-Cache = %q, body %q, want %q, %q", i+1, got, w.Body, want, "upgrade []")
		}
	}
	w := httptest.NewRecorder()
	origin.AutoETag()(page).ServeHTTP(w, offer())
	if w.Header().Get("Etag") == "" || w.Body.String() != "upgrade []" {
		t.Errorf("AutoETag: ETag = %q, body %q, want a tag and %q", w.Header().Get("Etag"), w.Body, "upgrade []")
	}
}
