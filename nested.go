package cachecontrol

import (
	"context"
	"errors"
)

// maxDepth is how deeply requests of a Transport may be nested. A Base may send requests through the same Transport,
// for example for a token, and these may need others in turn. More than maxDepth levels are an endless loop.
const maxDepth = 16

// errNested is the error of a request if Base, for each request, sends another one through the Transport, without end.
var errNested = errors.New("cachecontrol: Transport.Base leads back to the Transport: each request makes another one through it")

// sending is a request that is being handled by Base. The contexts of requests that Base makes meanwhile have it as the
// value for the engine.
type sending struct {
	engine *engine
	flight string   // as in query
	named  string   // as in query
	within *sending // request for which Base makes this one; nil if none
	depth  int      // number of enclosing requests
	trace  *trace   // as in query
}

// sending returns the sending for a query's request.
func (e *engine) sending(q *query) sending {
	s := sending{engine: e, flight: q.flightKey, named: q.named, trace: q.trace}
	if s.within = e.within(q.ctx); s.within != nil {
		s.depth = s.within.depth + 1
	}
	return s
}

// within returns the request of the same Transport for which Base makes the one with this context, or nil.
func (e *engine) within(ctx context.Context) *sending {
	s, _ := ctx.Value(e).(*sending)
	return s
}

// waitsForItself reports whether the request would wait for its own response if it shared the response to a request in
// progress.
func (e *engine) waitsForItself(q *query, key string) bool {
	for s := e.within(q.ctx); s != nil; s = s.within {
		if s.flight == key {
			return true
		}
	}
	return false
}

// sentContext is the context of a request that is being handled by Base, or the parent of that context.
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

// AfterFunc calls f in its own goroutine after c has ended, like context.AfterFunc. Without this method, package
// context could need a goroutine for each context derived from c.
func (c *sentContext) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(c.Context, f) }
