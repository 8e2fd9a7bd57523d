package cachecontrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	maxCalls     = 256                    // concurrent calls of a store; others wait
	maxHung      = 16                     // abandoned calls; if there are so many, new calls fail immediately
	storeGrace   = 100 * time.Millisecond // for a store that honors its context to return
	guardedHead  = 4 << 10                // bytes of a body that Get reads before it returns
	guardedChunk = 32 << 10               // bytes per later read
)

var (
	errStoreHangs = errors.New("cachecontrol: the store does not answer in time")
	errStoreBusy  = fmt.Errorf("%w: too many calls do not come back", storage.ErrSuspended)
	errStoreLies  = errors.New("cachecontrol: the store returned what cannot be")
)

// guarded wraps a Store that may block, panic or return invalid results. Each call runs in its own goroutine, which is
// abandoned if it takes longer than timeout, even if the store ignores its context. What an abandoned call stores or
// opens is deleted or closed.
type guarded struct {
	storage.Store
	timeout time.Duration
	failed  func(ctx context.Context, op, key string, err error)
	calls   chan struct{} // holds one element for each running call, including abandoned ones
	hung    atomic.Int32  // number of abandoned calls
}

func newGuarded(s storage.Store, timeout time.Duration, failed func(context.Context, string, string, error)) *guarded {
	return &guarded{Store: s, timeout: timeout, failed: failed, calls: make(chan struct{}, maxCalls)}
}

// call returns the results of f, or an error if ctx ends before f returns. In that case the results of f are passed to
// late. If too many calls are abandoned, f is not called, unless must is true.
func call[T any](g *guarded, ctx context.Context, must bool, f func() (T, error), late func(T, error)) (T, error) {
	var none T
	if !must {
		if g.hung.Load() >= maxHung {
			return none, errStoreBusy
		}
		select {
		case g.calls <- struct{}{}:
		case <-ctx.Done():
			return none, errStoreBusy
		}
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	var settled atomic.Bool // f has returned or was abandoned
	go func() {
		r := result{err: fmt.Errorf("%w: the goroutine was ended", errStoreLies)}
		defer func() {
			if p := recover(); p != nil {
				r = result{err: fmt.Errorf("%w: panic: %v", errStoreLies, p)}
			}
			if !must {
				defer func() { <-g.calls }()
			}
			if settled.CompareAndSwap(false, true) {
				done <- r
				return
			}
			defer g.hung.Add(-1)
			if late != nil {
				defer func() { recover() }() // late calls the store, which may panic
				late(r.v, r.err)
			}
		}()
		r.v, r.err = f()
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(storeGrace)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-timer.C:
	}
	g.hung.Add(1)
	if settled.CompareAndSwap(false, true) {
		return none, errStoreHangs
	}
	g.hung.Add(-1)
	r := <-done
	return r.v, r.err
}

// do is like call for an f that returns only an error.
func (g *guarded) do(ctx context.Context, must bool, f func() error, late func(error)) error {
	_, err := call(g, ctx, must, func() (struct{}, error) { return struct{}{}, f() }, func(_ struct{}, err error) {
		if late != nil {
			late(err)
		}
	})
	return err
}

func (g *guarded) Get(ctx context.Context, key string) (*storage.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	return call(g, ctx, false, func() (*storage.Response, error) {
		r, err := g.Store.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		if r == nil || r.Entry == nil || r.Body == nil {
			if r != nil && r.Body != nil {
				r.Body.Close()
			}
			return nil, fmt.Errorf("%w: neither an entry with a body nor an error", errStoreLies)
		}
		b := &guardedBody{g: g, key: key, body: r.Body, length: r.Entry.Length}
		if err := b.begin(); err != nil {
			r.Body.Close()
			return nil, err
		}
		own := *r
		switch seeker, seeks := r.Body.(io.Seeker); {
		case b.err == io.EOF: // head is the complete body, so no further call is needed
			r.Body.Close()
			own.Body = bytesbody.New(b.head)
		case seeks:
			own.Body = &guardedSeeker{b, seeker}
		default:
			own.Body = b
		}
		return &own, nil
	}, func(r *storage.Response, err error) {
		if err == nil {
			r.Body.Close()
		}
	})
}

func (g *guarded) Update(ctx context.Context, key string, e *serialize.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	return g.do(ctx, false, func() error { return g.Store.Update(ctx, key, e) }, func(err error) { g.forget(key, err) })
}

func (g *guarded) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	return g.do(ctx, false, func() error { return g.Store.Delete(ctx, key) }, nil)
}

// forget deletes an entry that an abandoned call has stored, because it may have been invalidated meanwhile. It does
// nothing if the call returned an error.
func (g *guarded) forget(key string, err error) {
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	g.Store.Delete(ctx, key)
}

// Create returns a Writer whose calls each have the full timeout, because a body may take any time. Its context ends
// when a call times out or when the Writer ends.
func (g *guarded) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(g.timeout, cancel)
	w, err := call(g, ctx, false, func() (storage.Writer, error) {
		w, err := g.Store.Create(ctx, key, e)
		if err == nil && w == nil {
			err = fmt.Errorf("%w: neither a writer nor an error", errStoreLies)
		}
		return w, err
	}, func(w storage.Writer, err error) {
		if err == nil {
			w.Abort()
		}
	})
	timer.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	return &guardedWriter{g: g, w: w, key: key, ctx: ctx, cancel: cancel, timer: timer}, nil
}

type guardedWriter struct {
	g      *guarded
	w      storage.Writer // nil after a call was abandoned: its goroutine owns the Writer
	key    string
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // cancels ctx; stopped between calls
	buf    []byte
}

func (w *guardedWriter) do(must bool, f func(storage.Writer) error, late func(error)) error {
	inner := w.w
	if inner == nil {
		return errStoreHangs
	}
	w.timer.Reset(w.g.timeout)
	err := w.g.do(w.ctx, must, func() error { return f(inner) }, late)
	w.timer.Stop()
	if err == errStoreHangs {
		w.w = nil
	}
	return err
}

func (w *guardedWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf[:0], p...) // the caller may reuse p while an abandoned call reads it
	buf := w.buf
	inner := w.w
	err := w.do(false, func(inner storage.Writer) error {
		n, err := inner.Write(buf)
		if err == nil && n != len(buf) {
			err = io.ErrShortWrite
		}
		return err
	}, func(error) { inner.Abort() })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *guardedWriter) Commit() error {
	defer w.cancel()
	return w.do(false, storage.Writer.Commit, func(err error) { w.g.forget(w.key, err) })
}

func (w *guardedWriter) Abort() error {
	defer w.cancel()
	return w.do(true, storage.Writer.Abort, nil)
}

// KeepDecoded may be called only if the store implements storage.DecodedKeeper.
func (g *guarded) KeepDecoded(key string, e *serialize.Entry, body []byte) {
	k := g.Store.(storage.DecodedKeeper)
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if err := g.do(ctx, false, func() error { k.KeepDecoded(key, e, body); return nil }, nil); err != nil {
		g.failed(ctx, "keep", key, err)
	}
}

// guardedBody is a body from a guarded store. It has the length that its entry has, or ends with an error. If the first
// bytes are wrong already, Get returns the error.
type guardedBody struct {
	g      *guarded
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
func (b *guardedBody) begin() error {
	size := int64(guardedHead)
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
func (b *guardedBody) judge(err error) error {
	switch {
	case b.length >= 0 && b.pos > b.length:
		return fmt.Errorf("%w: a body of more than the %d bytes that the entry speaks of", errStoreLies, b.length)
	case err == io.EOF && b.length >= 0 && b.pos < b.length:
		return fmt.Errorf("%w: a body of %d bytes instead of %d: %w", errStoreLies, b.pos, b.length, io.ErrUnexpectedEOF)
	}
	return err
}

func (b *guardedBody) Read(p []byte) (int, error) {
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
		b.buf = make([]byte, guardedChunk)
	}
	buf := b.buf[:min(len(p), cap(b.buf))]
	n, err := b.do(func() (int64, error) {
		n, err := b.body.Read(buf)
		if n < 0 || n > len(buf) {
			return 0, fmt.Errorf("%w: a count of %d of %d bytes", errStoreLies, n, len(buf))
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
func (b *guardedBody) do(f func() (int64, error)) (int64, error) {
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
	ctx, cancel := context.WithTimeout(context.Background(), b.g.timeout)
	defer cancel()
	n, err := call(b.g, ctx, false, func() (int64, error) {
		defer release()
		return f()
	}, nil)
	switch err {
	case errStoreHangs:
		b.lost = true
		return 0, err
	case errStoreBusy:
		release()
		return 0, err
	}
	return n, err
}

// Close leaves the closing to a Read in progress, if there is one.
func (b *guardedBody) Close() error {
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

// guardedSeeker is a guardedBody that can seek.
type guardedSeeker struct {
	*guardedBody
	seeker io.Seeker
}

func (s *guardedSeeker) Seek(offset int64, whence int) (int64, error) {
	b := s.guardedBody
	b.turn.Lock()
	defer b.turn.Unlock()
	if whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	if _, err := b.do(func() (int64, error) {
		n, err := s.seeker.Seek(offset, io.SeekStart)
		if err == nil && n != offset {
			err = fmt.Errorf("%w: another offset", errStoreLies)
		}
		return n, err
	}); err != nil {
		return 0, err
	}
	b.head, b.pos, b.err = nil, offset, nil
	return offset, nil
}
