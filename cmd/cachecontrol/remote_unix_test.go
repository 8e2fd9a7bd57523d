//go:build unix

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
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
			flags := append([]string{"--store", test.store(t)}, test.flags...)
			one, _ := startProxy(t, origin.URL, flags...)
			two, _ := startProxy(t, origin.URL, flags...)
			for i, proxy := range []string{one, two, one, two} {
				if _, body := do(t, "GET", proxy+"/page"); body != "answer 1" {
					t.Errorf("request %d: %q, want %q", i, body, "answer 1")
				}
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
