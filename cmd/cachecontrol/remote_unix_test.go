//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Two proxies share the responses that one of them has fetched, in stores on real servers.
func TestProxiesShareAStore(t *testing.T) {
	redis := func(t *testing.T) string { return "redis://" + redistest.Start(t).Addr + "?prefix=web:" }
	for _, test := range []struct {
		name  string
		store func(t *testing.T) string
		flags []string
	}{
		{"redis", redis, nil},
		{"redis with memory in front of it", redis, []string{"--near", "1M"}},
		{"a cluster", func(t *testing.T) string {
			c := redistest.StartCluster(t, 3)
			return fmt.Sprintf("redis://%s?cluster=true&addr=%s", c.Addrs()[0], c.Addrs()[1])
		}, nil},
		{"memcached", func(t *testing.T) string {
			exe := peer.Program(t, "apt-get install memcached", "memcached")
			port := peer.FreePort(t)
			s := peer.StartServer(t, port, "version\r\n", exe, "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "nobody")
			return "memcached://" + s.Addr + "?prefix=web:"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int64
			origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=3600")
				fmt.Fprintf(w, "answer %d", asked.Add(1))
			})
			address := test.store(t)
			store := openStore(t, address)
			flags := append([]string{"--store", address}, test.flags...)
			one, _ := startProxy(t, origin.URL, flags...)
			two, _ := startProxy(t, origin.URL, flags...)
			for i, proxy := range []string{one, two, one, two} {
				if _, body := do(t, "GET", proxy+"/page"); body != "answer 1" {
					t.Errorf("request %d: %q, want %q", i, body, "answer 1")
				}
				awaitStored(t, store, origin.URL+"/page") // the client may have the body earlier
			}
			// A response deleted through one proxy is gone for the other, at the latest when it checks its memory.
			do(t, "DELETE", two+"/page")
			deadline := time.Now().Add(time.Minute)
			for {
				_, body := do(t, "GET", one+"/page")
				if body != "answer 1" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the other proxy still has the deleted response")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// openStore opens a store that is described as for --store, until the test ends.
func openStore(t *testing.T, address string) storage.Store {
	t.Helper()
	var s storeFlag
	if err := s.parse(address); err != nil {
		t.Fatal(err)
	}
	store, disconnect, err := s.open(&env{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disconnect() })
	return store
}

// awaitStored waits until the store has an entry under key.
func awaitStored(t *testing.T, store storage.Store, key string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		r, err := store.Get(t.Context(), key)
		if err == nil {
			r.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Get(%q) = %v, want an entry", key, err)
		}
	}
}

// Another process that shares a Redis server sees an invalidation within a second.
func TestInvalidateInRedis(t *testing.T) {
	store := "redis://" + redistest.Start(t).Addr
	var requests atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Cache-Groups", `"a"`)
	}))
	defer origin.Close()
	cache := &cachecontrol.Transport{Store: openStore(t, store)}
	defer cache.Close()
	get := func() int32 {
		resp, err := cache.Client().Get(origin.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for end := time.Now().Add(time.Minute); cache.Stats().Stored < uint64(requests.Load()) && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // it is stored after the caller has read it
		}
		return requests.Load()
	}
	get()
	if n := get(); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	for i, args := range [][]string{{"--group", "a", origin.URL}, {"--prefix", origin.URL}, {"--all"}} {
		if code, _, stderr := call(t, append([]string{"invalidate", "--store", store}, args...)...); code != exitOK {
			t.Fatalf("invalidate %q: %s", args, stderr)
		}
		want := int32(2 + i)
		for end := time.Now().Add(30 * time.Second); get() < want && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		}
		if n := get(); n != want {
			t.Errorf("after %q: %d requests, want %d", args, n, want)
		}
	}
}
