package cachecontrol_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The body of a request is always closed, and the caller gets the error of the origin.
func TestRequestBodyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
					t.Errorf("%s: Request is %p, want %p", test.target, resp.Request, req)
				}
			}
			if !body.closed {
				t.Errorf("%s %s: the body of the request is closed: false, want true", test.target, test.cc)
			}
		}
	})
}

func TestThroughAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
				t.Errorf("%d: %q from %v, header %v, want %q from /new, from the cache: %v", i, body, resp.Request.URL, resp.Header, "here", i > 0)
			}
		}
		if o.requests() != 2 {
			t.Errorf("%d requests, want 2", o.requests())
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
		t.Errorf("%d calls, want 1", base.closed)
	}
	(&cachecontrol.Transport{Base: roundTripper(nil)}).CloseIdleConnections() // it has no such method
	var m cachecontrol.Mounts
	m.Mount("http://", tr)
	m.CloseIdleConnections()
	if base.closed != 2 {
		t.Errorf("through Mounts: %d calls, want 2", base.closed)
	}
}

// closer is a store with a Close method.
type closer struct {
	*storage.DictCache
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

// Close of a Transport does not close its Store, because other Transports may use it.
func TestCloseLeavesTheStore(t *testing.T) {
	store := &closer{DictCache: storage.NewDictCache()}
	far := &closer{DictCache: storage.NewDictCache()}
	tiered := storage.Tiered(storage.NewDictCache(), far, 0)
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

// After Close nothing is stored or found, in any store.
func TestAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o}
		do(t, tr, "/")
		tr.Close()
		for range 2 {
			if a := do(t, tr, "/"); a.outcome != miss {
				t.Errorf("GET /: %v, want %v; header: %v", a.outcome, miss, a.Header)
			}
		}
	})
}

// Each zero Transport has its own private cache in memory.
func TestZeroValuesShareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		one, two := &cachecontrol.Transport{Base: o}, &cachecontrol.Transport{Base: o}
		defer one.Close()
		defer two.Close()
		do(t, one, "/")
		if a := do(t, two, "/"); a.outcome != miss {
			t.Errorf("GET /: %v, want %v", a.outcome, miss)
		}
	})
}

// Slices in the fields of a Transport are copied at the first request.
func TestOptionsAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		statuses := []int{200, 301}
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, CacheableStatusCodes: statuses, Heuristic: heuristics.LastModified}
		defer tr.Close()
		do(t, tr, "/")
		clear(statuses)
		do(t, tr, "/b")
		if a := do(t, tr, "/b"); a.outcome != hit {
			t.Errorf("GET /b: %v, want %v", a.outcome, hit)
		}
	})
}
