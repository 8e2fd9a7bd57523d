// Package redistest runs Redis servers for tests: on the loopback interface, with a free port and a directory of their
// own, and no longer than the test.
package redistest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

const install = "apt-get install redis-server"

// Server is a running redis-server.
type Server struct {
	*peer.Server
	t testing.TB
}

// Start starts a redis-server with further arguments, as "--maxmemory", "10mb". Where there is none the test ends as
// peer.Absent says.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, peer.FreePort(t), args...)
}

func start(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	exe := peer.Program(t, install, "redis-server")
	// A short path, and one that the server may still write to when the test's own directory is removed.
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil {
				t.Logf("redis-server:\n%s", log[max(0, len(log)-4<<10):])
			}
		}
		os.RemoveAll(dir)
	})
	// Any answer to PING will do: it may ask for a password.
	return &Server{peer.StartServer(t, port, "PING\r\n", exe, append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(dir, "log"),
	}, args...)...), t}
}

// Client returns a client of the server that ends with the test. It heeds contexts, and may be changed by options.
func (s *Server) Client(options ...func(*redis.Options)) *redis.Client {
	opt := &redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true}
	for _, o := range options {
		o(opt)
	}
	c := redis.NewClient(opt)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Cluster is a Redis Cluster of masters without replicas, which goes on when one of them is gone.
type Cluster struct {
	Servers []*Server
	t       testing.TB
}

// StartCluster starts a cluster of n servers, each with an equal part of the slots.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	ctx, cancel := context.WithTimeout(context.Background(), peer.ServerTimeout)
	defer cancel()
	for i := range n {
		port := peer.FreePort(t)
		s := start(t, port, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(peer.FreePort(t, port)), "--cluster-node-timeout", "1000",
			"--cluster-require-full-coverage", "no", "--cluster-config-file", "nodes.conf")
		c.Servers = append(c.Servers, s)
		const slots = 16384
		client := s.Client()
		if err := client.ClusterAddSlotsRange(ctx, i*slots/n, (i+1)*slots/n-1).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Servers[1:] {
		host, port, _ := net.SplitHostPort(s.Addr)
		var bus string
		for i, arg := range s.Args {
			if arg == "--cluster-port" {
				bus = s.Args[i+1]
			}
		}
		if err := c.Servers[0].Client().Do(ctx, "cluster", "meet", host, port, bus).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Servers {
		client := s.Client()
		for {
			info, err := client.ClusterInfo(ctx).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("the cluster does not come up: %v\n%s", err, info)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return c
}

// Addrs returns the addresses of all servers.
func (c *Cluster) Addrs() []string {
	var all []string
	for _, s := range c.Servers {
		all = append(all, s.Addr)
	}
	return all
}

// Client returns a client of the cluster that ends with the test, and heeds contexts.
func (c *Cluster) Client() *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true})
	c.t.Cleanup(func() { client.Close() })
	return client
}
