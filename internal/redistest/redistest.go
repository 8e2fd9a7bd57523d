// Package redistest runs Redis servers for tests on the loopback interface. Each uses a free port and its own
// directory, and is stopped when the test ends. The package links no Redis client, so that modules without
// one can use it.
//
// The server is redis-server, or the program that CACHECONTROL_REDIS names, such as valkey-server.
package redistest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

const install = "apt-get install redis-server"

// Program returns the path of the server. If it is not installed, Program ends the test as peer.Absent does.
func Program(t testing.TB) string {
	t.Helper()
	return peer.Program(t, install, cmp.Or(os.Getenv("CACHECONTROL_REDIS"), "redis-server"))
}

// Server is a running server.
type Server struct {
	*peer.Server
	t testing.TB
}

// Start starts a redis-server with additional arguments, such as "--maxmemory", "10mb". If it is not
// installed, Start ends the test as peer.Absent does.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, peer.FreePort(t), args...)
}

func start(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	exe := Program(t)
	// The path is short, and outside the test's directory, to which the server could not write after its
	// removal.
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
	// Any answer to PING will do, even a request for a password.
	return &Server{peer.StartServer(t, port, "PING\r\n", exe, append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(dir, "log"),
	}, args...)...), t}
}

// command sends a command with redis-cli and returns the answer.
func (s *Server) command(ctx context.Context, args ...string) (string, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return "", err
	}
	exe := peer.Program(s.t, install, "redis-cli")
	out, err := exec.CommandContext(ctx, exe, append([]string{"-e", "-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("redis-cli %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Cluster is a Redis Cluster of masters without replicas. It stays in service if one of them fails.
type Cluster struct {
	Servers []*Server
	t       testing.TB
}

// StartCluster starts a cluster of n servers, each with an equal share of the slots.
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
		first, last := strconv.Itoa(i*slots/n), strconv.Itoa((i+1)*slots/n-1)
		for _, args := range [][]string{
			{"cluster", "addslotsrange", first, last},
			{"cluster", "set-config-epoch", strconv.Itoa(i + 1)},
		} {
			if _, err := s.command(ctx, args...); err != nil {
				t.Fatal(err)
			}
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
		if _, err := c.Servers[0].command(ctx, "cluster", "meet", host, port, bus); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Servers {
		for {
			info, err := s.command(ctx, "cluster", "info")
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("the cluster did not start: %v\n%s", err, info)
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
