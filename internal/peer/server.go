package peer

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// ServerTimeout is far above what the start of a server takes. It only keeps one that does not start from holding up a
// test.
const ServerTimeout = time.Minute

// Server is a server program that a test has started on the loopback interface.
type Server struct {
	Addr string
	Args []string

	t    testing.TB
	exe  string
	ping string
	cmd  *exec.Cmd
}

// FreePort returns a port that nobody listens to.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// StartServer starts exe with args, which have it listen to port, and waits until it answers ping, in whatever way. The
// server ends with the test.
func StartServer(t testing.TB, port int, ping, exe string, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Args: args, t: t, exe: exe, ping: ping}
	s.Launch()
	t.Cleanup(s.Kill)
	return s
}

// Launch starts the server again after Stop or Kill, at the same address, and waits until it answers.
func (s *Server) Launch() {
	s.t.Helper()
	s.cmd = exec.Command(s.exe, s.Args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
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
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends the server as an administrator would, Kill without any notice. Both wait for its end.
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
		s.cmd.Wait()
		s.cmd = nil
	}
}
