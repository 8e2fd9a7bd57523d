package cachecontrol

import (
	"context"
	"sync"
	"time"
)

// originContext is the context of a request to the origin. It has the values of the caller's context and ends with it, until
// detach is called. After that only cancel ends it, so that the rest of a body can be read in the background.
//
// It implements AfterFunc, so that package context starts no goroutine for contexts that are derived from it.
type originContext struct {
	caller  context.Context
	done    chan struct{}
	unwatch func() bool // stops watching the caller's context
	sending sending

	mu       sync.Mutex // guards the following fields
	err      error      // why the context has ended; nil if it has not
	detached bool
	after    map[*func()]struct{}
}

// newOriginContext returns nil if the caller's context never ends.
func newOriginContext(caller context.Context, s sending) *originContext {
	if caller.Done() == nil {
		return nil
	}
	c := &originContext{caller: caller, done: make(chan struct{}), sending: s}
	c.unwatch = context.AfterFunc(caller, c.follow)
	return c
}

// follow ends c if the caller's context has ended and c is not detached.
func (c *originContext) follow() {
	err := c.caller.Err()
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
func (c *originContext) end(err error) {
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

// detach reports whether the caller's context has not ended. If so, c no longer ends with it. A nil c, which stands for a
// context that never ends, is detached already.
func (c *originContext) detach() bool {
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

// release stops watching the caller's context, because the request is complete.
func (c *originContext) release() {
	if c != nil {
		c.unwatch()
	}
}

// cancel ends c.
func (c *originContext) cancel() {
	if c == nil {
		return
	}
	c.unwatch()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(context.Canceled)
}

func (c *originContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detached {
		return time.Time{}, false
	}
	return c.caller.Deadline()
}

func (c *originContext) Done() <-chan struct{} { return c.done }

func (c *originContext) Err() error {
	c.follow() // its goroutine may come later
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *originContext) Value(key any) any {
	if key == any(c.sending.engine) {
		return &c.sending
	}
	return c.caller.Value(key)
}

// AfterFunc calls f in its own goroutine after c has ended, as context.AfterFunc does.
func (c *originContext) AfterFunc(f func()) (stop func() bool) {
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
