// Package timelimit has contexts with a deadline that cost little if nothing waits for it.
package timelimit

import (
	"context"
	"sync"
	"time"
)

// Context is a context with a deadline. Its timer starts when its Done method is first called.
type Context struct {
	context.Context // the parent

	deadline time.Time

	mu     sync.Mutex      // guards the fields below
	ended  bool            // End was called
	timed  context.Context // with the timer; nil until Done is called
	cancel context.CancelFunc
}

// New returns a context that ends after d, or when its parent or End ends it.
func New(parent context.Context, d time.Duration) *Context {
	deadline := time.Now().Add(d)
	if own, ok := parent.Deadline(); ok {
		deadline = earlier(own, deadline)
	}
	return &Context{Context: parent, deadline: deadline}
}

// End ends the context. It must be called.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.timed != nil {
		c.cancel()
	}
}

func (c *Context) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed.Done()
}

func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.Context.Err()
	switch {
	case c.timed != nil:
		return c.timed.Err()
	case err == nil && c.ended:
		return context.Canceled
	case err == nil && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return err
}

// Value is that of the context with the timer, if there is one, so that contexts made of c need no goroutine.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil {
		return c.timed.Value(key)
	}
	return c.Context.Value(key)
}

// WithTimeout is like context.WithTimeout. If parent is a Context, its timer does not start, and the new context must be canceled
// before parent is.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if c, ok := parent.(*Context); ok {
		return context.WithDeadline(c.Context, earlier(c.deadline, time.Now().Add(d)))
	}
	return context.WithTimeout(parent, d)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
