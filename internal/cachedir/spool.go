package cachedir

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// spoolSize is the size of the buffer. A shorter file is written at once.
const spoolSize = 64 << 10

// spool writes a body to a temporary file, which it creates when there is something to write. It computes the
// length and the checksum of the body.
type spool struct {
	tree  *tree
	path  string   // in the directory of the file
	f     *os.File // nil until something has been written
	buf   []byte   // not yet written
	space *[]byte  // from spoolBuffers, the first memory of buf
	n     int64    // length of the body
	sum   uint32
	limit int64 // maximum of n
	err   error // returned by all later calls
}

// newSpool returns a spool for a file in the directory of path, of about size bytes, whose body may have up
// to limit bytes.
func (t *tree) newSpool(path string, size, limit int64) spool {
	s := spool{tree: t, path: path, limit: limit, space: spoolBuffers.Get().(*[]byte)}
	s.buf = (*s.space)[:0]
	if size > int64(cap(s.buf)) {
		s.buf = make([]byte, 0, min(size, spoolSize))
	}
	return s
}

// spoolBuffers holds buffers for small files.
var spoolBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

func (s *spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(p)) > s.limit-s.n {
		s.err = storage.ErrTooLarge
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
	s.sum = checksum.Update(s.sum, p)
	return len(p), nil
}

// written returns a reader of the body that was written so far, which begins at offset base of the file.
func (s *spool) written(base int64) (io.Reader, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case s.f == nil:
		return bytes.NewReader(s.buf[base:]), nil
	}
	return io.MultiReader(io.NewSectionReader(s.f, base, s.n-int64(len(s.buf))), bytes.NewReader(s.buf)), nil
}

// flush writes the buffer, and creates the file if necessary.
func (s *spool) flush() error {
	s.write(s.buf)
	s.buf = s.buf[:0]
	return s.err
}

func (s *spool) write(p []byte) {
	if s.f == nil && s.err == nil {
		removeAbandoned(s.tree.parent(s.path), time.Now())
		s.f, s.err = s.tree.temp(s.path)
	}
	if s.err != nil || len(p) == 0 {
		return
	}
	if _, err := s.f.Write(p); err != nil {
		s.err = fmt.Errorf("storage: %w", err)
	}
}

// restAge is the minimum age of a long temporary file that removeAbandoned removes. The file has a lock from the start, so a short
// time is enough.
const restAge = time.Minute

// removeAbandoned removes the long temporary files of dead processes in a leaf directory. Most of them are of the response that is
// about to be written, and so a download that is killed again and again leaves one of them, even if the directory is never swept.
func removeAbandoned(dir string, now time.Time) {
	list, err := readDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if fi, err := lstat(path); err == nil && fi.Mode().IsRegular() && fi.Size() > spoolSize/2 && now.Sub(fi.ModTime()) > restAge && unheld(path) {
			remove(path)
		}
	}
}

// patch overwrites bytes at the given offset of the file.
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

// close writes the rest and returns the closed file with a unique time. If it fails, it removes the file. The
// file may use the buffer until free is called. If first is true, there is probably no entry yet; otherwise
// the file has a name.
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

// discard removes the file.
func (s *spool) discard() {
	defer s.free()
	if s.f != nil {
		discard(s.f)
	}
}

// free returns the buffer to the pool.
func (s *spool) free() {
	s.buf = nil
	spoolBuffers.Put(s.space)
	s.space = nil
}
