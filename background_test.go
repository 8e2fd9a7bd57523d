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

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
)

// gated returns an origin whose responses wait for a signal, except the first.
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
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := gated(t, letGo)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		for range 10 {
			if a := do(t, tr, "/"); a.outcome != stale {
				t.Errorf("GET /: %v, want %v", a.outcome, stale)
			}
		}
		synctest.Wait()
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests, want the first and one more", n)
		}
		close(letGo)
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
	})
}

// A limited number of validations runs in the background. Stale responses beyond it are validated at a later request.
func TestRevalidationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
				t.Errorf("%d: %v, want %v", i, a.outcome, stale)
			}
		}
		synctest.Wait()
		close(letGo)
		synctest.Wait()
		if most == 0 || most > 32 {
			t.Errorf("%d ran at once, want 1 to 32", most)
		}
	})
}

func TestRevalidationHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := gated(t, nil)
		tr := &cachecontrol.Transport{Base: o, BackgroundTimeout: 5 * time.Second, Backoff: -1}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		do(t, tr, "/")
		time.Sleep(4 * time.Second)
		do(t, tr, "/")
		if n := o.requests(); n != 2 {
			t.Errorf("%d requests while the first goes on, want 2", n)
		}
		time.Sleep(2 * time.Second)
		do(t, tr, "/")
		synctest.Wait()
		if n := o.requests(); n != 3 {
			t.Errorf("%d requests after its end, want 3", n)
		}
	})
}

// Close cancels validations in the background and waits for them.
func TestCloseEndsRevalidations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
			t.Errorf("after Close: context error %v after %v, want an error at once", ctx.Err(), time.Since(start))
		}
		if err := tr.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		a := do(t, tr, "/", "Cache-Control: only-if-cached")
		synctest.Wait()
		if a.StatusCode != 504 || o.requests() != 2 {
			t.Errorf("after Close: %d, %d requests, want 504 and 2", a.StatusCode, o.requests())
		}
	})
}

type contextKey struct{}

// The context of a validation in the background has the values of the request's context, but not its end and its trace.
func TestRevalidationsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := gated(t, letGo)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "mine"), time.Second)
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{})
		if a := send(t, tr, request(t, "/").WithContext(ctx)); a.outcome != stale {
			t.Errorf("%v, want %v", a.outcome, stale)
		}
		cancel()
		time.Sleep(2 * time.Second)
		later := o.last().Context()
		if later.Value(contextKey{}) != "mine" || httptrace.ContextClientTrace(later) != nil || later.Err() != nil {
			t.Errorf("value %v, trace %v, error %v, want mine, nil, nil", later.Value(contextKey{}), httptrace.ContextClientTrace(later), later.Err())
		}
		close(letGo)
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("GET /: %v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
	})
}

// After a caller has closed the body it may change and reuse its request. This does not affect a validation in the
// background.
func TestRevalidationOfAReusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
			t.Errorf("%v, want %v", a.outcome, stale)
		}
		synctest.Wait() // until the origin has been asked
		req.URL.Path = "/b"
		req.Header.Set("X", "of the next one")
		time.Sleep(2 * time.Second)
		if a := do(t, tr, "/a"); a.outcome != hit || a.body != "#2 of /a" {
			t.Errorf("GET /a: %v %q, want %v %q", a.outcome, a.body, hit, "#2 of /a")
		}
	})
}

// A validation in the background sends the body of the request, although that body was closed when the stale response
// was returned.
func TestRevalidationWithABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, stale, "#1")
		}
		synctest.Wait()
		if a := post(); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
		if len(bodies) != 2 || bodies[0] != "query <nil>" || bodies[1] != "query <nil>" {
			t.Errorf("the origin got %q, want \"query <nil>\" twice", bodies)
		}
	})
}

// once is a body that cannot be read after Close.
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

func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60", `ETag: "1"`), status(500), status(304, "Cache-Control: max-age=60", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o, RefreshAhead: 20 * time.Second}
		defer tr.Close()
		hit := func(wait time.Duration, asked int) {
			t.Helper()
			time.Sleep(wait)
			if a := do(t, tr, "/"); a.outcome != cachecontrol.Hit || a.body != "#1" {
				t.Errorf("%v %q, want a hit", a.outcome, a.body)
			}
			synctest.Wait()
			if n := o.requests(); n != asked {
				t.Errorf("the origin was asked %d times, want %d", n, asked)
			}
		}
		do(t, tr, "/")
		hit(39*time.Second, 1) // a second before the window
		hit(2*time.Second, 2)  // refreshed in vain
		hit(10*time.Second, 2) // and not again before it expires
		time.Sleep(10 * time.Second)
		if a := do(t, tr, "/"); a.outcome != cachecontrol.Revalidated {
			t.Errorf("after its end: %v, want %v", a.outcome, cachecontrol.Revalidated)
		}
		hit(45*time.Second, 4) // a new window
		hit(50*time.Second, 5) // which gave it another 60 seconds, of which the last 20 are the next one
		do(t, tr, "HEAD /")    // HEAD refreshes nothing
		synctest.Wait()
		if n := o.requests(); n != 5 {
			t.Errorf("the origin was asked %d times, want 5", n)
		}
	})
}

// A validation in the background does not end when the context of its request ends.
func TestBackgroundOutlivesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n > 1 {
				select {
				case <-time.After(5 * time.Second):
				case <-req.Context().Done():
					return nil
				//lint:ignore SA1019 http.Client sets it
				case <-req.Cancel:
					return nil
				}
			}
			return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=10, stale-while-revalidate=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		client := &http.Client{Transport: tr, Timeout: 2 * time.Second}
		do(t, tr, "/")
		time.Sleep(15 * time.Second)
		req, cancel := request(t, "/"), make(chan struct{})
		//lint:ignore SA1019 callers of old set it
		req.Cancel = cancel
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.ReadAll(resp.Body)
		resp.Body.Close()
		close(cancel)
		time.Sleep(6 * time.Second)
		if a := do(t, tr, "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
	})
}

// A precondition of the caller is not sent in the background, even if its name is not in canonical form.
func TestNamesNotCanonicalInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=1, stale-while-revalidate=60", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(2 * time.Second)
		req := request(t, "/")
		for name, value := range map[string]string{"if-none-match": `"2"`, "range": "bytes=0-0", "x-api": "1"} {
			req.Header[name] = []string{value}
		}
		if a := send(t, tr, req); a.outcome != stale {
			t.Errorf("%v, want %v", a.outcome, stale)
		}
		synctest.Wait()
		want := http.Header{"Accept-Encoding": {"gzip, deflate"}, "If-None-Match": {`"1"`}}
		want[strings.ToLower("X-Api")] = []string{"1"}
		if diff := cmp.Diff(want, o.last().Header); diff != "" || o.requests() != 2 {
			t.Errorf("%d requests; the last (-want +got):\n%s", o.requests(), diff)
		}
	})
}
