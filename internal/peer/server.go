package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// ServerTimeout is far more than the start of a server takes. It stops a server that does not start from
// blocking a test.
const ServerTimeout = time.Minute

// Server is a server program that a test has started on the loopback interface.
type Server struct {
	Addr string
	Args []string

	t     testing.TB
	exe   string
	ping  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// FreePort returns an unused port that is not one of others. It is outside the range that systems use for
// outgoing connections, because one of those might take the port before the server does.
func FreePort(t testing.TB, others ...int) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(10000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		if !slices.Contains(others, port) {
			return port
		}
	}
	t.Fatalf("no free port found")
	return 0
}

// StartServer starts exe with args, which must make it listen on port, and waits until it sends any answer to
// ping. The server is stopped when the test ends.
func StartServer(t testing.TB, port int, ping, exe string, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Args: args, t: t, exe: exe, ping: ping}
	t.Cleanup(s.Kill)
	s.Launch()
	return s
}

// Launch starts the server, also again after Stop or Kill, and waits until it answers.
func (s *Server) Launch() {
	s.t.Helper()
	cmd, ended := exec.Command(s.exe, s.Args...), make(chan struct{})
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("%v", err)
	}
	go func() {
		cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended = cmd, ended
	ctx, cancel := context.WithTimeout(context.Background(), ServerTimeout)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			conn.SetDeadline(time.Now().Add(ServerTimeout))
			_, err = conn.Write([]byte(s.ping))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			conn.Close()
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.t.Fatalf("%s does not answer at %s: %v", s.exe, s.Addr, err)
		}
		select {
		case <-ended:
			s.t.Fatalf("%s has ended before it answered at %s: %v", s.exe, s.Addr, cmd.ProcessState)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop terminates the server with SIGTERM, and Kill with SIGKILL. Both wait until it has ended.
func (s *Server) Stop() { s.signal(syscall.SIGTERM); s.wait() }
func (s *Server) Kill() { s.signal(os.Kill); s.wait() }

func (s *Server) signal(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%s: %v", s.exe, err)
	}
}

func (s *Server) wait() {
	if s.cmd != nil {
		<-s.ended
		s.cmd = nil
	}
}
