//go:build unix

package main

import (
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// A server that stalls for a moment is not given up, although several calls at once get no answer.
func TestStall(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	tr := open(t, rediscache.New(newRedis(t, server.Addr), rediscache.Timeout(time.Second)), new(origin))
	all := paths(10)
	warm(t, tr, all)
	before := failures(tr)
	server.Pause()
	var callers sync.WaitGroup
	for _, path := range all {
		callers.Go(func() {
			if _, _, err := fetch(t.Context(), tr, "GET", path); err != nil {
				t.Errorf("a request failed: %v", err)
			}
		})
	}
	until(t, "calls without an answer", func() bool { return failures(tr)-before >= uint64(len(all)) })
	server.Resume()
	callers.Wait()
	for _, path := range all {
		must(t, tr, "GET", path)
	}
	t.Logf("%d calls got no answer, and %d were not made", failures(tr)-before, sum(tr.Stats().StoreSuspended))
	if n := sum(tr.Stats().StoreSuspended); n > 0 {
		t.Errorf("%d calls were not made, want 0", n)
	}
}

// Long values that take longer than other calls are returned, and do not make the store give up the server.
func TestLongValues(t *testing.T) {
	t.Parallel()
	l := through(t, redistest.Start(t).Addr)
	store := rediscache.New(newRedis(t, l.Listen), rediscache.Timeout(time.Second))
	long := open(t, store, &origin{size: 900_000})
	warm(t, long, []string{"/long"})
	l.add("bandwidth", `"rate":400`) // KB/s: the value takes more than two timeouts
	n := 3
	if testing.Short() {
		n = 1
	}
	for range n {
		if got, _ := must(t, long, "GET", "/long"); got != cachecontrol.Hit {
			t.Errorf("a long response: %v, want a hit", got)
		}
	}
	if n := sum(long.Stats().StoreSuspended); n > 0 {
		t.Errorf("%d calls were not made, want 0", n)
	}
}

// A server that hangs is given up, and is used again after it is back.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	l := through(t, redistest.Start(t).Addr)
	tr := open(t, rediscache.New(newRedis(t, l.Listen)), new(origin))
	all := paths(10)
	warm(t, tr, all)
	l.hang()
	giveUp(t, tr, all)
	before := tr.Stats()
	for i := range 100 {
		must(t, tr, "GET", all[i%len(all)])
	}
	after := tr.Stats()
	if failed := sum(after.StoreErrors) - sum(before.StoreErrors); failed > 0 {
		t.Errorf("%d calls of 100 requests have waited for the server that hangs, want 0", failed)
	}
	t.Logf("100 requests: %d calls were not made", sum(after.StoreSuspended)-sum(before.StoreSuspended))
	l.heal()
	start := time.Now()
	until(t, "a hit after the server is back", func() bool {
		got, _ := must(t, tr, "GET", "/1")
		return got == cachecontrol.Hit
	})
	t.Logf("the first hit was %v after the server was back", time.Since(start))
}

// One server of several that hangs costs only the entries that it has. The others are validated if it has the marks of
// invalidations.
func TestOneOfSeveral(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (storage.Store, link){
		"ring": func(t *testing.T) (storage.Store, link) {
			addrs := map[string]string{"a": redistest.Start(t).Addr, "b": redistest.Start(t).Addr}
			l := through(t, redistest.Start(t).Addr)
			addrs["c"] = l.Listen
			ring := redis.NewRing(&redis.RingOptions{Addrs: addrs, ContextTimeoutEnabled: true, HeartbeatFrequency: time.Hour})
			t.Cleanup(func() { ring.Close() })
			return rediscache.New(ring), l
		},
		"memcached": func(t *testing.T) (storage.Store, link) {
			l := through(t, startMemcached(t))
			return newMemcached(t, startMemcached(t), l.Listen), l
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, l := start(t)
			tr := open(t, store, &origin{validates: true})
			all := paths(60)
			warm(t, tr, all)
			l.hang()
			giveUp(t, tr, all)
			if got := tr.Stats().SuspendedServers; len(got) != 1 {
				t.Errorf("given up: %q, want one server", got)
			}
			lost, validated := 0, 0
			for _, path := range all {
				switch got, _ := must(t, tr, "GET", path); got {
				case cachecontrol.Hit:
				case cachecontrol.Revalidated:
					validated++
				default:
					lost++
				}
			}
			t.Logf("%d of %d entries are lost, and %d validated", lost, len(all), validated)
			if lost > len(all)*3/4 {
				t.Errorf("%d of %d entries are lost, want only those of the server that hangs", lost, len(all))
			}
		})
	}
}
