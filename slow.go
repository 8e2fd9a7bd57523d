package cachecontrol

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
	"github.com/go-cachecontrol/cachecontrol/internal/detachable"
	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
)

// attempts are the requests to the origin that a stale response may overtake, by the key of the URL. For each key there
// is one attempt that other requests wait for.
type attempts struct {
	mu    sync.Mutex // guards byKey, and the fields left and ended of each attempt
	byKey map[string]*attempt
}

// An attempt asks the origin in its own goroutine, while its caller waits for a limited time. If the origin is slow, the
// caller gets a stale response, and the attempt goes on in the background, so that the origin's response is stored.
type attempt struct {
	engine   *engine
	attempts *attempts
	key      string
	req      *http.Request
	context  *detachable.Context // follows the caller's context until the origin is slow
	claim    backoff.Claim
	begun    time.Time

	landed   chan struct{} // closed when the header has arrived; the next three fields do not change after that
	result   answer
	err      error
	panicked any // value of a panic in Base or a hook, passed on to the caller

	left  bool          // the caller does not take the result
	ended bool          // landed is closed, or will be soon
	over  chan struct{} // closed when others need not wait any longer
	once  sync.Once     // guards the close of over
}

// errSlow is returned by attempts.ask if the origin is slow.
var errSlow = errors.New("cachecontrol: the origin is slow")

// ask answers a query from the origin, or returns errSlow when the query does not wait any longer. sent reports whether a
// request was sent for this query; otherwise it has waited for another one. answerAgain answers a query, for which it looks
// for a stored response again.
func (as *attempts) ask(e *engine, q *query, key string, p patience, claim backoff.Claim, answerAgain func(*query) (answer, error)) (a answer, sent bool, err error) {
	at, sent := as.joinOrStart(e, q, key, claim, answerAgain)
	if sent {
		a, err = at.wait(q, p)
		return a, true, err
	}
	defer claim.End()
	wait := time.Until(p.end)
	if left := p.limit - time.Since(at.begun); left < wait {
		wait = left
	}
	if wait <= 0 {
		return answer{}, false, errSlow
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-at.over:
		// A response may be stored by now. If there is none that may be used, the query does not wait for another one again.
		again := *q
		again.waitsUntil = p.end
		a, err = answerAgain(&again)
		return a, false, err
	case <-timer.C:
		return answer{}, false, errSlow
	case <-q.ctx.Done():
		return answer{}, false, leave(q)
	}
}

// leave returns the error for a caller whose context has ended.
func leave(q *query) error {
	if timedOut(q.ctx) {
		return errSlow
	}
	closeBody(q.req)
	return context.Cause(q.ctx)
}

// joinOrStart returns the attempt that the query waits for, or starts one. A query that has waited for one already joins
// only one that its caller has left.
func (as *attempts) joinOrStart(e *engine, q *query, key string, claim backoff.Claim, answerAgain func(*query) (answer, error)) (a *attempt, starts bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	other := as.byKey[key]
	if other != nil && (other.left || q.waitsUntil.IsZero()) {
		return other, false
	}
	a = &attempt{
		engine: e, attempts: as, key: key, claim: claim, begun: time.Now(),
		context: detachable.NewCancelable(unattended{q.ctx}), landed: make(chan struct{}), over: make(chan struct{}),
	}
	a.req = q.req.Clone(a.context) // the caller may reuse its own after a stale answer
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	a.req.Cancel = nil
	own := *q
	own.ctx, own.req, own.header, own.patient = a.context, a.req, canonicalNames(a.req.Header), true
	if other == nil {
		if as.byKey == nil {
			as.byKey = make(map[string]*attempt)
		}
		as.byKey[key] = a
	}
	go a.run(&own, answerAgain)
	return a, true
}

// unattended is the context of a caller that may get its answer before the request ends, so that it does not have the value
// of foreground.Key.
type unattended struct{ context.Context }

func (u unattended) Value(key any) any {
	if key == (foreground.Key{}) {
		return nil
	}
	return u.Context.Value(key)
}

// AfterFunc is for package context: see sentContext.
func (u unattended) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(u.Context, f) }

// run answers the query of an attempt.
func (a *attempt) run(q *query, answerAgain func(*query) (answer, error)) {
	err := errNoAnswer
	defer func() {
		if a.panicked = recover(); a.panicked != nil {
			a.engine.logPanic(q.ctx, a.panicked)
		}
		a.land(err)
	}()
	if hasBody(q.req) {
		if q.req.Body, err = q.req.GetBody(); err != nil {
			return
		}
		err = errNoAnswer
	}
	a.result, err = answerAgain(q)
}

// land passes the result to the caller, if that still waits.
func (a *attempt) land(err error) {
	defer a.claim.End()
	a.err = err
	a.attempts.mu.Lock()
	a.ended = true
	left := a.left
	a.attempts.mu.Unlock()
	close(a.landed)
	if left {
		a.finish()
	}
}

// finish stores the result after the caller has left.
func (a *attempt) finish() {
	defer a.end()
	defer func() {
		if v := recover(); v != nil {
			a.engine.logPanic(a.context, v)
		}
	}()
	if a.err != nil {
		a.engine.logBackground(a.context, a.req, a.err)
		return
	}
	a.result.store()
}

// end lets other requests go on.
func (a *attempt) end() {
	as := a.attempts
	as.mu.Lock()
	if as.byKey[a.key] == a {
		delete(as.byKey, a.key)
	}
	as.mu.Unlock()
	a.once.Do(func() { close(a.over) })
}

// wait returns the result, if it lands in time. Otherwise it returns errSlow, and the attempt goes on in the background.
func (a *attempt) wait(q *query, p patience) (answer, error) {
	timer := time.NewTimer(time.Until(p.end))
	defer timer.Stop()
	canceled := false
	select {
	case <-a.landed:
	case <-timer.C:
	case <-q.ctx.Done():
		canceled = true
	}
	a.attempts.mu.Lock()
	a.left = !a.ended
	a.attempts.mu.Unlock()
	switch {
	case !a.left:
		a.end()
		return a.take(q)
	case canceled:
		a.end()
		a.context.End(q.ctx.Err())
		return answer{}, leave(q)
	}
	a.detach(q)
	return answer{}, errSlow
}

// detach lets the attempt go on in the background, or ends it if too many tasks are running there.
func (a *attempt) detach(q *query) {
	if !a.context.Detach() {
		return
	}
	started := a.engine.background.Run(q.ctx, a.key, func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { a.context.End(ctx.Err()) })()
		<-a.over
	})
	if !started {
		a.context.End(context.DeadlineExceeded)
		return
	}
	a.engine.counters.background.Add(1)
}

// take returns the result of an attempt that has landed in time.
func (a *attempt) take(q *query) (answer, error) {
	<-a.landed
	closeBody(q.req) // the attempt has sent a copy
	if a.err != nil {
		a.context.Release()
		if a.panicked != nil {
			panic(a.panicked)
		}
		return answer{}, a.err
	}
	resp := a.result.resp
	resp.Request = q.req
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols: // its body must remain an io.Writer
	case resp.Body == http.NoBody:
		a.context.Release()
	default:
		resp.Body = &attemptBody{resp.Body, a.context}
	}
	return a.result, nil
}

// attemptBody is the body of a response that was in time. The context of its request follows the caller's until the end.
type attemptBody struct {
	io.ReadCloser
	context *detachable.Context
}

func (b *attemptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.context.Release()
	}
	return n, err
}

func (b *attemptBody) Close() error {
	err := b.ReadCloser.Close()
	b.context.Release()
	return err
}
