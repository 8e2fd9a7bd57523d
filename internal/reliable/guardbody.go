package reliable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// guardBody is a body from a guarded store. It has the length that its entry has, or ends with an error. If the first
// bytes are wrong already, Get returns the error.
type guardBody struct {
	g      *guard
	key    string
	body   io.ReadCloser
	length int64 // -1 if not known

	turn sync.Mutex // held by Read and Seek
	head []byte     // read from body, but not returned yet
	pos  int64      // number of bytes read from body
	err  error      // error to return after head; sticky
	lost bool       // an abandoned call owns body
	buf  []byte

	mu      sync.Mutex // guards the following; Close does not wait for turn
	reading bool       // a call is in progress; it closes body if closed becomes true
	closed  bool
}

// begin reads the head of the body. It runs in the goroutine of Get, which may be abandoned, so the body is not shared
// yet.
func (b *guardBody) begin() error {
	size := int64(guardHead)
	if b.length >= 0 {
		size = min(size, b.length)
	}
	buf := make([]byte, size+1) // one more, to detect EOF
	n, err := io.ReadFull(b.body, buf)
	b.head, b.pos = buf[:n], int64(n)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.err = b.judge(err)
	if b.err != nil && b.err != io.EOF {
		return b.err
	}
	return nil
}

// judge returns the error for a read that has reached b.pos with err: an error about the length if that is wrong,
// otherwise err.
func (b *guardBody) judge(err error) error {
	switch {
	case b.length >= 0 && b.pos > b.length:
		return fmt.Errorf("%w: a body longer than the %d bytes of its entry", errInvalid, b.length)
	case err == io.EOF && b.length >= 0 && b.pos < b.length:
		return fmt.Errorf("%w: a body of %d bytes instead of %d: %w", errInvalid, b.pos, b.length, io.ErrUnexpectedEOF)
	}
	return err
}

func (b *guardBody) Read(p []byte) (int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if cap(b.buf) == 0 {
		b.buf = make([]byte, guardChunk)
	}
	buf := b.buf[:min(len(p), cap(b.buf))]
	n, err := b.do(func() (int64, error) {
		n, err := b.body.Read(buf)
		if n < 0 || n > len(buf) {
			return 0, fmt.Errorf("%w: a count of %d of %d bytes", errInvalid, n, len(buf))
		}
		return int64(n), err
	})
	b.pos += n
	if b.err = b.judge(err); b.err != nil && b.err != io.EOF {
		b.g.failed(context.Background(), "read", b.key, b.err)
		return 0, b.err
	}
	return copy(p, buf[:n]), b.err
}

// do calls f, which uses the body, with the timeout.
func (b *guardBody) do(f func() (int64, error)) (int64, error) {
	b.mu.Lock()
	if b.closed || b.lost {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.reading = true
	b.mu.Unlock()
	release := func() {
		b.mu.Lock()
		b.reading = false
		closed := b.closed
		b.mu.Unlock()
		if closed {
			b.body.Close()
		}
	}
	if b.g.direct {
		defer release()
		return recovered(f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.g.timeout)
	defer cancel()
	n, err := call(b.g, ctx, false, func() (int64, error) {
		defer release()
		return f()
	}, nil)
	switch err {
	case errHangs:
		b.lost = true
		return 0, err
	case errBusy:
		release()
		return 0, err
	}
	return n, err
}

// Close leaves the closing to a Read in progress, if there is one.
func (b *guardBody) Close() error {
	b.mu.Lock()
	mine := !b.closed && !b.reading
	b.closed = true
	b.mu.Unlock()
	if !mine {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.g.timeout)
	defer cancel()
	return b.g.do(ctx, true, b.body.Close, nil)
}

// guardSeeker is a guardBody that can seek.
type guardSeeker struct {
	*guardBody
	seeker io.Seeker
}

func (s *guardSeeker) Seek(offset int64, whence int) (int64, error) {
	b := s.guardBody
	b.turn.Lock()
	defer b.turn.Unlock()
	if whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	if _, err := b.do(func() (int64, error) {
		n, err := s.seeker.Seek(offset, io.SeekStart)
		if err == nil && n != offset {
			err = fmt.Errorf("%w: another offset", errInvalid)
		}
		return n, err
	}); err != nil {
		return 0, err
	}
	b.head, b.pos, b.err = nil, offset, nil
	return offset, nil
}
