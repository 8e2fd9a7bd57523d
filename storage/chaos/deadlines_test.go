//go:build unix

package main

import (
	"context"
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
	// A call of the store could take all the time of a request. It gets half of it, and even a busy machine does not need the
	// other half for the rest.
	const deadline, timeout = 3 * time.Second, 3 * time.Second
	for name, start := range map[string]func(t *testing.T) (storage.Store, link){
		"redis": func(t *testing.T) (storage.Store, link) {
			l := through(t, redistest.Start(t).Addr)
			return rediscache.New(newRedis(t, l.Listen), rediscache.Timeout(timeout)), l
		},
		"memcached": func(t *testing.T) (storage.Store, link) {
			l := through(t, startMemcached(t))
			return newMemcached(t, l.Listen), l
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, l := start(t)
			tr := open(t, store, new(origin))
			warm(t, tr, paths(1))
			l.hang()
			var made, failed atomic.Int64
			ask := func(path string) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				made.Add(1)
				if _, _, err := fetch(ctx, tr, "GET", path); err != nil {
					t.Errorf("GET %s: %v", path, err)
					failed.Add(1)
				}
			}
			var callers sync.WaitGroup
			for i := range 4 {
				callers.Go(func() {
					ask(fmt.Sprint("/", i))
					if testing.Short() {
						return
					}
					for n := 0; len(tr.Stats().SuspendedServers) == 0 && n < 20; n++ {
						ask(fmt.Sprint("/", i, "/", n))
					}
				})
			}
			callers.Wait()
			t.Logf("%d requests, %d failed; given up: %d", made.Load(), failed.Load(), len(tr.Stats().SuspendedServers))
			if !testing.Short() && len(tr.Stats().SuspendedServers) == 0 {
				t.Error("the server is not given up")
			}
		})
	}
}

// The caller's last Read does not wait for a server that hangs while the entry is committed.
func TestCommitBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := &origin{size: 1000}
	tr := open(t, rediscache.New(newRedis(t, server.Addr), rediscache.Timeout(4*time.Second)), o)
	warm(t, tr, paths(1))
	o.after = func(*http.Request) { server.Pause() }
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
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
	stats := tr.Stats()
	t.Logf("the body took %v", time.Since(start))
	if n := sum(stats.StoreErrors); err != nil || n > 0 {
		t.Errorf("reading the body: %v and %d calls of the store that ended without an answer, want neither", err, n)
	}
	server.Resume()
	o.after = nil
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	other := open(t, rediscache.New(newRedis(t, server.Addr)), o)
	if got, _ := must(t, other, "GET", "/a"); got != cachecontrol.Hit {
		t.Errorf("after Close, another Transport: %v, want a hit", got)
	}
}

// The next request of the process finds the entry, although its commit has gone on behind the response.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	l := through(t, redistest.Start(t).Addr)
	tr := open(t, rediscache.New(newRedis(t, l.Listen), rediscache.Timeout(4*time.Second)), new(origin))
	warm(t, tr, paths(1))
	l.add("latency", `"latency":120`)
	// A commit that takes longer than a caller waits for it is found later, so one response that is found at once will do.
	for i := range 20 {
		path := fmt.Sprint("/new/", i)
		must(t, tr, "GET", path)
		if got, _ := must(t, tr, "GET", path); got == cachecontrol.Hit {
			t.Logf("the second GET of response %d is a hit", i+1)
			return
		}
	}
	t.Error("no second GET is a hit")
}
