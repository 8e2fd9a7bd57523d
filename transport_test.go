package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestSharedAndPrivate(t *testing.T) {
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	auth := []string{"Authorization: Basic eA=="}
	for cc, want := range map[string]struct{ private, shared cachecontrol.Outcome }{
		"max-age=60":                   {hit, miss},
		"max-age=60, public":           {hit, hit},
		"max-age=60, must-revalidate":  {hit, hit},
		"s-maxage=60":                  {miss, hit},
		"max-age=60, private":          {hit, miss},
		"max-age=60, public, private":  {hit, miss},
		`max-age=60, public, no-store`: {miss, miss},
	} {
		runScenarios(t, []scenario{
			{name: "private: " + cc, origin: []reply{ok("Cache-Control: " + cc)}, steps: []step{{with: auth, want: miss}, {with: auth, want: want.private}}},
			{name: "shared: " + cc, transport: shared(), origin: []reply{ok("Cache-Control: " + cc)}, steps: []step{{with: auth, want: miss}, {with: auth, want: want.shared}}},
		})
	}
	runScenarios(t, []scenario{
		{
			name: "s-maxage goes before max-age in a shared cache", transport: shared(),
			origin: []reply{ok("Cache-Control: max-age=1, s-maxage=60")},
			steps:  []step{{want: miss}, {wait: 50 * time.Second, want: hit}},
		}, {
			name:   "and counts for nothing in a private one",
			origin: []reply{ok("Cache-Control: max-age=1, s-maxage=60")},
			steps:  []step{{want: miss}, {wait: 50 * time.Second, want: miss}},
		}, {
			name: "private names fields: they are not stored by a shared cache", transport: shared(),
			origin: []reply{ok(`Cache-Control: max-age=60, private="x-mine, Set-Cookie"`, "X-Mine: 1", "X-Yours: 2", "Set-Cookie: a=b")},
			steps: []step{
				{want: miss, head: []string{"X-Mine: 1", "Set-Cookie: a=b"}},
				{want: hit, head: []string{"X-Mine:", "Set-Cookie:", "X-Yours: 2"}},
			},
		}, {
			name:   "a private one stores them",
			origin: []reply{ok(`Cache-Control: max-age=60, private="x-mine"`, "X-Mine: 1")},
			steps:  []step{{want: miss}, {want: hit, head: []string{"X-Mine: 1"}}},
		}, {
			name:   "no-cache names fields: they come back with a validation only",
			origin: []reply{ok(`Cache-Control: max-age=60, no-cache="x-a"`, "X-A: 1", "X-B: 2", `ETag: "a"`), status(304)},
			steps: []step{
				{want: miss, head: []string{"X-A: 1"}}, {want: hit, head: []string{"X-A:", "X-B: 2"}},
				{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{"X-A: 1", "X-B: 2"}},
			},
		}, {
			name: "CDN-Cache-Control is for shared caches", transport: shared(),
			origin: []reply{ok("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: hit}},
		}, {
			name:   "and not for private ones",
			origin: []reply{ok("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: miss}},
		},
	})
}

func TestConditionalRequests(t *testing.T) {
	const modified, later = "Sat, 01 Jan 2000 00:00:00 GMT", "Sun, 02 Jan 2000 00:00:00 GMT"
	ims := func(d string) []string { return []string{"If-Modified-Since: " + d} }
	runScenarios(t, []scenario{
		{
			name:   "If-Modified-Since and a fresh entry",
			origin: []reply{ok("Cache-Control: max-age=60", "Last-Modified: "+modified, "Content-Type: text/plain", "Vary: X")},
			steps: []step{
				{want: miss}, {with: ims(modified), want: hit, status: 304, head: []string{"Content-Type:", "Vary: X", "Cache-Control: max-age=60"}},
				{with: ims(later), want: hit, status: 304}, {with: ims("Fri, 31 Dec 1999 23:59:59 GMT"), want: hit, status: 200},
				{with: ims("garbage"), want: hit, status: 200}, {with: []string{"If-Modified-Since: " + modified, `If-None-Match: "x"`}, want: hit, status: 200},
				{do: "HEAD /", with: ims(modified), want: hit, status: 304},
			},
		}, {
			name:   "a 304 to the caller's own condition freshens the entry that it names",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), status(304, "Cache-Control: max-age=10", `ETag: "a"`)},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, with: []string{`If-None-Match: "a"`}, want: miss, status: 304, storing: "validated"},
				{want: hit, body: "#1"},
			},
		}, {
			name:   "a 304 to a condition of several lines may speak of any",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), status(304, "Cache-Control: max-age=10"), ok()},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, with: []string{`If-None-Match: "a"`, `If-None-Match: "b"`}, want: miss, status: 304, storing: "not-modified-unasked"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "If-Match and If-Unmodified-Since are the origin's to evaluate",
			origin: []reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(412)},
			steps: []step{
				{want: miss}, {with: []string{`If-Match: "b"`}, want: bypass, status: 412, sent: []string{`If-Match: "b"`}},
				{with: []string{"If-Unmodified-Since: " + modified}, want: bypass, status: 412}, {want: hit},
			},
		}, {
			name:   "a 304 for another ETag confirms nothing: the request is made again",
			origin: []reply{ok(`ETag: "a"`), status(304, `ETag: "b"`), ok(`ETag: "c"`)},
			steps:  []step{{want: miss}, {want: miss, status: 200, body: "#3", sent: []string{"If-None-Match:"}}},
		},
	})
}

// Of other methods than GET and HEAD the origin knows what a condition or a range means: with a tag that matches, it answers 412
// (RFC 9110, sections 13.1.2 and 14.2).
func TestConditionsOfOtherMethods(t *testing.T) {
	for name, field := range map[string]string{
		"precondition": `If-None-Match: "a"`, "range": "Range: bytes=0-0",
	} {
		runScenarios(t, []scenario{{
			name, &cachecontrol.Transport{CacheableMethods: []string{"POST"}},
			[]reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(412)},
			[]step{
				{do: "POST /", want: miss}, {do: "POST /", want: hit},
				{do: "POST /", with: []string{field}, want: bypass, status: 412, sent: []string{field}},
				{do: "POST /", want: hit},
			},
		}})
	}
}

func TestRequestBodiesInKeys(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			b, _ := io.ReadAll(req.Body)
			req.Body.Close()
			return respond(200, fmt.Sprintf("#%d for %s", n, b), "Cache-Control: max-age=60", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		post := func(body, contentType string, want cachecontrol.Outcome, wantBody string) {
			t.Helper()
			req, err := http.NewRequest("POST", "http://example.com/", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", contentType)
			watched := &once{Reader: req.Body}
			req.Body = watched
			if a := send(t, tr, req); a.outcome != want || a.body != wantBody {
				t.Errorf("POST %q: %v %q, want %v %q", body, a.outcome, a.body, want, wantBody)
			}
			if !watched.closed {
				t.Errorf("POST %q: the request's body was not closed", body)
			}
		}
		post("a", "text/plain", miss, "#1 for a")
		post("a", "text/plain", hit, "#1 for a")
		post("b", "text/plain", miss, "#2 for b")
		post("a", "text/html", miss, "#3 for a")
		post("", "text/plain", miss, "#4 for ")
		post("a", "text/plain", hit, "#1 for a")
		// A body that can be read only once is none to make a key of.
		req := request(t, "POST /")
		req.Body = io.NopCloser(strings.NewReader("a"))
		if a := send(t, tr, req); a.outcome != bypass || a.body != "#5 for a" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// A request that is made again sends its body again; one whose body cannot be had again goes by the cache.
func TestAskingAgainWithABody(t *testing.T) {
	in(t, func(t *testing.T) {
		var got []string
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			b, err := io.ReadAll(req.Body)
			req.Body.Close()
			got = append(got, fmt.Sprint(string(b), err))
			if req.Header.Get("If-None-Match") != "" {
				return respond(304, "", `ETag: "of another"`)
			}
			return respond(200, fmt.Sprint("#", n), `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"POST"}}
		defer tr.Close()
		for i, want := range []string{"#1", "#3"} {
			req, err := http.NewRequest("POST", "http://example.com/", &once{Reader: strings.NewReader("body")})
			if err != nil {
				t.Fatal(err)
			}
			req.GetBody = func() (io.ReadCloser, error) { return &once{Reader: strings.NewReader("body")}, nil }
			if a := send(t, tr, req); a.body != want {
				t.Errorf("%d: %v %q, want %q", i, a.outcome, a.body, want)
			}
		}
		if want := []string{"body<nil>", "body<nil>", "body<nil>"}; !slices.Equal(got, want) {
			t.Errorf("the origin got %q", got)
		}

		long := strings.Repeat("x", 2<<20)
		for name, body := range map[string]func() (io.ReadCloser, error){
			"an error": func() (io.ReadCloser, error) { return nil, errFaulty },
			"too long": func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(long)), nil },
		} {
			req := request(t, "POST /")
			req.Body, req.GetBody = io.NopCloser(strings.NewReader("body")), body
			if a := send(t, tr, req); a.outcome != bypass {
				t.Errorf("%s: %v", name, a.outcome)
			}
		}
	})
}

func TestMaxBodyBytes(t *testing.T) {
	for _, length := range []int64{-1, 10, 11} {
		in(t, func(t *testing.T) {
			body := strings.Repeat("x", 10)
			want := hit
			if length == 11 {
				body, want = body+"x", miss
			}
			o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
				resp := respond(200, body, "Cache-Control: max-age=60")
				resp.ContentLength = length
				return resp
			})
			tr := &cachecontrol.Transport{Base: o, MaxBodyBytes: 10}
			defer tr.Close()
			do(t, tr, "/")
			if a := do(t, tr, "/"); a.outcome != want || a.body != body {
				t.Errorf("length %d: %v %q", length, a.outcome, a.body)
			}
		})
	}
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "0123456789", "x")
		})
		tr := &cachecontrol.Transport{Base: o, MaxBodyBytes: 10}
		defer tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "0123456789x" {
				t.Errorf("chunked: %v %q", a.outcome, a.body)
			}
		}
	})
}

// RoundTrip returns with the headers, and a body passes as it comes, coded or not.
func TestStreaming(t *testing.T) {
	in(t, func(t *testing.T) {
		r, w := io.Pipe()
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp := respond(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = r, -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp := open(t, tr, request(t, "/")) // the bubble would deadlock if it waited
		for _, piece := range []string{"one", "two"} {
			go io.WriteString(w, piece)
			b := make([]byte, 100)
			if n, err := resp.Body.Read(b); string(b[:n]) != piece || err != nil {
				t.Errorf("%q, %v", b[:n], err)
			}
		}
		go w.Close()
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "onetwo" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// A hit reads no more of the stored body than its reader does, and two readers do not wait for each other.
func TestHitsStream(t *testing.T) {
	body := strings.Repeat("0123456789", 100_000)
	for name, store := range fileStores(t) {
		in(t, func(t *testing.T) {
			o := replies(t, reply{body: body, fields: []string{"Cache-Control: max-age=60"}})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			do(t, tr, "/")
			one, two := open(t, tr, request(t, "/")), open(t, tr, request(t, "/"))
			defer one.Body.Close()
			defer two.Body.Close()
			b := make([]byte, 10)
			io.ReadFull(one.Body, b)
			do(t, tr, "DELETE /") // and what is open can be read to its end
			if got, err := io.ReadAll(two.Body); string(got) != body || err != nil {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if got, err := io.ReadAll(one.Body); string(got) != body[10:] || err != nil {
				t.Errorf("%s: %d bytes more, %v", name, len(got), err)
			}
		})
	}
}

// Whatever becomes of a request, its body is closed, and an error of the origin's is the caller's.
func TestRequestBodiesAreClosed(t *testing.T) {
	in(t, func(t *testing.T) {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			req.Body.Close()
			if req.URL.Path == "/down" {
				return nil, errFaulty
			}
			return respond(200, "body", "Cache-Control: max-age=60"), nil
		})
		tr := &cachecontrol.Transport{Base: base, CacheableMethods: []string{"GET", "QUERY"}}
		defer tr.Close()
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, test := range []struct {
			target, cc string
			ctx        context.Context
			err        error
		}{
			{"PUT /", "", t.Context(), nil},
			{"PUT /down", "", t.Context(), errFaulty},
			{"QUERY /", "", t.Context(), nil},
			{"QUERY /", "", t.Context(), nil}, // a hit
			{"QUERY /down", "", t.Context(), errFaulty},
			{"QUERY /other", "only-if-cached", t.Context(), nil},
			{"GET /", "", t.Context(), nil},
			{"GET /", "", cancelled, context.Canceled},
			{"PUT /", "", cancelled, context.Canceled},
		} {
			req := request(t, test.target).WithContext(test.ctx)
			body := &once{Reader: strings.NewReader("body")}
			req.Body, req.ContentLength = body, 4
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("body")), nil }
			if test.cc != "" {
				req.Header.Set("Cache-Control", test.cc)
			}
			unchanged := checkRequest(t, req)
			resp, err := tr.RoundTrip(req)
			unchanged()
			if err != test.err {
				t.Errorf("%s: %v, want %v", test.target, err, test.err)
			}
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.Request != req {
					t.Errorf("%s: the answer is not to this request", test.target)
				}
			}
			if !body.closed {
				t.Errorf("%s %s: the request's body was not closed", test.target, test.cc)
			}
		}
	})
}

func TestThroughAClient(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.URL.Path == "/old" {
				return respond(301, "moved", "Location: /new")
			}
			return respond(200, "here", "Cache-Control: max-age=60", "Set-Cookie: a=b")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		client := tr.Client()
		for i := range 3 {
			resp, err := client.Get("http://example.com/old")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "here" || resp.Request.URL.Path != "/new" || cachecontrol.FromCache(resp) != (i > 0) {
				t.Errorf("%d: %q from %v, %v", i, body, resp.Request.URL, resp.Header)
			}
		}
		if o.requests() != 2 {
			t.Errorf("%d requests", o.requests())
		}
	})
}

type idler struct {
	http.RoundTripper
	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestCloseIdleConnections(t *testing.T) {
	base := &idler{}
	tr := &cachecontrol.Transport{Base: base}
	tr.Client().CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("%d calls", base.closed)
	}
	(&cachecontrol.Transport{Base: roundTripper(nil)}).CloseIdleConnections() // it has no such method
	var m cachecontrol.Mounts
	m.Mount("http://", tr)
	m.CloseIdleConnections()
	if base.closed != 2 {
		t.Errorf("through Mounts: %d calls", base.closed)
	}
}

// closer is a store that can be closed.
type closer struct {
	*storage.DictCache
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

// A store belongs to who has made it: one that several Transports use stays open when one of them is closed, whatever it is.
func TestCloseLeavesTheStore(t *testing.T) {
	store := &closer{DictCache: storage.NewDictCache()}
	far := &closer{DictCache: storage.NewDictCache()}
	tiered := storage.Tiered(storage.NewDictCache(), far)
	defer tiered.Close()
	for name, s := range map[string]storage.Store{"own": store, "tiered": tiered} {
		o := replies(t, ok("Cache-Control: max-age=60"))
		a, b := &cachecontrol.Transport{Base: o, Store: s}, &cachecontrol.Transport{Base: o, Store: s}
		defer b.Close()
		do(t, a, "/")
		if err := a.Close(); err != nil || store.closed+far.closed != 0 {
			t.Errorf("%s: Close() = %v, the store was closed %d times, want 0", name, err, store.closed+far.closed)
		}
		if got := do(t, b, "/").outcome; got != hit {
			t.Errorf("%s: the other Transport: %v, want %v", name, got, hit)
		}
		if got := do(t, a, "/").outcome; got != miss {
			t.Errorf("%s: the closed Transport: %v, want %v", name, got, miss)
		}
	}
}

// After Close nothing is stored, and nothing found, whatever the store.
func TestAfterClose(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o}
		do(t, tr, "/")
		tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("%v %v", a.outcome, a.Header)
			}
		}
	})
}

// The zero value is a private cache in memory of a Transport's own.
func TestZeroValuesShareNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		one, two := &cachecontrol.Transport{Base: o}, &cachecontrol.Transport{Base: o}
		defer one.Close()
		defer two.Close()
		do(t, one, "/")
		if a := do(t, two, "/"); a.outcome != miss {
			t.Errorf("%v", a.outcome)
		}
	})
}

// Two Transports with different rules may share one store: each reads it by its own.
func TestTransportsShareAStore(t *testing.T) {
	in(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := replies(t, ok("Cache-Control: max-age=10, s-maxage=100"))
		private, shared := &cachecontrol.Transport{Base: o, Store: store}, &cachecontrol.Transport{Base: o, Store: store, Shared: true}
		defer private.Close()
		defer shared.Close()
		do(t, private, "/")
		if a := do(t, private, "/"); a.outcome != hit {
			t.Errorf("private: %v", a.outcome)
		}
		time.Sleep(50 * time.Second)
		if a := do(t, shared, "/"); a.outcome != hit {
			t.Errorf("shared: %v", a.outcome)
		}
		if a := do(t, private, "/"); a.outcome != miss {
			t.Errorf("private, after its max-age: %v", a.outcome)
		}
	})
}

// Options are read once: what a caller does with its slices later is its own affair.
func TestOptionsAreCopied(t *testing.T) {
	in(t, func(t *testing.T) {
		statuses := slices.Clone(cachecontrol.CacheControlStatusCodes)
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, CacheableStatusCodes: statuses, Heuristic: heuristics.LastModified}
		defer tr.Close()
		do(t, tr, "/")
		clear(statuses)
		do(t, tr, "/b")
		if a := do(t, tr, "/b"); a.outcome != hit {
			t.Errorf("%v", a.outcome)
		}
	})
}

// TestSlowErrorBody: what stands in for an origin that fails does not wait for the body of the failure.
func TestSlowErrorBody(t *testing.T) {
	in(t, func(t *testing.T) {
		never, write := io.Pipe()
		defer write.Close()
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			if n == 1 {
				return respond(200, "body", "Cache-Control: max-age=1, stale-if-error=60")
			}
			resp := respond(503, "")
			resp.Body, resp.ContentLength = never, -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(10 * time.Second)
		if a := do(t, tr, "/"); a.outcome != cachecontrol.Stale || a.body != "body" {
			t.Errorf("%v %q, want the stale response", a.outcome, a.body)
		}
	})
}
