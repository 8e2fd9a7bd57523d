package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

const swr = "Cache-Control: max-age=10, stale-while-revalidate=20"

func TestStaleWhileRevalidate(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "stale at once, and fresh the next time",
			origin: []reply{ok(swr)},
			steps: []step{
				{want: miss}, {wait: 9 * time.Second, want: hit},
				{wait: 2 * time.Second, want: stale, body: "#1", head: []string{"Age: 11"}},
				{wait: time.Second, want: hit, body: "#2", head: []string{"Age: 1"}},
			},
		}, {
			name:   "with a validator",
			origin: []reply{ok(swr, `ETag: "a"`), status(304, swr, `ETag: "a"`)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, want: stale, body: "#1"},
				{wait: time.Second, want: hit, body: "#1", head: []string{"Age: 1"}},
			},
		}, {
			name:   "no longer than allowed",
			origin: []reply{ok(swr)},
			steps:  []step{{want: miss}, {wait: 31 * time.Second, want: miss, body: "#2"}},
		}, {
			name:   "must-revalidate is above it",
			origin: []reply{ok(swr + ", must-revalidate")},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, body: "#2"}},
		}, {
			name:   "a request that wants it fresh",
			origin: []reply{ok(swr)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"}},
		}, {
			name:   "a request for a range, and one with a condition: the whole is refreshed",
			origin: []reply{ok(swr, `ETag: "a"`), ok(swr, `ETag: "b"`)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, with: []string{"Range: bytes=1-"}, want: stale, status: 206, body: "1"},
				{wait: time.Second, want: hit, body: "#2"},
				{wait: 11 * time.Second, with: []string{`If-None-Match: "b"`}, want: stale, status: 304},
				{wait: time.Second, want: hit, body: "#3"},
			},
		}, {
			name:   "HEAD",
			origin: []reply{ok(swr, `ETag: "a"`)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, do: "HEAD /", want: stale}, {wait: time.Second, want: hit, body: "#1"}},
		},
	})
}

// gated is an origin whose answers wait for a signal from the second one on.
func gated(t *testing.T, letGo <-chan struct{}) *origin {
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		if n > 1 {
			select {
			case <-letGo:
			case <-req.Context().Done():
				return nil
			}
		}
		return respond(200, fmt.Sprintf("#%d", n), swr)
	})
}

func TestOneRevalidationForAKey(t *testing.T) {
	in(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := gated(t, letGo)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		for range 10 {
			if a := do(t, tr, "/"); a.outcome != stale {
				t.Errorf("%v", a.outcome)
			}
		}
		synctest.Wait()
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests, want the first and one more", n)
		}
		close(letGo)
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// However many keys are stale, only so many are asked about at once; the others are at a later request.
func TestRevalidationsAreBounded(t *testing.T) {
	in(t, func(t *testing.T) {
		const urls = 100
		letGo := make(chan struct{})
		var mu sync.Mutex
		seen := map[string]bool{}
		running, most := 0, 0
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			again := seen[req.URL.Path]
			seen[req.URL.Path] = true
			mu.Unlock()
			if again {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				<-letGo
				mu.Lock()
				running--
				mu.Unlock()
			}
			return respond(200, "body", swr), nil
		})
		tr := &cachecontrol.Transport{Base: base}
		defer tr.Close()
		for i := range urls {
			do(t, tr, fmt.Sprint("/", i))
		}
		time.Sleep(11 * time.Second)
		for i := range urls {
			if a := do(t, tr, fmt.Sprint("/", i)); a.outcome != stale {
				t.Errorf("%d: %v", i, a.outcome)
			}
		}
		synctest.Wait()
		close(letGo)
		synctest.Wait()
		if most == 0 || most > 32 {
			t.Errorf("%d ran at once", most)
		}
	})
}

func TestRevalidationHasADeadline(t *testing.T) {
	in(t, func(t *testing.T) {
		o := gated(t, nil)
		tr := &cachecontrol.Transport{Base: o, BackgroundTimeout: 5 * time.Second}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		time.Sleep(4 * time.Second)
		do(t, tr, "/")
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests while the first goes on", n)
		}
		time.Sleep(2 * time.Second)
		do(t, tr, "/")
		synctest.Wait()
		if n := o.requests(); n != 3 {
			t.Errorf("%d requests after its end", n)
		}
	})
}

// Close ends what runs in the background, and waits for it.
func TestCloseEndsRevalidations(t *testing.T) {
	in(t, func(t *testing.T) {
		o := gated(t, nil)
		tr := &cachecontrol.Transport{Base: o}
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		synctest.Wait()
		ctx := o.last().Context()
		start := time.Now()
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if ctx.Err() == nil || time.Since(start) != 0 {
			t.Errorf("after Close: %v, it took %v", ctx.Err(), time.Since(start))
		}
		if err := tr.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		a := do(t, tr, "/", "Cache-Control: only-if-cached")
		synctest.Wait()
		if a.StatusCode != 504 || o.requests() != 2 {
			t.Errorf("after Close: %d, %d requests", a.StatusCode, o.requests())
		}
	})
}

type contextKey struct{}

// The work in the background has the values of the request that started it, but neither its end nor its trace.
func TestRevalidationsContext(t *testing.T) {
	in(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := gated(t, letGo)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "mine"), time.Second)
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{})
		if a := send(t, tr, request(t, "/").WithContext(ctx)); a.outcome != stale {
			t.Errorf("%v", a.outcome)
		}
		cancel()
		time.Sleep(2 * time.Second)
		later := o.last().Context()
		if later.Value(contextKey{}) != "mine" || httptrace.ContextClientTrace(later) != nil || later.Err() != nil {
			t.Errorf("value %v, trace %v, %v", later.Value(contextKey{}), httptrace.ContextClientTrace(later), later.Err())
		}
		close(letGo)
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// A caller may use his request again, for another URL, once he has closed the body: the one in the background stays what it was.
func TestRevalidationOfAReusedRequest(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 2 {
				time.Sleep(time.Second)
			}
			return respond(200, fmt.Sprintf("#%d of %s", n, req.URL.Path), swr)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/a")
		time.Sleep(11 * time.Second)
		req := request(t, "/a")
		if a := send(t, tr, req); a.outcome != stale {
			t.Errorf("%v", a.outcome)
		}
		synctest.Wait() // until the origin has been asked
		req.URL.Path = "/b"
		req.Header.Set("X", "of the next one")
		time.Sleep(2 * time.Second)
		if a := do(t, tr, "/a"); a.outcome != hit || a.body != "#2 of /a" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
	})
}

// A revalidation sends the body that the request had, which was closed when the stale answer was given.
func TestRevalidationWithABody(t *testing.T) {
	in(t, func(t *testing.T) {
		var bodies []string
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			b, err := io.ReadAll(req.Body)
			req.Body.Close()
			bodies = append(bodies, fmt.Sprintf("%s %v", b, err))
			return respond(200, fmt.Sprint("#", n), swr)
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"POST"}}
		defer tr.Close()
		post := func() answer {
			req, err := http.NewRequest("POST", "http://example.com/", strings.NewReader("query"))
			if err != nil {
				t.Fatal(err)
			}
			req.Body = &once{Reader: req.Body}
			return send(t, tr, req)
		}
		post()
		time.Sleep(11 * time.Second)
		if a := post(); a.outcome != stale || a.body != "#1" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
		synctest.Wait()
		if a := post(); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
		if len(bodies) != 2 || bodies[0] != "query <nil>" || bodies[1] != "query <nil>" {
			t.Errorf("the origin got %q", bodies)
		}
	})
}

// once is a body that cannot be read once it is closed.
type once struct {
	io.Reader
	closed bool
}

func (b *once) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

func (b *once) Close() error { b.closed = true; return nil }

func TestStaleIfError(t *testing.T) {
	sie := "Cache-Control: max-age=10, stale-if-error=60"
	for name, failure := range map[string]reply{"down": down, "500": status(500), "502": status(502), "503": status(503), "504": status(504)} {
		runScenarios(t, []scenario{
			{
				name:   "allowed by the response: " + name,
				origin: []reply{ok(sie), failure},
				steps:  []step{{want: miss}, {wait: 11 * time.Second, want: stale, status: 200, body: "#1"}},
			}, {
				name:   "allowed by the request: " + name,
				origin: []reply{ok("Cache-Control: max-age=10"), failure},
				steps:  []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: stale-if-error=60"}, want: stale, body: "#1"}},
			}, {
				name:      "allowed by the Transport: " + name,
				transport: &cachecontrol.Transport{StaleIfError: time.Minute},
				origin:    []reply{ok("Cache-Control: max-age=10"), failure},
				steps:     []step{{want: miss}, {wait: 11 * time.Second, want: stale, body: "#1"}},
			},
		})
	}
	runScenarios(t, []scenario{
		{
			name:   "other errors pass",
			origin: []reply{ok(sie), status(404), status(501)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, status: 404}},
		}, {
			name:   "too late",
			origin: []reply{ok(sie), status(503)},
			steps:  []step{{want: miss}, {wait: 71 * time.Second, want: miss, status: 503}},
		}, {
			name:      "must-revalidate is above it",
			transport: &cachecontrol.Transport{StaleIfError: time.Hour},
			origin:    []reply{ok(sie + ", must-revalidate"), status(503)},
			steps:     []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: stale-if-error=60"}, want: miss, status: 503}},
		}, {
			name:   "not allowed",
			origin: []reply{ok("Cache-Control: max-age=10"), status(503), ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, status: 503}, {want: miss, body: "#3"}},
		}, {
			name:   "an error does not take away what is stored",
			origin: []reply{ok(sie, `ETag: "a"`), status(503), status(304)},
			steps:  []step{{want: miss}, {wait: 100 * time.Second, want: miss, status: 503}, {want: revalidated, body: "#1"}},
		},
	})
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=10, must-revalidate"), down)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		if resp, err := tr.RoundTrip(request(t, "/")); err == nil {
			t.Errorf("must-revalidate, and the origin is down: %v", resp)
		}
	})
}

func TestMaxStale(t *testing.T) {
	with := func(cc string) []string { return []string{"Cache-Control: " + cc} }
	runScenarios(t, []scenario{
		{
			name:   "within",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {wait: 15 * time.Second, with: with("max-stale=5"), want: stale, body: "#1", head: []string{"Age: 15"}},
				{wait: time.Second, with: with("max-stale=5"), want: miss, body: "#2"},
			},
		}, {
			name:   "without a bound",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 10000 * time.Hour, with: with("max-stale"), want: stale, body: "#1"}},
		}, {
			name:   "forbidden",
			origin: []reply{ok("Cache-Control: max-age=10, must-revalidate")},
			steps:  []step{{want: miss}, {wait: 15 * time.Second, with: with("max-stale"), want: miss, body: "#2"}},
		}, {
			name:   "with only-if-cached",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 15 * time.Second, with: with("max-stale, only-if-cached"), want: stale}},
		},
	})
}

func TestOnlyIfCached(t *testing.T) {
	with := []string{"Cache-Control: only-if-cached"}
	runScenarios(t, []scenario{{
		origin: []reply{ok("Cache-Control: max-age=10", "Vary: Accept")},
		steps: []step{
			{with: with, want: miss, status: 504}, {want: miss, body: "#1"}, {with: with, want: hit, body: "#1"},
			{with: append([]string{"Accept: x/y"}, with...), want: miss, status: 504},
			{wait: 10 * time.Second, with: with, want: miss, status: 504},
			{do: "HEAD /other", with: with, want: miss, status: 504},
			{with: append([]string{"Range: bytes=0-1,3-4"}, with...), want: miss, status: 504},
			{want: miss, body: "#2"},
		},
	}})
}
