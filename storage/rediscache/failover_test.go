//go:build unix

package rediscache_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// TestFailover has Sentinel put a replica in the place of a master that was killed: requests go on, and what was
// stored before is a hit again.
func TestFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	redistest.Start(t, "--replicaof", host, port)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	sentinelPort := peer.FreePort(t)
	if err := os.WriteFile(conf, fmt.Appendf(nil, "port %d\nbind 127.0.0.1\nsentinel monitor main %s %s 1\n"+
		"sentinel down-after-milliseconds main 600000\nsentinel failover-timeout main 60000\n", sentinelPort, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := peer.StartServer(t, sentinelPort, "PING\r\n", redistest.Program(t), conf, "--sentinel")
	asked := redis.NewSentinelClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(sentinelPort))})
	defer asked.Close()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		replicas, err := asked.Replicas(t.Context(), "main").Result()
		if err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok" && replicas[0]["flags"] == "slave" {
			break
		}
		if time.Since(start) > 2*time.Minute {
			t.Fatalf("Sentinel does not know the replica: %v %v", replicas, err)
		}
	}

	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "main", SentinelAddrs: []string{sentinel.Addr}, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	tr := &cachecontrol.Transport{Base: origin{}, Store: rediscache.New(client)}
	defer tr.Close()
	until := func(path string, meanwhile func() error) (requests int) {
		t.Helper()
		for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			got, err := fetch(tr, path)
			if err != nil {
				t.Fatal(err)
			}
			if requests++; got == cachecontrol.Hit {
				return requests
			}
			if err := meanwhile(); time.Since(start) > 2*time.Minute {
				t.Fatalf("%s is not a hit for two minutes; Sentinel: %v", path, err)
			}
		}
	}
	nothing := func() error { return nil }
	until("/a", nothing)
	if n, err := newClient(t, master.Addr).Wait(t.Context(), 1, time.Minute).Result(); n != 1 || err != nil {
		t.Fatalf("not replicated: %d, %v", n, err)
	}
	master.Kill()
	start := time.Now()
	// Sentinel does not decide by itself. If a busy machine lets it stand for two seconds, it does nothing for thirty more, and then
	// no replica is good enough that has been without a master for ten times down-after-milliseconds. It refuses to fail over
	// while it does so, and afterwards.
	n := until("/a", func() error { return asked.Failover(t.Context(), "main").Err() })
	t.Logf("a hit again after %v and %d requests, none of which failed", time.Since(start).Round(time.Millisecond), n)
	until("/b", nothing)
}
