// Package detachable implements a context that can outlive the context that it was made from.
package detachable

import (
	"context"
	"sync"
	"time"
)

// Context has the values of its parent and ends with it, until Detach is called. After that only Cancel and End end it. A nil
// *Context stands for one that never ends: its methods Detach, Release, Cancel and End may be called.
//
// It implements AfterFunc, so that package context starts no goroutine for contexts that are derived from it.
type Context struct {
	parent  context.Context
	done    chan struct{}
	unwatch func() bool // stops watching the parent

	mu       sync.Mutex // guards the following fields
	err      error      // why the context has ended; nil if it has not
	detached bool
	after    map[*func()]struct{}
}

// New returns a Context, or nil if parent never ends.
func New(parent context.Context) *Context {
	if parent.Done() == nil {
		return nil
	}
	return NewCancelable(parent)
}

// NewCancelable returns a Context, also if parent never ends.
func NewCancelable(parent context.Context) *Context {
	c := &Context{parent: parent, done: make(chan struct{})}
	c.unwatch = context.AfterFunc(parent, c.follow)
	return c
}

// follow ends c if the parent has ended and c is not detached.
func (c *Context) follow() {
	err := c.parent.Err()
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.detached {
		c.end(err)
	}
}

// end ends c. The caller holds c.mu.
func (c *Context) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	for f := range c.after {
		go (*f)()
	}
	c.after = nil
}

// Detach detaches c from its parent. It reports false if c has ended already.
func (c *Context) Detach() bool {
	if c == nil {
		return true
	}
	c.follow()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.detached = true
	c.unwatch()
	return true
}

// Release stops watching the parent, because the request is complete.
func (c *Context) Release() {
	if c != nil {
		c.unwatch()
	}
}

// Cancel ends c.
func (c *Context) Cancel() { c.End(context.Canceled) }

// End ends c with an error, which Err returns.
func (c *Context) End(err error) {
	if c == nil {
		return
	}
	c.unwatch()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(err)
}

// Deadline returns the deadline of the parent, or none if c is detached.
func (c *Context) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detached {
		return time.Time{}, false
	}
	return c.parent.Deadline()
}

// Done returns a channel that is closed when c ends.
func (c *Context) Done() <-chan struct{} { return c.done }

// Err returns why c has ended, or nil.
func (c *Context) Err() error {
	c.follow() // its goroutine may come later
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value returns the value of the parent.
func (c *Context) Value(key any) any { return c.parent.Value(key) }

// AfterFunc calls f in its own goroutine after c has ended, as context.AfterFunc does.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = make(map[*func()]struct{})
	}
	c.after[&f] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[&f]
		delete(c.after, &f)
		return ok
	}
}
