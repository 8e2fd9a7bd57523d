package reliable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	maxCalls   = 256                    // concurrent calls of a store; others wait
	maxHung    = 16                     // abandoned calls; if there are so many, new calls fail immediately
	callGrace  = 100 * time.Millisecond // for a store that honors its context to return
	guardHead  = 4 << 10                // bytes of a body that Get reads before it returns
	guardChunk = 32 << 10               // bytes per later read
)

var (
	errHangs   = errors.New("cachecontrol: the store does not answer in time")
	errBusy    = fmt.Errorf("%w: too many calls have not returned", storage.ErrSuspended)
	errInvalid = errors.New("cachecontrol: the store returned an invalid result")
)

// guard wraps a Store that may block, panic or return invalid results. Each call runs in its own goroutine, which is
// abandoned if it takes longer than timeout, even if the store ignores its context; the contexts of Update and Delete
// have the timeout already. What an abandoned call stores or opens is deleted or closed.
type guard struct {
	storage.Store
	timeout time.Duration
	failed  func(ctx context.Context, op, key string, err error)
	calls   chan struct{} // holds one element for each running call, including abandoned ones
	hung    atomic.Int32  // number of abandoned calls
}

func newGuard(s storage.Store, timeout time.Duration, failed func(context.Context, string, string, error)) *guard {
	return &guard{Store: s, timeout: timeout, failed: failed, calls: make(chan struct{}, maxCalls)}
}

// panicError returns the error for a panic of the store.
func panicError(value any) error { return fmt.Errorf("%w: panic: %v", errInvalid, value) }

// begin waits until another call may run. It reports false if too many calls are abandoned, or if ctx ends first.
func (g *guard) begin(ctx context.Context) bool {
	if g.hung.Load() >= maxHung {
		return false
	}
	select {
	case g.calls <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// call returns the results of f, or an error if ctx ends before f returns. In that case the results of f are passed to
// late. If too many calls are abandoned, f is not called, unless must is true.
func call[T any](g *guard, ctx context.Context, must bool, f func() (T, error), late func(T, error)) (T, error) {
	var none T
	if !must && !g.begin(ctx) {
		return none, errBusy
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	var settled atomic.Bool // f has returned or was abandoned
	go func() {
		r := result{err: fmt.Errorf("%w: the goroutine was ended", errInvalid)}
		defer func() {
			if p := recover(); p != nil {
				r = result{err: panicError(p)}
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
	timer := time.NewTimer(callGrace)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-timer.C:
	}
	g.hung.Add(1)
	if settled.CompareAndSwap(false, true) {
		return none, errHangs
	}
	g.hung.Add(-1)
	r := <-done
	return r.v, r.err
}

// do is like call for an f that returns only an error.
func (g *guard) do(ctx context.Context, must bool, f func() error, late func(error)) error {
	_, err := call(g, ctx, must, func() (none struct{}, err error) { return none, f() }, func(_ struct{}, err error) {
		if late != nil {
			late(err)
		}
	})
	return err
}

func (g *guard) Get(ctx context.Context, key string) (*storage.Response, error) {
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
			return nil, fmt.Errorf("%w: neither an entry with a body nor an error", errInvalid)
		}
		b := &guardBody{g: g, key: key, body: r.Body, length: r.Entry.Length}
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
			own.Body = &guardSeeker{b, seeker}
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

func (g *guard) Update(ctx context.Context, key string, e *storage.Entry) error {
	return g.UpdateIf(ctx, key, e, nil)
}

// UpdateIf calls Update if the store is not a Comparer.
func (g *guard) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	may, end := untilEnd(may)
	defer end()
	return g.do(ctx, false, func() error {
		if c, ok := g.Store.(storage.Comparer); ok && may != nil {
			return c.UpdateIf(ctx, key, e, may)
		}
		return g.Store.Update(ctx, key, e)
	}, g.forget(key))
}

// untilEnd returns a function that is like may until end is called, and returns false afterwards: an abandoned call
// must not use what may refers to. end waits while may runs.
func untilEnd(may func(now *storage.Entry) bool) (until func(now *storage.Entry) bool, end func()) {
	if may == nil {
		return nil, func() {}
	}
	var mu sync.Mutex
	ended := false
	return func(now *storage.Entry) bool {
			mu.Lock()
			defer mu.Unlock()
			return !ended && may(now)
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			ended = true
		}
}

func (g *guard) Delete(ctx context.Context, key string) error {
	return g.do(ctx, false, func() error { return g.Store.Delete(ctx, key) }, nil)
}

// forget returns a function that deletes an entry that an abandoned call has stored, because it may have been
// invalidated meanwhile. The function does nothing if the call returned an error.
func (g *guard) forget(key string) func(error) {
	return func(err error) {
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
			defer cancel()
			g.Store.Delete(ctx, key)
		}
	}
}

// Create returns a Writer whose context ends when one of its calls times out or when the Writer ends.
func (g *guard) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(g.timeout, cancel)
	w, err := call(g, ctx, false, func() (storage.Writer, error) {
		w, err := g.Store.Create(ctx, key, e)
		if err == nil && w == nil {
			err = fmt.Errorf("%w: neither a writer nor an error", errInvalid)
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
	return &guardWriter{g: g, w: w, key: key, ctx: ctx, cancel: cancel, timer: timer}, nil
}

// KeepDecoded may be called only if the store implements storage.DecodedKeeper.
func (g *guard) KeepDecoded(key string, e *storage.Entry, body []byte) {
	k := g.Store.(storage.DecodedKeeper)
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if err := g.do(ctx, false, func() error { k.KeepDecoded(key, e, body); return nil }, nil); err != nil {
		g.failed(ctx, "keep", key, err)
	}
}
