package cachecontrol_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestRefreshAhead(t *testing.T) {
	in(t, func(t *testing.T) {
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
			t.Errorf("after its end: %v", a.outcome)
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

func TestInvalidate(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60", "Vary: A"))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for _, path := range []string{"/a", "/b"} {
			do(t, tr, path, "A: 1")
			do(t, tr, path, "A: 2")
		}
		if err := tr.Invalidate(t.Context(), &url.URL{Scheme: "HTTP", Host: "Example.com", Path: "/a", Fragment: "x"}); err != nil {
			t.Error(err)
		}
		for _, test := range []struct {
			path, field string
			want        cachecontrol.Outcome
		}{{"/a", "A: 1", cachecontrol.Miss}, {"/a", "A: 2", cachecontrol.Miss}, {"/b", "A: 1", cachecontrol.Hit}, {"/b", "A: 2", cachecontrol.Hit}} {
			if a := do(t, tr, test.path, test.field); a.outcome != test.want {
				t.Errorf("%s %s: %v, want %v", test.path, test.field, a.outcome, test.want)
			}
		}
	})
}

// What was under way while its URL was invalidated is not stored.
func TestInvalidateUnderWay(t *testing.T) {
	in(t, func(t *testing.T) {
		u := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
		var tr *cachecontrol.Transport
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if n == 1 {
				tr.Invalidate(t.Context(), u)
			}
			return ok("Cache-Control: max-age=60").respond(n, req)
		})
		tr = &cachecontrol.Transport{Base: o}
		defer tr.Close()
		for i, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Miss, cachecontrol.Hit} {
			if a := do(t, tr, "/"); a.outcome != want {
				t.Errorf("request %d: %v, want %v", i+1, a.outcome, want)
			}
		}
	})
}

func TestInvalidateErrors(t *testing.T) {
	tr := &cachecontrol.Transport{Store: &faultyStore{Store: storage.NewDictCache(), method: "Delete", mode: "error"}}
	defer tr.Close()
	if err := tr.Invalidate(t.Context(), &url.URL{Path: "/"}); err == nil {
		t.Error("a URL without a host: no error")
	}
	if err := tr.Invalidate(t.Context(), &url.URL{Scheme: "http", Host: "a"}); !errors.Is(err, errFaulty) {
		t.Errorf("the store's error is %v, want %v", err, errFaulty)
	}
}
