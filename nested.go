package cachecontrol

import (
	"context"
	"errors"
)

// maxDepth is how many requests of a Transport may be nested. A Base may make requests of its own through the same Transport, for a
// token for example, and these may need others in turn. More of them are a loop.
const maxDepth = 16

// errNested is what a request ends with if Base makes requests through the Transport for requests of the Transport, without end.
var errNested = errors.New("cachecontrol: Transport.Base leads back to the Transport: each request makes another one through it")

// sending is a request that is with Base. The contexts of requests that Base makes in turn have it under the engine.
type sending struct {
	engine *engine
	flight *flight  // that the request is of; nil: it is of none
	within *sending // the request for which Base makes this one; nil: there is none
	depth  int      // how many there are on the way from the first one
}

// sending returns what the request of the exchange is while it is with Base.
func (x *exchange) sending() sending {
	s := sending{engine: x.engine, flight: x.flight}
	if s.within = x.within(); s.within != nil {
		s.depth = s.within.depth + 1
	}
	return s
}

// within returns the request of the same Transport for which Base makes the request of the exchange, or nil if there is none.
func (x *exchange) within() *sending {
	s, _ := x.ctx.Value(x.engine).(*sending)
	return s
}

// waitsForItself reports whether the request would wait for its own response if it shared that of a request which is under way.
func (x *exchange) waitsForItself() bool {
	for s := x.within(); s != nil; s = s.within {
		if s.flight != nil && s.flight.leader.key == x.key {
			return true
		}
	}
	return false
}

// sentContext is the context of a request that is with Base, if that needs no originContext.
type sentContext struct {
	context.Context
	sending sending
}

func (c *sentContext) Value(key any) any {
	if key == any(c.sending.engine) {
		return &c.sending
	}
	return c.Context.Value(key)
}

// AfterFunc calls f in its own goroutine after c has ended, as context.AfterFunc does. Without it, package context could need a goroutine
// for each context that is derived from c.
func (c *sentContext) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(c.Context, f) }
