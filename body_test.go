package cachecontrol_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The failures that caches of this kind have had again and again. Each test here was seen to fail on a cache that was
// broken in that way.

// open makes the request and returns the answer with its body unread.
func open(t testing.TB, rt http.RoundTripper, req *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A caller that stops before EOF must not make the part that it read the whole of what is stored.
func TestReadingStopsBeforeEOF(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "AAAA", "BBBB")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		io.ReadFull(resp.Body, make([]byte, 4))
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "AAAABBBB" {
			t.Errorf("while the first is open: %v %q", a.outcome, a.body)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.body != "AAAABBBB" {
			t.Errorf("after its end: %q", a.body)
		}
	})
}

// Closing early is no end either, and what is closed cannot be stored any more.
func TestClosingEarly(t *testing.T) {
	for _, length := range []int64{8, -1} {
		in(t, func(t *testing.T) {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				resp := chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "AAAA", "BBBB")
				resp.ContentLength = length
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, DrainBytes: -1}
			defer tr.Close()
			resp := open(t, tr, request(t, "/"))
			io.ReadFull(resp.Body, make([]byte, 4))
			resp.Body.Close()
			io.Copy(io.Discard, resp.Body) // not allowed, but tried
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "AAAABBBB" {
				t.Errorf("length %d: %v %q", length, a.outcome, a.body)
			}
		})
	}
}

// A JSON decoder stops after the value, and often never sees EOF. Content-Length says that this was all.
func TestJSONDecoderReadsOneValue(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := chunked(respond(200, "", "Cache-Control: max-age=60"), nil, `{"a":`, `1}`)
			resp.ContentLength = 7
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		var v struct{ A int }
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
			t.Fatal(v, err)
		}
		if o.bodies[0].eof {
			t.Fatal("the decoder saw EOF, so this shows nothing")
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != `{"a":1}` {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// Cancelling half-way stores nothing, and later requests are not hurt by it.
func TestCancellingHalfWay(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			resp := respond(200, "01234567", "Cache-Control: max-age=60")
			if n == 1 {
				r, w := io.Pipe()
				go func() {
					io.WriteString(w, "0123")
					<-req.Context().Done()
					w.CloseWithError(req.Context().Err())
				}()
				resp.Body = r
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		resp := open(t, tr, request(t, "/").WithContext(ctx))
		io.ReadFull(resp.Body, make([]byte, 4))
		cancel()
		if _, err := io.ReadAll(resp.Body); err != context.Canceled {
			t.Errorf("reading on: %v", err)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "01234567" {
			t.Errorf("the next: %v %q", a.outcome, a.body)
		}
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "01234567" {
			t.Errorf("the one after: %v %q", a.outcome, a.body)
		}
	})
}

// What a caller does to the headers it got is its own affair: on a miss, a hit and after a 304.
func TestHeadersChangedByTheCaller(t *testing.T) {
	in(t, func(t *testing.T) {
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
				t.Errorf("request %d (%v): %v", i+1, a.outcome, a.Header)
			}
			spoil(a.Header)
		}
		if o.requests() != 2 {
			t.Errorf("%d requests", o.requests())
		}
	})
}

// inEachStore calls f in a bubble with each of the stores of one machine.
func inEachStore(t *testing.T, f func(t *testing.T, store storage.Store)) {
	t.Helper()
	for name, open := range map[string]func(dir string) (storage.Store, error){
		"DictCache":             func(string) (storage.Store, error) { return storage.NewDictCache(), nil },
		"FileCache":             func(dir string) (storage.Store, error) { return storage.NewFileCache(dir) },
		"SeparateBodyFileCache": func(dir string) (storage.Store, error) { return storage.NewSeparateBodyFileCache(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			store, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			in(t, func(t *testing.T) { f(t, store) })
		})
	}
}

// What is stored is what came, whatever the caller does to its header before it reads the body.
func TestHeadersChangedBeforeTheBodyIsRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string // beside X-A
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
					t.Errorf("%s, %s: %v %v", tt.name, header, a.outcome, a.Header)
				}
				wantFields(t, tt.name, a.Header, tt.want)
				for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate"} {
					if a.Header[name] != nil {
						t.Errorf("%s: %s is stored", tt.name, name)
					}
				}
				if len(tt.want) == 0 && a.Header["X-B"] != nil {
					t.Errorf("%s: X-B is stored", tt.name)
				}
			}
		})
	}
}

// Two callers and a refresh in the background share nothing: the race detector has to agree.
func TestTwoCallersAndARefresh(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, fmt.Sprint("body ", n), "Cache-Control: max-age=1, stale-while-revalidate=100", "X-A: b", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		for range 20 {
			time.Sleep(2 * time.Second)
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					req, _ := http.NewRequest("GET", "http://example.com/", nil)
					resp, err := tr.RoundTrip(req)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Header.Set("X-A", "changed")
					req.Header.Set("X-Later", "changed")
					resp.Header.Add("Cache-Control", "no-store")
					if b, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(b), "body ") {
						t.Errorf("%q", b)
					}
					resp.Body.Close()
				})
			}
			both.Wait()
			synctest.Wait()
		}
		if n := o.requests(); n != 21 {
			t.Errorf("%d requests, want one at first and one for each refresh", n)
		}
	})
}

// A 304 may carry fields that speak of its own, empty content. They do not change what is stored.
func TestFieldsOfA304(t *testing.T) {
	stored := []string{`ETag: "a"`, "Content-Type: text/plain", "Content-Length: 2", "Content-Encoding: identity"}
	for name, fields := range map[string][]string{
		"Content-Length: 0":    {"Content-Length: 0"},
		"Content-Encoding":     {"Content-Encoding: gzip"},
		"Content-Range":        {"Content-Range: bytes 0-0/1"},
		"without Content-Type": nil,
	} {
		runScenarios(t, []scenario{{
			name:   name,
			origin: []reply{ok(stored...), status(304, append([]string{`ETag: "a"`, "Cache-Control: max-age=60"}, fields...)...)},
			steps: []step{
				{want: miss},
				{want: revalidated, status: 200, body: "#1", head: append(stored, "Content-Range:")},
				{want: hit, status: 200, body: "#1", head: append(stored, "Content-Range:")},
			},
		}})
	}
}

// A directive that a 304 no longer has is gone.
func TestWithdrawnDirective(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name: "max-age",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10, must-revalidate"),
				status(304, `ETag: "a"`, "Cache-Control: no-cache"),
			},
			steps: []step{
				{want: miss}, {want: hit}, {wait: 10 * time.Second, want: revalidated, head: []string{"Cache-Control: no-cache"}},
				{want: revalidated, body: "#1"},
			},
		}, {
			name: "one of several lines",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10", "Cache-Control: stale-if-error=1000"),
				status(304, `ETag: "a"`, "Cache-Control: max-age=10, must-revalidate"), status(503),
			},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, want: revalidated, head: []string{"Cache-Control: max-age=10, must-revalidate"}},
				{wait: 10 * time.Second, want: miss, status: 503},
			},
		}, {
			name: "leave to store it at all",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10"), status(304, `ETag: "a"`, "Cache-Control: no-store"),
				ok("Cache-Control: max-age=10"),
			},
			steps: []step{{want: miss}, {wait: 10 * time.Second, want: revalidated, body: "#1"}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		},
	})
}

// Age counts: what comes from another cache may be too old already.
func TestAgeCounts(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "older than max-age",
			origin: []reply{ok("Age: 100", "Cache-Control: max-age=60", `ETag: "a"`)},
			steps:  []step{{want: miss}, {want: miss, body: "#2"}},
		}, {
			name:   "nearly",
			origin: []reply{ok("Age: 50", "Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit, head: []string{"Age: 59"}}, {wait: time.Second, want: miss}},
		},
	})
}

// Every line of Vary counts.
func TestSeveralVaryLines(t *testing.T) {
	runScenarios(t, []scenario{{
		origin: []reply{ok("Cache-Control: max-age=60", "Vary: X-One", "Vary: X-Two, X-Three")},
		steps: []step{
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 3"}, want: hit, head: []string{"Vary: X-One | X-Two, X-Three"}},
			{with: []string{"X-One: 0", "X-Two: 2", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 0", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 0"}, want: miss},
		},
	}})
}

// Revalidating one variant leaves the others, whichever came first.
func TestRevalidatingOneVariant(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		in(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				lang := req.Header.Get("Accept-Language")
				fields := []string{"Cache-Control: max-age=100", "Vary: Accept-Language", fmt.Sprintf("ETag: %q", lang)}
				if req.Header.Get("If-None-Match") != "" && !replaced {
					return respond(304, "", fields...)
				}
				return respond(200, lang, fields...)
			})
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			langs := []string{"en", "de", "fr"}
			for i, lang := range langs {
				do(t, tr, "/", "Accept-Language: "+lang)
				time.Sleep(time.Duration(i) * time.Second)
			}
			for _, lang := range langs {
				do(t, tr, "/", "Accept-Language: "+lang, "Cache-Control: no-cache")
				for _, other := range langs {
					if a := do(t, tr, "/", "Accept-Language: "+other); a.outcome != hit || a.body != other {
						t.Errorf("%s after revalidating %s (replaced: %v): %v %q", other, lang, replaced, a.outcome, a.body)
					}
				}
			}
		})
	}
}

// HEAD after GET: it is answered without a body, and may neither spoil the entry nor store one of its own.
func TestHEADAfterGET(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "fresh",
			origin: []reply{ok("Cache-Control: max-age=60", "Content-Length: 2")},
			steps:  []step{{want: miss}, {do: "HEAD /", want: hit, head: []string{"Content-Length: 2"}}, {want: hit, body: "#1"}},
		}, {
			name: "stale, and the same still",
			origin: []reply{
				ok("Cache-Control: max-age=10", `ETag: "a"`, "X-A: old"), ok("Cache-Control: max-age=10", `ETag: "a"`, "X-A: new"),
			},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, do: "HEAD /", want: miss}, {want: hit, body: "#1", head: []string{"X-A: new"}},
			},
		}, {
			name:   "stale, and another now",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), ok("Cache-Control: max-age=10", `ETag: "b"`)},
			steps:  []step{{want: miss}, {wait: 10 * time.Second, do: "HEAD /", want: miss}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		}, {
			name:   "fresh by its own word, and another now",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), ok("Cache-Control: max-age=10", `ETag: "b"`)},
			steps:  []step{{want: miss}, {do: "HEAD /", with: []string{"Cache-Control: no-cache"}, want: miss}, {want: miss, body: "#3"}},
		},
	})
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "HEAD /"); a.body != "" {
			t.Errorf("HEAD brought a body: %q", a.body)
		}
	})
}

// The entry may be deleted, by a request or by another process, while its validation is under way. The 304 is then
// answered with what was in hand, and never with nothing.
func TestEntryDeletedDuringItsValidation(t *testing.T) {
	stores := fileStores(t)
	stores["DictCache"] = storage.NewDictCache()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("If-None-Match") == "" {
						return respond(200, strings.Repeat("body", 50000), `ETag: "a"`)
					}
					if err := store.Delete(t.Context(), "http://example.com/"); err != nil {
						t.Error(err)
					}
					return respond(304, "", `ETag: "a"`)
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				do(t, tr, "/")
				a := do(t, tr, "/")
				if a.StatusCode != 200 || a.body != strings.Repeat("body", 50000) || a.outcome != revalidated {
					t.Errorf("%d, %d bytes, %v", a.StatusCode, len(a.body), a.outcome)
				}
				if a = do(t, tr, "/"); a.outcome != miss || o.last().Header.Get("If-None-Match") != "" {
					t.Errorf("afterwards: %v", a.outcome)
				}
			})
		})
	}
}

// The body of a 304 that the caller never sees is the cache's to read and to close, or its connection is lost.
func TestBodyOfA304IsClosed(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("If-None-Match") == "" {
				return respond(200, "body", `ETag: "a"`)
			}
			return respond(304, "a body that should not be there", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		resp := open(t, tr, request(t, "/"))
		if b := o.bodies[1]; !b.eof || b.closed == 0 {
			t.Errorf("read to its end: %v, closed: %d times", b.eof, b.closed)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "body" {
			t.Errorf("%q", b)
		}
		resp.Body.Close()
	})
}

// A caller's own If-None-Match is answered as it was asked: 304 to who has it, 200 to who has not.
func TestCallersOwnIfNoneMatch(t *testing.T) {
	inm := func(tag string) []string { return []string{"If-None-Match: " + tag} }
	runScenarios(t, []scenario{
		{
			name:   "nothing stored: the 304 is the caller's",
			origin: []reply{status(304, `ETag: "a"`), ok(`ETag: "a"`, "Cache-Control: max-age=60")},
			steps:  []step{{with: inm(`"a"`), want: miss, status: 304, sent: inm(`"a"`)}, {want: miss, body: "#2"}, {want: hit, status: 200, body: "#2"}},
		}, {
			name:   "fresh",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=60")},
			steps: []step{
				{want: miss}, {with: inm(`"a"`), want: hit, status: 304}, {with: inm(`"x", W/"a"`), want: hit, status: 304},
				{with: inm(`"b"`), want: hit, status: 200, body: "#1"}, {with: inm("*"), want: hit, status: 304},
				{want: hit, status: 200, body: "#1"},
			},
		}, {
			name:   "stale: it goes to the origin as it is",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=10"), status(304, `ETag: "b"`), ok(`ETag: "c"`, "Cache-Control: max-age=10")},
			steps: []step{
				{want: miss},
				{wait: 10 * time.Second, with: inm(`"b"`), want: miss, status: 304, sent: inm(`"b"`), head: []string{`ETag: "b"`}},
				{want: miss, status: 200, body: "#3", sent: inm(`"a"`)},
			},
		}, {
			name:   "stale, and the origin has another: the answer is stored",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=10"), ok(`ETag: "b"`, "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 10 * time.Second, with: inm(`"a"`), want: miss, status: 200, body: "#2"}, {want: hit, body: "#2"}},
		},
	})
}

// A store that errors on every call costs the caller nothing but its hits.
func TestStoreThatAlwaysFails(t *testing.T) {
	in(t, func(t *testing.T) {
		o := versions(t, "Cache-Control: max-age=60")
		tr := &cachecontrol.Transport{Base: o, Store: brokenStore{}}
		defer tr.Close()
		for range 3 {
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 1" || cachecontrol.StatusOf(a.Response).Stored {
				t.Errorf("%v %q %v", a.outcome, a.body, a.Header)
			}
		}
		if a := do(t, tr, "PUT /"); a.StatusCode != 204 {
			t.Errorf("PUT: %d", a.StatusCode)
		}
		if a := do(t, tr, "/", "Range: bytes=0-3"); a.body != "version 2" {
			t.Errorf("range: %q", a.body)
		}
		if a := do(t, tr, "HEAD /"); a.StatusCode != 200 {
			t.Errorf("HEAD: %d", a.StatusCode)
		}
	})
}

type brokenStore struct{}

func (brokenStore) Get(context.Context, string) (*storage.Response, error) { return nil, errFaulty }
func (brokenStore) Create(context.Context, string, *serialize.Entry) (storage.Writer, error) {
	return nil, errFaulty
}
func (brokenStore) Update(context.Context, string, *serialize.Entry) error { return errFaulty }
func (brokenStore) Delete(context.Context, string) error                   { return errFaulty }

// The caller sees what the origin sent, and of ours Age, Cache-Status, X-From-Cache and what a heuristic sets.
func TestNoHeaderIsInvented(t *testing.T) {
	sent := http.Header{
		"Cache-Control": {"max-age=10, stale-if-error=10"}, "Etag": {`"a"`}, "Vary": {"Accept", "Accept-Encoding"},
		"Last-Modified": {"Tue, 15 Nov 1994 12:45:26 GMT"}, "Set-Cookie": {"a=b", "c=d"}, "X-A": {""},
	}
	ours := []string{"Age", "Cache-Status", "X-From-Cache"}
	for name, test := range map[string]struct {
		heuristic heuristics.Heuristic
		allowed   []string
	}{
		"no heuristic": {nil, ours},
		"a heuristic":  {heuristics.ExpiresAfter(10 * time.Second), append([]string{"Cache-Control", "Expires", "Warning"}, ours...)},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
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
						t.Errorf("%v: the origin's (-) and the caller's (+):\n%s", want, diff)
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

// What a validation answers with is the caller's own, and stays so while others validate the same responses.
func TestRevalidatedIsTheCallersOwn(t *testing.T) {
	stores := fileStores(t)
	stores["memory"] = storage.NewDictCache()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				tag := `"` + req.URL.Path + `"`
				fields := []string{"Cache-Control: no-cache", "ETag: " + tag, "X-Answer: " + strconv.Itoa(n)}
				if req.Header.Get("If-None-Match") == tag {
					return respond(304, "", fields...)
				}
				return respond(200, req.URL.Path, append(fields, "X-Kept: "+req.URL.Path)...)
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			for i := range 4 {
				do(t, tr, fmt.Sprintf("/%d", i))
			}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					check := func(path string, resp *http.Response) {
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						h := resp.Header
						if err != nil || string(body) != path || h.Get("Etag") != `"`+path+`"` || h.Get("X-Kept") != path {
							t.Errorf("%s: %q, %v, %v", path, body, err, h)
						}
						if s := cachecontrol.StatusOf(resp); s.Outcome != revalidated {
							t.Errorf("%s: %v", path, s.Outcome)
						}
						for _, lines := range h {
							lines[0] = "changed"
						}
						clear(h)
					}
					var lastPath string
					var last *http.Response
					for i := range 100 {
						path := fmt.Sprintf("/%d", i%4)
						resp := open(t, tr, request(t, path))
						if last != nil {
							check(lastPath, last)
						}
						lastPath, last = path, resp
					}
					check(lastPath, last)
				})
			}
			all.Wait()
		})
	}
}

// What a program has seen of a stored response does not change when that is validated.
func TestValidationChangesNothingSeen(t *testing.T) {
	var seen []http.Header
	tr := &cachecontrol.Transport{
		Base: replies(t, ok("Cache-Control: no-cache", `ETag: "1"`, "X-Kept: 1", "X-New: 1"),
			status(304, "Cache-Control: no-cache", `ETag: "1"`, "X-New: 2", "X-New: 3"), status(304, `ETag: "1"`, "X-New: 4")),
		BeforeReuse: func(_ *http.Request, stored cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			seen = append(seen, stored.Header)
			return cachecontrol.ReuseByRules
		},
	}
	defer tr.Close()
	for range 4 {
		do(t, tr, "/")
	}
	for i, want := range [][]string{{"1"}, {"2", "3"}, {"4"}} {
		if h := seen[i]; !slices.Equal(h["X-New"], want) || h.Get("X-Kept") != "1" || h.Get("Etag") != `"1"` {
			t.Errorf("at request %d what was stored said %q, and now %v", i+2, want, h)
		}
	}
}
