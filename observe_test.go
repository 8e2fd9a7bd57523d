package cachecontrol_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// slowStore takes a second for each look-up of a plain key.
type slowStore struct{ storage.Store }

func (s slowStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if !strings.Contains(key, "#") {
		time.Sleep(time.Second)
	}
	return s.Store.Get(ctx, key)
}

// observed collects observations as text.
type observed struct {
	mu   sync.Mutex
	list []string
}

func (o *observed) add(seen cachecontrol.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if least := seen.Lookup + seen.Origin; seen.Took < least || seen.Took > least+time.Second {
		o.list = append(o.list, fmt.Sprintf("took %v", seen.Took)) // a second is for storing
	}
	status := 0
	if seen.Response != nil {
		status = seen.Response.StatusCode
	}
	o.list = append(o.list, fmt.Sprintf("%s %s %s: %d %s %s, background %t, lookup %v, origin %v", seen.Request.Method, seen.Request.URL.Path,
		seen.Key, status, seen.Result(), seen.Status.Reason, seen.Background, seen.Lookup, seen.Origin))
}

// take returns the observations since the last call.
func (o *observed) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			time.Sleep(3 * time.Second)
			if req.URL.Path == "/down" {
				return nil
			}
			return respond(200, "body", "Cache-Control: max-age=60, stale-while-revalidate=60", `ETag: "1"`)
		})
		tr := &cachecontrol.Transport{Base: o, Store: slowStore{storage.NewDictCache()}, StoreTimeout: 10 * time.Second}
		defer tr.Close()
		var seen observed
		stop := tr.Observe(seen.add)
		for _, step := range []struct {
			target, field string
			wait          time.Duration
			want          []string
		}{
			{"/a", "", 0, []string{"GET /a http://example.com/a: 200 miss uri-miss, background false, lookup 1s, origin 3s"}},
			{"/a", "", 0, []string{"GET /a http://example.com/a: 200 hit fresh, background false, lookup 1s, origin 0s"}},
			{"/a", "", 40 * time.Second, []string{
				"GET /a http://example.com/a: 200 stale stale-while-revalidate, background false, lookup 1s, origin 0s",
				"GET /a http://example.com/a: 200 miss stale-while-revalidate, background true, lookup 1s, origin 3s",
			}},
			{"/a", "Cache-Control: no-cache", 0, []string{"GET /a http://example.com/a: 200 miss request-no-cache, background false, lookup 1s, origin 3s"}},
			{"POST /a", "", 0, []string{"POST /a http://example.com/a: 200 bypass method, background false, lookup 0s, origin 3s"}},
			{"/b", "Cache-Control: only-if-cached", 0, []string{"GET /b http://example.com/b: 504 refused only-if-cached, background false, lookup 1s, origin 0s"}},
			{"/down", "", 0, []string{"GET /down http://example.com/down: 0 failed , background false, lookup 1s, origin 3s"}},
		} {
			time.Sleep(step.wait)
			req := request(t, step.target)
			if step.field != "" {
				req = request(t, step.target, step.field)
			}
			ask(t, tr, req)
			time.Sleep(30 * time.Second)
			if got := seen.take(); fmt.Sprint(got) != fmt.Sprint(step.want) {
				t.Errorf("%s %s is observed as\n%q, want\n%q", step.target, step.field, got, step.want)
			}
		}
		stop()
		stop()
		do(t, tr, "/a")
		if got := seen.take(); len(got) > 0 {
			t.Errorf("after stop, %q is observed, want nothing", got)
		}
	})
}

// Observers come and go while requests are made.
func TestObserversAreIndependent(t *testing.T) {
	tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60"))}
	defer tr.Close()
	var first, second observed
	stop := tr.Observe(first.add)
	defer tr.Observe(second.add)()
	do(t, tr, "/")
	stop()
	do(t, tr, "/")
	if a, b := len(first.take()), len(second.take()); a != 1 || b != 2 {
		t.Errorf("%d and %d requests are observed, want 1 and 2", a, b)
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 100 {
				stop := tr.Observe(first.add)
				do(t, tr, "/")
				stop()
			}
		})
	}
	work.Wait()
	if n := len(second.take()); n != 400 {
		t.Errorf("%d requests are observed, want 400", n)
	}
}

// The panic of an observer reaches the caller, and the body of the response is closed.
func TestObserverPanics(t *testing.T) {
	o := replies(t, ok("Cache-Control: no-store")) // fails if a body is not closed
	tr := &cachecontrol.Transport{Base: o}
	defer tr.Close()
	defer tr.Observe(func(cachecontrol.Observation) { panic("observer") })()
	if got := panicOf(func() { tr.RoundTrip(request(t, "/")) }); got != "observer" {
		t.Errorf("RoundTrip panics with %v, want %q", got, "observer")
	}
}
