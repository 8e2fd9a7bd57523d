//go:build unix && !aix

package peer

import "syscall"

// Pause stops the server without closing its connections. Resume continues it.
func (s *Server) Pause() {
	s.signal(syscall.SIGSTOP)
	// Its threads run until the signal has been delivered.
	if _, err := syscall.Wait4(s.cmd.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil {
		s.t.Errorf("%s: %v", s.exe, err)
	}
}

func (s *Server) Resume() { s.signal(syscall.SIGCONT) }
