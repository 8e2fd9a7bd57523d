// Package sections has bodies of responses that are sections of other bodies.
package sections

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// Body reads one or two sections of other bodies, one after the other. If a body ends before its section does, Read
// returns io.ErrUnexpectedEOF. Like the bodies of net/http, it may be read and closed concurrently. Close does not wait
// for Read.
type Body struct {
	closed atomic.Bool
	all    []section
	buf    [2]section // contains all

	turn sync.Mutex // held by Read; guards rest and the numbers in the sections
	rest []section  // the current one and the following ones
}

type section struct {
	io.ReadCloser
	skip, left int64
}

// Of returns a Body of the n bytes of body that begin at offset. If body cannot seek, the first Read skips to offset.
func Of(body io.ReadCloser, offset, n int64) *Body {
	if seeker, ok := body.(io.Seeker); ok {
		if _, err := seeker.Seek(offset, io.SeekStart); err == nil {
			offset = 0
		}
	}
	b := new(Body)
	return b.append(section{body, offset, n})
}

// Join returns a Body of the n bytes of first and the m bytes of second.
func Join(first io.ReadCloser, n int64, second io.ReadCloser, m int64) *Body {
	b := new(Body)
	return b.append(section{first, 0, n}, section{second, 0, m})
}

func (b *Body) append(s ...section) *Body {
	b.all = append(b.buf[:0], s...)
	b.rest = b.all
	return b
}

func (b *Body) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	for {
		n, err := b.rest[0].Read(p)
		if err != io.EOF || len(b.rest) == 1 {
			return n, err
		}
		b.rest = b.rest[1:]
		if n > 0 {
			return n, nil
		}
	}
}

func (s *section) Read(p []byte) (int, error) {
	if s.skip > 0 {
		n, err := io.CopyN(io.Discard, s.ReadCloser, s.skip)
		s.skip -= n
		if err != nil {
			return 0, unexpected(err)
		}
	}
	if s.left <= 0 {
		return 0, io.EOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if s.left > 0 {
		err = unexpected(err)
	}
	return n, err
}

// unexpected returns err, or io.ErrUnexpectedEOF in place of io.EOF.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close closes the other bodies, and returns the error of the last.
func (b *Body) Close() (err error) {
	if b.closed.Swap(true) {
		return nil
	}
	for i := range b.all {
		err = b.all[i].Close()
	}
	return err
}
