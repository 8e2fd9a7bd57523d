package reliable

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	maxCalls   = 256                    // concurrent calls of a store; others wait
	maxHung    = 16                     // abandoned calls; if there are so many, new calls fail immediately
	callGrace  = 100 * time.Millisecond // for a store that honors its context to return, or a quarter of its time if that is less
	guardHead  = 4 << 10                // bytes of a body that Get reads before it returns
	guardChunk = 32 << 10               // bytes per later read
)

var (
	errHangs   = fmt.Errorf("cachecontrol: the store does not answer in time: %w", context.DeadlineExceeded)
	errBusy    = fmt.Errorf("%w: too many calls have not returned", storage.ErrSuspended)
	errInvalid = errors.New("cachecontrol: the store returned an invalid result")
)

// guard wraps a Store that may block, panic or return invalid results. Each call runs in its own goroutine, which is
// abandoned if it takes longer than its share of the time, even if the store ignores its context; the contexts of Update
// and Delete end then already. What an abandoned call stores or opens is deleted or closed. A store that honors contexts is
// called directly.
type guard struct {
	storage.Store
	timeout time.Duration
	direct  bool // the store honors contexts
	commits *operation
	failed  func(ctx context.Context, op, key string, err error)
	calls   chan struct{} // holds one element for each running call, including abandoned ones
	hung    atomic.Int32  // number of abandoned calls
}

func newGuard(s storage.Store, timeout time.Duration, direct bool, failed func(context.Context, string, string, error)) *guard {
	return &guard{Store: s, timeout: timeout, direct: direct, failed: failed, calls: make(chan struct{}, maxCalls)}
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
	if g.direct {
		return recovered(f)
	}
	var none T
	grace := callGrace
	if deadline, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(deadline)/4)
	}
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
	timer := time.NewTimer(grace)
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

// recovered returns the results of f. A panic of f is an error.
func recovered[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
	}()
	return f()
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

// forget returns a function that deletes an entry that an abandoned call has stored, because it may have been
// invalidated meanwhile. The function does nothing if the call returned an error. An entry that says what was invalidated
// stays, because without it other entries would be used again.
func (g *guard) forget(key string) func(error) {
	return func(err error) {
		if err == nil && cachekey.InvalidationSuffix(key) == "" {
			ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
			defer cancel()
			g.Store.Delete(ctx, key)
		}
	}
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
