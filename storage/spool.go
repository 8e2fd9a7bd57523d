package storage

import (
	"fmt"
	"os"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// spoolSize is how much of a body waits in memory: what is shorter is written in one go.
const spoolSize = 64 << 10

// spool takes a body on its way to a temporary file, which is made when there is something to write. It counts and sums the
// body.
type spool struct {
	tree  *tree
	path  string   // beside which the file is made
	f     *os.File // nil: nothing is written yet, buf is all there is
	buf   []byte   // not yet written
	space *[]byte  // what buf began as
	n     int64    // bytes of the body
	sum   uint32
	limit int64 // of n
	err   error // what every later call returns
}

// newSpool returns a spool for a file that is to be beside path, and to have about size bytes. The body has limit bytes at
// most.
func (t *tree) newSpool(path string, size, limit int64) spool {
	s := spool{tree: t, path: path, limit: limit, space: spoolBuffers.Get().(*[]byte)}
	s.buf = (*s.space)[:0]
	if size > int64(cap(s.buf)) {
		s.buf = make([]byte, 0, min(size, spoolSize))
	}
	return s
}

// spoolBuffers holds what small documents are put together in.
var spoolBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

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

// flush writes what is not yet written, and makes the file if that has not been done.
func (s *spool) flush() error {
	s.write(s.buf)
	s.buf = s.buf[:0]
	return s.err
}

func (s *spool) write(p []byte) {
	if s.f == nil && s.err == nil {
		s.f, s.err = s.tree.temp(s.path)
	}
	if s.err != nil || len(p) == 0 {
		return
	}
	if _, err := s.f.Write(p); err != nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
}

// patch overwrites bytes of the head.
func (s *spool) patch(p []byte, off int64) {
	if s.err != nil {
		return
	}
	if s.f == nil {
		copy(s.buf[off:], p)
		return
	}
	if _, err := s.f.WriteAt(p, off); err != nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
}

// close writes what is left and returns the file, which is closed and has a time of its own. Where that fails the file is gone.
// It may need what is in memory until free is called. first: there is probably no file of the entry yet; otherwise it has a name.
func (s *spool) close(first bool) (*newFile, error) {
	if s.err == nil && s.f == nil && first {
		return s.tree.newFile(s.path, s.buf, true)
	}
	if s.err == nil && s.f == nil {
		return s.tree.tempFile(s.path, s.buf, false)
	}
	if s.f == nil {
		return nil, s.err
	}
	s.flush()
	name := s.f.Name()
	if err := s.f.Close(); err != nil && s.err == nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
	if s.err == nil {
		t := newTime()
		if err := setTimes(name, t, t); err != nil {
			s.err = fmt.Errorf("storage: %w", err)
		}
	}
	if s.err != nil {
		os.Remove(name)
		return nil, s.err
	}
	return &newFile{tree: s.tree, path: s.path, name: name}, nil
}

// discard forgets what was written.
func (s *spool) discard() {
	defer s.free()
	if s.f != nil {
		discard(s.f)
	}
}

// free gives the buffer back.
func (s *spool) free() {
	s.buf = nil
	spoolBuffers.Put(s.space)
	s.space = nil
}
