package storage

import (
	"fmt"
	"os"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// spoolSize is how much of a body waits in memory: what is shorter is written in one go.
const spoolSize = 64 << 10

// spool is a temporary file that a body is written to. It counts and sums the body on the way.
type spool struct {
	f     *os.File
	buf   []byte // not yet written
	whole bool   // nothing is written yet: buf is all there is
	n     int64  // bytes of the body
	sum   uint32
	limit int64 // of n
	err   error // what every later call returns
}

// newSpool makes a temporary file beside path, which will begin with head. The spool owns head.
func (t *tree) newSpool(path string, head []byte, limit int64) (*spool, error) {
	f, err := t.temp(path)
	if err != nil {
		return nil, err
	}
	return &spool{f: f, buf: head, whole: true, limit: limit}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(p)) > s.limit-s.n {
		s.err = ErrTooLarge
		return 0, s.err
	}
	if len(s.buf)+len(p) > spoolSize {
		s.flush()
	}
	if len(s.buf) == 0 && len(p) > spoolSize/2 {
		s.write(p)
	} else {
		s.buf = append(s.buf, p...)
	}
	if s.err != nil {
		return 0, s.err
	}
	s.n += int64(len(p))
	s.sum = serialize.UpdateSum(s.sum, p)
	return len(p), nil
}

func (s *spool) flush() error {
	if s.err == nil && len(s.buf) > 0 {
		s.write(s.buf)
		s.buf = s.buf[:0]
	}
	return s.err
}

func (s *spool) write(p []byte) {
	s.whole = false
	if _, err := s.f.Write(p); err != nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
}

// patch overwrites bytes of the head.
func (s *spool) patch(p []byte, off int64) {
	if s.err != nil {
		return
	}
	if s.whole {
		copy(s.buf[off:], p)
		return
	}
	if _, err := s.f.WriteAt(p, off); err != nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
}

// close writes what is left and closes the file, which is then ready to be renamed. Where that fails the file is gone.
func (s *spool) close() error {
	s.flush()
	if err := s.f.Close(); err != nil && s.err == nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
	if s.err != nil {
		os.Remove(s.f.Name())
	}
	return s.err
}
