//go:build unix

package chaos_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// hits makes requests for stored responses with several callers at once until f returns, and returns how many were
// answered from the store.
func hits(t *testing.T, tr *cachecontrol.Transport, paths []string, f func()) (hits, all int64) {
	t.Helper()
	for _, path := range paths {
		must(t, tr, "GET", path)
	}
	var stop atomic.Bool
	var made, hit atomic.Int64
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for n := i; !stop.Load(); n++ {
				got, _, err := fetch(t.Context(), tr, "GET", paths[n%len(paths)])
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				made.Add(1)
				if got == cachecontrol.Hit {
					hit.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	f()
	stop.Store(true)
	callers.Wait()
	t.Logf("%d hits of %d", hit.Load(), made.Load())
	return hit.Load(), made.Load()
}

func paths(n int) (all []string) {
	for i := range n {
		all = append(all, "/"+strconv.Itoa(i))
	}
	return all
}

// A server that stalls for a moment is not given up.
func TestStall(t *testing.T) {
	server := redistest.Start(t)
	tr := open(t, rediscache.New(newRedis(t, server.Addr)), new(origin))
	got, all := hits(t, tr, paths(10), func() {
		time.Sleep(100 * time.Millisecond)
		server.Pause()
		time.Sleep(600 * time.Millisecond)
		server.Resume()
		time.Sleep(2 * time.Second)
	})
	if got < all*9/10 {
		t.Errorf("%d hits of %d, want nearly all", got, all)
	}
}

// Long values that take longer than other calls are returned, and do not make the store give up the server.
func TestLongValues(t *testing.T) {
	l := through(t, redistest.Start(t).Addr)
	short := open(t, rediscache.New(newRedis(t, l.Listen)), &origin{size: 100})
	long := open(t, rediscache.New(newRedis(t, l.Listen)), &origin{size: 900_000})
	must(t, long, "GET", "/long")
	l.add("bandwidth", `"rate":1000`)
	got, all := hits(t, short, paths(10), func() {
		for range 3 {
			if got, _ := must(t, long, "GET", "/long"); got != cachecontrol.Hit {
				t.Errorf("a long response: %v, want a hit", got)
			}
		}
	})
	if got < all*9/10 {
		t.Errorf("%d hits of %d, want nearly all", got, all)
	}
}

// A server that hangs is given up, and is used again soon after it is back.
func TestGivenUp(t *testing.T) {
	l := through(t, redistest.Start(t).Addr)
	tr := open(t, rediscache.New(newRedis(t, l.Listen)), new(origin))
	hits(t, tr, paths(10), func() {
		l.hang()
		time.Sleep(2 * time.Second)
		start := time.Now()
		for i := range 100 {
			must(t, tr, "GET", fmt.Sprint("/", i%10))
		}
		if took := time.Since(start); took > 400*time.Millisecond {
			t.Errorf("100 requests took %v, want no time for a server that hangs", took)
		}
		l.heal()
		start = time.Now()
		for time.Since(start) < 20*time.Second {
			if got, _ := must(t, tr, "GET", "/1"); got == cachecontrol.Hit {
				t.Logf("the first hit was %v after the server was back", time.Since(start))
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("no hit within 20 s")
	})
}

// One server of several that hangs costs only the entries that it has.
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
			store, l := start(t)
			tr := open(t, store, new(origin))
			all := paths(60)
			for _, path := range all {
				must(t, tr, "GET", path)
			}
			l.hang()
			time.Sleep(50 * time.Millisecond)
			var lost int
			hits(t, tr, all, func() { time.Sleep(3 * time.Second) })
			for _, path := range all {
				if got, _ := must(t, tr, "GET", path); got != cachecontrol.Hit {
					lost++
				}
			}
			t.Logf("%d of %d entries are lost", lost, len(all))
			if lost > len(all)*3/4 {
				t.Errorf("%d of %d entries are lost, want only those of the server that hangs", lost, len(all))
			}
		})
	}
}
