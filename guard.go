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
	maxCalls     = 256                    // calls of a store at once; more wait
	maxHung      = 16                     // calls that hang; while so many do, others fail at once
	storeGrace   = 100 * time.Millisecond // for a store that heeds its context to say so
	guardedHead  = 4 << 10                // how much of a body is read before its head is used
	guardedChunk = 32 << 10               // how much of it is read at once
)

var (
	errStoreHangs = errors.New("cachecontrol: the store does not answer in time")
	errStoreBusy  = fmt.Errorf("%w: too many calls do not come back", storage.ErrSuspended)
	errStoreLies  = errors.New("cachecontrol: the store returned what cannot be")
)

// guarded is a Store that is not of this module's making, or waits for others: it may hang, whatever its context says,
// panic, or return what it should not. Each call is made in a goroutine of its own, which is left behind where it
// takes too long; what comes of it later is undone.
type guarded struct {
	storage.Store
	timeout time.Duration
	failed  func(ctx context.Context, op, key string, err error)
	calls   chan struct{} // holds one for each call under way, those left behind included
	hung    atomic.Int32  // calls left behind
}

func newGuarded(s storage.Store, timeout time.Duration, failed func(context.Context, string, string, error)) *guarded {
	return &guarded{Store: s, timeout: timeout, failed: failed, calls: make(chan struct{}, maxCalls)}
}

// call returns what f does, or an error once the context has ended and f has not. What f returns after that goes to
// late. Where too many calls hang already, f is not called, unless it must be.
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
	var settled atomic.Bool // by the end of f, or by nobody's waiting for it any more
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
				defer func() { recover() }() // it calls the store, too
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

// do is call for what returns an error alone.
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
		case b.err == io.EOF: // the head is all of it, and needs no call more
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

// forget deletes what was stored, unless with an error, after it had been given up: it may have been invalidated meanwhile.
func (g *guarded) forget(key string, err error) {
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	g.Store.Delete(ctx, key)
}

// Create returns a Writer for which the timeout counts anew at each call: a body may be under way for as long as it
// takes. Its context ends only with a call that takes too long, or with the Writer.
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
	w      storage.Writer // nil once a call of it was given up: it is the goroutine's that makes it
	key    string
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // ends the context; stopped between the calls
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
	w.buf = append(w.buf[:0], p...) // the caller may use p again while the store still reads it
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

// KeepDecoded is for a store that implements storage.DecodedKeeper.
func (g *guarded) KeepDecoded(key string, e *serialize.Entry, body []byte) {
	k := g.Store.(storage.DecodedKeeper)
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if err := g.do(ctx, false, func() error { k.KeepDecoded(key, e, body); return nil }, nil); err != nil {
		g.failed(ctx, "keep", key, err)
	}
}

// guardedBody is a body of a guarded store. It is as long as its entry says, or ends in an error; what is wrong from the
// start is found by Get, which then has found nothing.
type guardedBody struct {
	g      *guarded
	key    string
	body   io.ReadCloser
	length int64 // -1: not known

	turn sync.Mutex // held by Read and Seek
	head []byte     // read, and not given yet
	pos  int64      // of what was read
	err  error      // what comes after head; sticky
	lost bool       // a call was left behind, and has the body now
	buf  []byte

	mu      sync.Mutex // guards what follows, for Close does not wait for its turn
	reading bool       // there is a call that closes the body, if it is closed meanwhile
	closed  bool
}

// begin reads the head of the body. The goroutine that calls it may be left behind, so nobody else has the body yet.
func (b *guardedBody) begin() error {
	size := int64(guardedHead)
	if b.length >= 0 {
		size = min(size, b.length)
	}
	buf := make([]byte, size+1) // one more, to see an end right there
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

// judge returns what a read that has come to b.pos with an error, or none, really ends with.
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

// do calls f, which uses the body.
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

// Close leaves closing to a Read that is under way.
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
