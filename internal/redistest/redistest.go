//go:build unix

// Package redistest runs Redis servers for tests: on the loopback interface, with a free port and a directory of their
// own, and no longer than the test.
package redistest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

const install = "apt-get install redis-server"

// ready is far above what a start takes. It only keeps a server that does not start from holding up a test.
const ready = time.Minute

// Server is a running redis-server.
type Server struct {
	Addr string

	t    testing.TB
	exe  string
	args []string
	cmd  *exec.Cmd
}

// Start starts a redis-server with further arguments, as "--maxmemory", "10mb". Where there is none the test ends as
// peer.Absent says.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	exe := peer.Program(t, install, "redis-server")
	// A short path, and one that the server may still write to when the test's own directory is removed.
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), t: t, exe: exe}
	s.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(dir, "log"),
	}, args...)
	s.Launch()
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil {
				t.Logf("redis-server %s:\n%s", s.Addr, log[max(0, len(log)-4<<10):])
			}
		}
		os.RemoveAll(dir)
	})
	return s
}

// freePort returns a port that nobody listens to.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Launch starts the server again after Stop or Kill, at the same address, and waits until it answers.
func (s *Server) Launch() {
	s.t.Helper()
	s.cmd = exec.Command(s.exe, s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			// Any answer will do: it may ask for a password.
			conn.SetDeadline(time.Now().Add(ready))
			_, err = conn.Write([]byte("PING\r\n"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			conn.Close()
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("redis-server does not answer at %s: %v", s.Addr, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends the server as an administrator would, Kill without any notice. Both wait for its end.
func (s *Server) Stop() { s.signal(syscall.SIGTERM); s.wait() }
func (s *Server) Kill() { s.signal(syscall.SIGCONT); s.signal(syscall.SIGKILL); s.wait() }

// Pause has the server answer nothing, while its connections stay; Resume ends that.
func (s *Server) Pause()  { s.signal(syscall.SIGSTOP) }
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("redis-server: %v", err)
	}
}

func (s *Server) wait() {
	if s.cmd != nil {
		s.cmd.Wait()
		s.cmd = nil
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	for i := range n {
		s := Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)), "--cluster-node-timeout", "1000",
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
		for i, arg := range s.args {
			if arg == "--cluster-port" {
				bus = s.args[i+1]
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
