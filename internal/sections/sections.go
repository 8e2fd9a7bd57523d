// Package sections has bodies of responses that are sections of other bodies.
package sections

import (
	"io"
	"net/http"
	"sync"
)

// Body reads sections of other bodies, one after the other. If a body ends before its section does, Read returns
// io.ErrUnexpectedEOF. Like the bodies of net/http, it may be read and closed concurrently. Close does not wait for Read.
type Body struct {
	buf [1]Section

	turn sync.Mutex // held by Read; guards rest and the numbers in the sections
	rest []Section  // the current one and the following ones

	mu     sync.Mutex // guards closed and the bodies in the sections
	closed bool
}

// Section is the part of another body of Length bytes that begins at Offset.
type Section struct {
	Body   io.ReadCloser                 // if nil, Open is called when the section is read
	Open   func() (io.ReadCloser, error) // returns the body
	Offset int64
	Length int64

	// Verify is true if the bytes before Offset are read and not skipped, so that a body whose checksum is wrong is noticed if
	// the section extends to its end.
	Verify bool
}

// Of returns a Body of the n bytes of body that begin at offset. If body cannot seek, the first Read skips to offset.
func Of(body io.ReadCloser, offset, n int64) *Body {
	b := new(Body)
	b.buf[0] = Section{Body: body, Offset: offset, Length: n}
	b.rest = b.buf[:]
	b.rest[0].seek()
	return b
}

// Join returns a Body of all sections. It keeps the slice. The bodies are closed as soon as their sections have been read, and the
// others when the Body is closed.
func Join(all []Section) *Body { return &Body{rest: all} }

func (b *Body) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	for len(b.rest) > 0 {
		s, err := b.current()
		if err != nil {
			return 0, err
		}
		n, err := s.read(p)
		if err != io.EOF || len(b.rest) == 1 {
			return n, err
		}
		b.next()
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// current returns the current section. It opens its body if needed.
func (b *Body) current() (*Section, error) {
	s := &b.rest[0]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, http.ErrBodyReadAfterClose
	}
	if s.Body != nil {
		return s, nil
	}
	b.mu.Unlock()
	body, err := s.Open()
	b.mu.Lock()
	switch {
	case err != nil:
		return nil, err
	case b.closed:
		body.Close()
		return nil, http.ErrBodyReadAfterClose
	}
	s.Body = body
	s.seek()
	return s, nil
}

// next closes the body of the current section, which has been read, and goes on to the next one.
func (b *Body) next() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.rest[0].Body.Close()
		b.rest = b.rest[1:]
	}
}

func (s *Section) seek() {
	if seeker, ok := s.Body.(io.Seeker); ok && s.Offset > 0 && !s.Verify {
		if _, err := seeker.Seek(s.Offset, io.SeekStart); err == nil {
			s.Offset = 0
		}
	}
}

func (s *Section) read(p []byte) (int, error) {
	if s.Offset > 0 {
		n, err := io.CopyN(io.Discard, s.Body, s.Offset)
		s.Offset -= n
		if err != nil {
			return 0, unexpected(err)
		}
	}
	if s.Length <= 0 {
		return 0, io.EOF
	}
	n, err := s.Body.Read(p[:min(int64(len(p)), s.Length)])
	s.Length -= int64(n)
	if s.Length > 0 {
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

// Close closes the bodies of the sections that have not been read, and returns the error of the last.
func (b *Body) Close() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	for i := range b.rest {
		if body := b.rest[i].Body; body != nil {
			err = body.Close()
		}
	}
	return err
}
