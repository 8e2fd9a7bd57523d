//go:build unix && !aix

package peer

import "syscall"

// Pause has the server answer nothing, while its connections stay; Resume ends that.
func (s *Server) Pause() {
	s.signal(syscall.SIGSTOP)
	// The signal is sent; its threads go on until it is received.
	if _, err := syscall.Wait4(s.cmd.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil {
		s.t.Errorf("%s: %v", s.exe, err)
	}
}

func (s *Server) Resume() { s.signal(syscall.SIGCONT) }
