package cachecontrol_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A caller may change the header that it got, on a miss, a hit and after a 304. The stored header does not change.
func TestHeadersChangedByTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"a"`}, "X-A": {"one", "two"}}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			code := 200
			if req.Header.Get("If-None-Match") != "" {
				code = 304
			}
			resp := respond(code, "")
			resp.Header = shared // an origin that hands the same header out each time
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		spoil := func(h http.Header) {
			for name, lines := range h {
				for i := range lines {
					lines[i] = "spoilt"
				}
				h[name] = append(h[name], "spoilt")
			}
			h["X-New"] = []string{"spoilt"}
			delete(h, "X-A")
		}
		for i, wait := range []time.Duration{0, 0, 0, time.Hour, 0} {
			time.Sleep(wait)
			a := do(t, tr, "/")
			if got := a.Header["X-A"]; !slices.Equal(got, []string{"one", "two"}) || a.Header["X-New"] != nil || a.Header["Etag"][0] != `"a"` {
				t.Errorf("request %d (%v): header %v, want X-A: one, two, no X-New, ETag \"a\"", i+1, a.outcome, a.Header)
			}
			spoil(a.Header)
		}
		if o.requests() != 2 {
			t.Errorf("%d requests, want 2", o.requests())
		}
	})
}

// Stored responses share what their headers have in common. Each hit has its own fields and lines nevertheless, also after a 304 that
// adds a field.
func TestHeadersOfTheSameShape(t *testing.T) {
	headers := map[string]http.Header{
		"/1": {"X-A": {"one"}, "X-B": {"two"}},
		"/2": {"X-A": {"three"}, "X-B": {"four"}},
		"/3": {"X-A": {"five", "six"}, "X-B": {"seven"}},
		"/4": {"X-A": {"eight"}, "X-B": {"nine", "ten"}, "Cache-Status": {"far; hit", "near; fwd=miss"}},
		"/5": {"X-A": {"eleven"}},
		"/6": {"X-A": {}, "X-B": {"twelve"}},
		"/7": {"X-A": {"thirteen"}, "X-C": {"fourteen"}, "Age": {"5"}},
		"/8": {"X-A": {"fifteen"}, "X-B": {"sixteen"}},
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp := respond(200, "body", "Cache-Control: max-age=60", `Etag: "a"`)
			if req.Header.Get("If-None-Match") != "" {
				resp = respond(304, "", "Cache-Control: max-age=60", `Etag: "a"`, "X-D: later")
			}
			maps.Copy(resp.Header, headers[req.URL.Path])
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		check := func(when string, later []string) {
			t.Helper()
			for path, want := range headers {
				a := do(t, tr, path)
				for _, name := range []string{"X-A", "X-B", "X-C"} {
					if got := a.Header[name]; !slices.Equal(got, want[name]) {
						t.Errorf("%s, %s (%v): %s: %q, want %q", when, path, a.outcome, name, got, want[name])
					}
				}
				status := a.Header["Cache-Status"]
				if n := len(status) - 1; n < 0 || !slices.Equal(status[:n], want["Cache-Status"]) {
					t.Errorf("%s, %s: Cache-Status %q, want %q and one more", when, path, status, want["Cache-Status"])
				}
				if got := a.Header["X-D"]; !slices.Equal(got, later) {
					t.Errorf("%s, %s: X-D: %q, want %q", when, path, got, later)
				}
			}
		}
		check("miss", nil)
		check("hit", nil)
		check("hit again", nil)
		time.Sleep(2 * time.Minute)
		check("304", []string{"later"})
		check("hit after the 304", []string{"later"})
		wantRequests(t, o, 2*len(headers))
	})
}

// The header is stored as it arrived, even if the caller changes it before it reads the body.
func TestHeadersChangedBeforeTheBodyIsRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string // in addition to X-A
		shared bool
		want   []string // of the hit; X-B is not there unless it is named
	}{
		{"everything is stored", []string{"X-B: b"}, false, []string{"X-B: b"}},
		{"fields of the connection", []string{"Connection: X-B", "X-B: b", "Keep-Alive: timeout=5"}, false, nil},
		{"fields of one hop", []string{"Proxy-Authenticate: Basic"}, false, nil},
		{"private fields in a private cache", []string{`Cache-Control: private="X-B"`, "X-B: b"}, false, []string{"X-B: b"}},
		{"private fields in a shared cache", []string{`Cache-Control: private="X-B"`, "X-B: b"}, true, nil},
		{"variants", []string{"Vary: X-Select", "Content-Encoding: identity", "X-B: b"}, false, []string{"X-B: b", "Vary: X-Select"}},
	} {
		inEachStore(t, func(t *testing.T, store storage.Store) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				return respond(200, "body", append(tt.fields, "Cache-Control: max-age=60", "X-A: one", "X-A: two")...)
			})
			tr := &cachecontrol.Transport{Base: o, Shared: tt.shared, Store: store}
			defer tr.Close()
			for _, header := range []string{"X-Select: 1", "X-Select: 2"} {
				req := request(t, "/", header)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				for name, lines := range resp.Header {
					for i := range lines {
						lines[i] = "spoilt"
					}
					resp.Header[name] = append(lines, "spoilt")
				}
				resp.Header["Connection"] = []string{"spoilt"}
				delete(resp.Header, "X-A")
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()

				a := do(t, tr, "/", header)
				if got := a.Header["X-A"]; a.outcome != cachecontrol.Hit || !slices.Equal(got, []string{"one", "two"}) {
					t.Errorf("%s, %s: %v, X-A %q, want %v, one, two", tt.name, header, a.outcome, got, hit)
				}
				wantFields(t, tt.name, a.Header, tt.want)
				for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate"} {
					if a.Header[name] != nil {
						t.Errorf("%s: %s is stored: %q, want none", tt.name, name, a.Header[name])
					}
				}
				if len(tt.want) == 0 && a.Header["X-B"] != nil {
					t.Errorf("%s: X-B is stored: %q, want none", tt.name, a.Header["X-B"])
				}
			}
		})
	}
}

// The caller gets the fields of the origin. The cache adds only Age, Cache-Status, X-From-Cache, the Date that a stored response
// lacks (RFC 9110, section 6.6.1), and the fields of a heuristic.
func TestFieldsAddedByCache(t *testing.T) {
	sent := http.Header{
		"Cache-Control": {"max-age=10, stale-if-error=10"}, "Etag": {`"a"`}, "Vary": {"Accept", "Accept-Encoding"},
		"Last-Modified": {"Tue, 15 Nov 1994 12:45:26 GMT"}, "Set-Cookie": {"a=b", "c=d"}, "X-A": {""},
	}
	ours := []string{"Age", "Cache-Status", "Date", "X-From-Cache"}
	for name, test := range map[string]struct {
		heuristic heuristics.Heuristic
		allowed   []string
	}{
		"no heuristic": {nil, ours},
		"a heuristic":  {heuristics.ExpiresAfter(10 * time.Second), append([]string{"Cache-Control", "Expires", "Warning"}, ours...)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					var resp *http.Response
					switch {
					case n == 3 || n == 4:
						resp = respond(304, "")
					case n == 5:
						return nil
					default:
						resp = respond(200, "body")
					}
					resp.Header = sent.Clone()
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Heuristic: test.heuristic, ReplaySetCookie: true}
				defer tr.Close()
				check := func(a answer, want cachecontrol.Outcome) {
					t.Helper()
					if a.outcome != want {
						t.Errorf("%v, want %v", a.outcome, want)
					}
					got, from := a.Header.Clone(), sent.Clone()
					for _, name := range test.allowed {
						delete(got, name)
						delete(from, name)
					}
					if diff := cmp.Diff(from, got); diff != "" {
						t.Errorf("%v: the header of the origin (-want) and of the caller (+got):\n%s", want, diff)
					}
				}
				check(do(t, tr, "/", "Accept: a/b"), miss)
				check(do(t, tr, "/", "Accept: a/b"), hit)
				check(do(t, tr, "/", "Accept: c/d"), miss)
				time.Sleep(10 * time.Second)
				check(do(t, tr, "/", "Accept: a/b"), revalidated)
				check(do(t, tr, "/", "Accept: a/b"), hit)
				check(do(t, tr, "/", "Accept: c/d", "Cache-Control: no-cache"), revalidated)
				check(do(t, tr, "HEAD /", "Accept: a/b"), hit)
				if test.heuristic == nil { // its Cache-Control has no stale-if-error
					time.Sleep(15 * time.Second)
					check(do(t, tr, "/", "Accept: a/b"), stale)
				}
			})
		})
	}
}

// Field names of a response that are not in canonical form count like canonical ones, in trailers too.
func TestResponseNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name   string
		shared bool
		set    http.Header
		with   string // a field of the second request
		want   cachecontrol.Outcome
	}{
		{"no-store", false, http.Header{"cache-control": {"no-store"}}, "", miss},
		{"no-store in two names", false, http.Header{"Cache-Control": {"max-age=60"}, "cache-control": {"no-store"}}, "", miss},
		{"private", true, http.Header{"CACHE-CONTROL": {"private, max-age=60"}}, "", miss},
		{"max-age", false, http.Header{"cache-control": {"max-age=60"}}, "", hit},
		{"expires", false, http.Header{"expires": {"Fri, 01 Jan 2100 00:00:00 GMT"}}, "", hit},
		{"vary", false, http.Header{"Cache-Control": {"max-age=60"}, "vary": {"X-A"}}, "X-A: b", miss},
		{"vary in two names", false, http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"X-B"}, "vary": {"X-A"}}, "X-A: b", miss},
		{"age", false, http.Header{"Cache-Control": {"max-age=60"}, "age": {"61"}}, "", miss},
		{"set-cookie", true, http.Header{"Cache-Control": {"max-age=60"}, "SET-COOKIE": {"session=alice"}}, "", miss},
		{"x-from-cache", false, http.Header{"x-from-cache": {"1"}}, "", miss},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", test.name, collapse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					given := test.set.Clone()
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						resp := respond(200, "body")
						for name, lines := range given {
							resp.Header[name] = lines
						}
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, Shared: test.shared, Collapse: collapse}
					defer tr.Close()
					var fields []string
					if test.with != "" {
						fields = []string{test.with}
					}
					do(t, tr, "/")
					a := do(t, tr, "/", fields...)
					if a.outcome != test.want {
						t.Errorf("%v, want %v; %q", a.outcome, test.want, a.Header)
					}
					for name := range a.Header {
						if name != http.CanonicalHeaderKey(name) {
							t.Errorf("the caller got a field named %q, want %q", name, http.CanonicalHeaderKey(name))
						}
					}
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) { // a 304, and a trailer
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 2 {
				resp := respond(304, "")
				resp.Header["cache-control"] = []string{"no-store"}
				return resp
			}
			resp := respond(200, "body", "Cache-Control: no-cache", `ETag: "1"`)
			resp.Trailer = http.Header{"proxy-authenticate": {"x"}, "x-sum": {"1"}}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/"); a.Trailer.Get("X-Sum") != "1" || len(a.Trailer) != 1 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("validated: trailer %v, header %v, want X-Sum: 1 alone, Cache-Control: no-store", a.Trailer, a.Header)
		}
		if do(t, tr, "/"); o.last().Header.Get("If-None-Match") != "" {
			t.Error("the response is stored after a 304 with no-store, want it deleted")
		}
	})
}

// Field names of a request that are not in canonical form count like canonical ones. net/http sends them unchanged.
func TestNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name          string
		shared        bool
		reply         reply
		first, second http.Header
		want          cachecontrol.Outcome // of the second request
		status        int
	}{
		{"authorization", true, ok(), http.Header{"authorization": {"alice"}}, nil, miss, 200},
		{"vary", false, ok("Vary: X-User"), http.Header{"x-user": {"alice"}}, http.Header{"x-user": {"bob"}}, miss, 200},
		{"vary, the same", false, ok("Vary: x-user"), http.Header{"X-USER": {"alice"}}, http.Header{"x-user": {"alice"}}, hit, 200},
		{"vary, in two places", false, ok("Vary: X-User"), http.Header{"X-User": {"a"}, "x-user": {"b"}}, http.Header{"X-User": {"a", "b"}}, hit, 200},
		{"no-store", false, ok(), http.Header{"cache-control": {"no-store"}}, nil, miss, 200},
		{"no-cache", false, ok(), nil, http.Header{"CACHE-CONTROL": {"no-cache"}}, miss, 200},
		{"pragma", false, ok(), nil, http.Header{"PRAGMA": {"no-cache"}}, miss, 200},
		{"range", false, ok(), nil, http.Header{"range": {"bytes=0-0"}}, hit, 206},
		{"if-none-match", false, ok(), nil, http.Header{"if-none-match": {`"1"`}}, hit, 304},
		{"if-match", false, ok(), nil, http.Header{"if-match": {`"2"`}}, bypass, 200},
		{"if-match, the same", false, ok(), nil, http.Header{"if-match": {`"1"`}}, hit, 200},
		{"accept-encoding", false, ok("Vary: Accept-Encoding"), http.Header{"accept-encoding": {"br"}}, http.Header{"accept-encoding": {"gzip"}}, miss, 200},
		{"upgrade", false, ok(), nil, http.Header{"upgrade": {"websocket"}}, bypass, 200},
		{"upgrade, to HTTP/2", false, ok(), nil, http.Header{"upgrade": {"h2c"}}, hit, 200},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", test.name, collapse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					test.reply.fields = append([]string{"Cache-Control: max-age=60", `ETag: "1"`}, test.reply.fields...)
					o := replies(t, test.reply)
					tr := &cachecontrol.Transport{Base: o, Shared: test.shared, Collapse: collapse}
					defer tr.Close()
					for i, h := range []http.Header{test.first, test.second} {
						req := request(t, "/")
						for name, lines := range h {
							req.Header[name] = lines
						}
						a := send(t, tr, req)
						if i == 1 && (a.outcome != test.want || a.StatusCode != test.status) {
							t.Errorf("%d %v, want %d %v", a.StatusCode, a.outcome, test.status, test.want)
						}
						if a.outcome != hit {
							for name, lines := range h {
								if got := o.last().Header[name]; !slices.Equal(got, lines) {
									t.Errorf("the origin got %q of %s, want %q", got, name, lines)
								}
							}
						}
					}
				})
			})
		}
	}
}

// A hit from any store has the protocol version of the origin. Its TLS is nil, because it did not use a connection.
func TestHitsNameTheProtocol(t *testing.T) {
	for name, s := range allStores(t) {
		for i, want := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := respond(200, "body", "Cache-Control: max-age=60")
				resp.Proto = want
				resp.ProtoMajor, resp.ProtoMinor, _ = http.ParseHTTPVersion(want)
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, Store: s}
			defer tr.Close()
			for range 3 {
				a := do(t, tr, fmt.Sprint("/", i))
				major, minor, _ := http.ParseHTTPVersion(want)
				if a.Proto != want || a.ProtoMajor != major || a.ProtoMinor != minor || a.TLS != nil {
					t.Errorf("%s, %v: %s (%d, %d), TLS %v; want %s, nil", name, a.outcome, a.Proto, a.ProtoMajor, a.ProtoMinor, a.TLS, want)
				}
			}
		}
	}
}
