//go:build unix

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// Callers with a deadline get their responses although the store's server hangs, and soon no request waits for it.
func TestDeadlines(t *testing.T) {
	for _, test := range []struct {
		name  string
		store func(t *testing.T) (storage.Store, link)
	}{
		{"redis", func(t *testing.T) (storage.Store, link) {
			l := through(t, redistest.Start(t).Addr)
			return rediscache.New(newRedis(t, l.Listen)), l
		}},
		{"memcached", func(t *testing.T) (storage.Store, link) {
			l := through(t, startMemcached(t))
			return newMemcached(t, l.Listen), l
		}},
	} {
		for _, deadline := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} {
			t.Run(fmt.Sprint(test.name, deadline), func(t *testing.T) {
				store, l := test.store(t)
				tr := open(t, store, new(origin))
				must(t, tr, "GET", "/a")
				l.hang()
				s := watchStutter(t)
				var made, failed, excused atomic.Int64
				var callers sync.WaitGroup
				until := time.Now().Add(2 * time.Second)
				for i := range 4 {
					callers.Go(func() {
						for n := 0; time.Now().Before(until); n++ {
							ctx, cancel := context.WithTimeout(t.Context(), deadline)
							late := s.late.Load()
							_, _, err := fetch(ctx, tr, "GET", fmt.Sprintf("/%d/%d", i, n%7))
							cancel()
							switch made.Add(1); {
							case err == nil:
							case !errors.Is(err, context.DeadlineExceeded):
								t.Errorf("a request failed: %v", err)
							case s.late.Load() != late:
								excused.Add(1)
							default:
								failed.Add(1)
							}
							time.Sleep(time.Millisecond)
						}
					})
				}
				callers.Wait()
				t.Logf("%d requests, %d failed, %d more while the machine was too busy", made.Load(), failed.Load(), excused.Load())
				if failed.Load() > 0 {
					t.Errorf("%d of %d requests failed, want 0", failed.Load(), made.Load())
				}
			})
		}
	}
}

// The caller's last Read does not wait for a server that hangs while the entry is committed.
func TestCommitBehind(t *testing.T) {
	l := through(t, redistest.Start(t).Addr)
	o := &origin{size: 1000}
	tr := open(t, rediscache.New(newRedis(t, l.Listen), rediscache.Timeout(2*time.Second)), o)
	must(t, tr, "GET", "/before")
	o.after = func(*http.Request) { l.hang() }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://example.com/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	took := time.Since(start)
	t.Logf("the body took %v", took)
	if err != nil || took > time.Second {
		t.Errorf("reading the body: %v after %v, want no error and less than the time that Redis gets", err, took)
	}
	l.heal()
	o.after = nil
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// The next request of the process finds the entry, although its commit has gone on behind the response.
func TestReadYourWrites(t *testing.T) {
	l := through(t, redistest.Start(t).Addr)
	tr := open(t, rediscache.New(newRedis(t, l.Listen)), new(origin))
	must(t, tr, "GET", "/before")
	l.add("latency", `"latency":70`)
	for i := range 5 {
		path := fmt.Sprint("/", i)
		must(t, tr, "GET", path)
		if got, _ := must(t, tr, "GET", path); got != cachecontrol.Hit {
			t.Errorf("the second GET %s = %v, want a hit", path, got)
		}
	}
}
