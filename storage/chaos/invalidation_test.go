//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// What a process invalidates while it has given up the server is invalid for the others soon after the server is back.
func TestInvalidationWhileDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := through(t, server.Addr)
	o := new(origin)
	mine := open(t, rediscache.New(newRedis(t, l.Listen)), o)
	others := open(t, rediscache.New(newRedis(t, server.Addr)), o)
	warm(t, mine, []string{"/a"})
	if got, _ := must(t, others, "GET", "/a"); got != cachecontrol.Hit {
		t.Fatalf("the others: %v, want a hit", got)
	}
	l.hang()
	giveUp(t, mine, []string{"/b"})
	must(t, mine, "POST", "/a")
	if _, version := must(t, mine, "GET", "/a"); version != 1 {
		t.Errorf("the process that has invalidated it: version %d, want 1", version)
	}
	l.heal()
	start := time.Now()
	until(t, "the others get the new response", func() bool {
		_, version := must(t, others, "GET", "/a")
		return version == 1
	})
	t.Logf("the others saw it %v after the server was back", time.Since(start))
}

// A response that a process is receiving while another one invalidates it is not stored.
func TestInvalidatedWhileReceived(t *testing.T) {
	for _, test := range []struct {
		name   string
		stored bool // an old response is stored before
		store  func(t *testing.T) func() storage.Store
	}{
		{"redis", false, redisStores},
		{"redis, stored", true, redisStores},
		{"redis, tiered", false, tieredStores},
		{"redis, tiered, stored", true, tieredStores},
		{"memcached", false, func(t *testing.T) func() storage.Store {
			addr := startMemcached(t)
			return func() storage.Store { return newMemcached(t, addr) }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := test.store(t)
			o := new(origin)
			a, b := open(t, store(), o), open(t, store(), o)
			old := 0
			for i := range 20 {
				path := fmt.Sprint("/", i)
				ask := func(method string) { must(t, a, method, path) }
				if test.stored {
					ask("GET")
				}
				began, posted := make(chan bool), make(chan bool)
				o.after = func(req *http.Request) {
					if req.Method == "GET" {
						began <- true
						<-posted
					}
				}
				done := make(chan bool)
				go func() {
					defer close(done)
					req, _ := http.NewRequest("GET", "http://example.com"+path, nil)
					req.Header.Set("Cache-Control", "no-cache")
					resp, err := a.Client().Do(req)
					if err != nil {
						t.Errorf("GET: %v", err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}()
				<-began
				must(t, b, "POST", path)
				posted <- true
				<-done
				o.after = nil
				if _, version := must(t, b, "GET", path); version != 1 {
					old++
				}
			}
			if old > 0 {
				t.Errorf("%d of 20 old responses were stored, want 0", old)
			}
		})
	}
}

func redisStores(t *testing.T) func() storage.Store {
	addr := redistest.Start(t).Addr
	return func() storage.Store { return rediscache.New(newRedis(t, addr)) }
}

func tieredStores(t *testing.T) func() storage.Store {
	addr := redistest.Start(t).Addr
	return func() storage.Store {
		s := storage.Tiered(nil, rediscache.New(newRedis(t, addr)), 0)
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// What a process has invalidated stays invalid for it if the server loses that, because a replica that is behind takes
// its place.
func TestFailoverLosesInvalidation(t *testing.T) {
	t.Parallel()
	master, replica := redistest.Start(t), redistest.Start(t)
	o := new(origin)
	l := through(t, master.Addr)
	mine := open(t, rediscache.New(newRedis(t, l.Listen)), o)
	warm(t, mine, paths(20))
	copyAll(t, master.Addr, replica.Addr) // what the replica has
	for _, path := range paths(20) {
		must(t, mine, "POST", path)
	}
	master.Kill()
	if err := l.Update(&toxiproxy.Proxy{Listen: l.Listen, Upstream: replica.Addr, Enabled: true}); err != nil {
		t.Fatal(err)
	}
	client := newRedis(t, l.Listen)
	until(t, "the replica answers", func() bool { return client.Ping(t.Context()).Err() == nil })
	old := 0
	for _, path := range paths(20) {
		if _, version := must(t, mine, "GET", path); version != 1 {
			old++
		}
	}
	if old > 0 {
		t.Errorf("%d of 20 invalidated responses are back, want 0", old)
	}
}

// copyAll copies all keys from one server to another.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	source, target := newRedis(t, from), newRedis(t, to)
	keys, err := source.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		value, err := source.Get(t.Context(), key).Result()
		if err == nil {
			err = target.Set(t.Context(), key, value, 0).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
