package reliable

import (
	"context"
	"sync"
	"time"
)

// withTimeout returns a context for a call of the store that does not end with the request. It has a deadline unless
// the store does not block or is guarded; the guard sets its own.
func (s *Store) withTimeout(ctx context.Context) (limited context.Context, release func()) {
	if s.traits.Memory {
		return ctx, func() {}
	}
	ctx = context.WithoutCancel(ctx)
	if !s.traits.Local {
		return ctx, func() {}
	}
	d := &deadline{Context: ctx, at: time.Now().Add(s.timeout)}
	return d, d.release
}

// deadline is a context with a deadline that creates a timer only when Done is called.
type deadline struct {
	context.Context
	at time.Time

	mu     sync.Mutex // guards what follows
	timed  context.Context
	cancel context.CancelFunc
}

func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

func (d *deadline) Done() <-chan struct{} { return d.wait().Done() }

func (d *deadline) Err() error {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Err() // also after release, when Done is closed
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value makes contexts derived from d end with it without a goroutine: package context finds the context behind Done.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

func (d *deadline) wait() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.timed
}

func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}
