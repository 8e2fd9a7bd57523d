package cachecontrol

import (
	"cmp"
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

// pending are the requests to the origin that a stale response may overtake, by the key of the URL. For each key there is
// one that other requests wait for.
type pending struct {
	mu    sync.Mutex // guards byKey, and the fields left and ended of each request
	byKey map[string]*pendingRequest
}

// A pendingRequest asks the origin in its own goroutine, while its caller waits for a limited time. If the origin is slow,
// the caller gets a stale response, and the request goes on in the background, so that the origin's response is stored.
type pendingRequest struct {
	engine  *engine
	pending *pending
	key     string
	req     *http.Request
	context *detachable.Context // follows the caller's context until the origin is slow
	claim   backoff.Claim
	begun   time.Time

	landed   chan struct{} // closed when the header has arrived; the next three fields do not change after that
	result   answer
	err      error
	panicked any // value of a panic in Base or a hook, passed on to the caller

	left  bool          // the caller does not take the result
	ended bool          // landed is closed, or will be soon
	over  chan struct{} // closed when others need not wait any longer
	once  sync.Once     // guards the close of over
}

// errSlow is returned by pending.ask if the origin is slow.
var errSlow = errors.New("cachecontrol: the origin is slow")

// ask answers a query from the origin, or returns errSlow when the query does not wait any longer. sent reports whether a
// request was sent for this query; otherwise it has waited for another one. answerAgain answers a query, for which it looks
// for a stored response again. The claim ends with the request.
func (ps *pending) ask(e *engine, q *query, key string, p patience, claim backoff.Claim, answerAgain func(*query) (answer, error)) (a answer, sent bool, err error) {
	r, sent := ps.joinOrStart(e, q, key, claim, answerAgain)
	if sent {
		a, err = r.await(q, p)
		return a, true, err
	}
	defer claim.End()
	wait := min(time.Until(p.end), p.limit-time.Since(r.begun))
	if wait <= 0 {
		return answer{}, false, errSlow
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.over:
		// A response may be stored by now. If there is none that may be used, the query does not wait for another one again.
		again := *q
		again.waitsUntil = p.end
		a, err = answerAgain(&again)
		return a, false, err
	case <-timer.C:
		return answer{}, false, errSlow
	case <-q.ctx.Done():
	//lint:ignore SA1019 http.Client sets it, and so do old programs
	case <-q.req.Cancel:
	}
	return answer{}, false, endError(q)
}

// endError returns the error for a caller whose request has ended. At a deadline it can still use a stale response.
func endError(q *query) error {
	if !abandoned(q.req) {
		return errSlow
	}
	closeBody(q.req)
	return cmp.Or(context.Cause(q.ctx), context.Canceled)
}

// joinOrStart returns the request that the query waits for, or starts one. A query that has waited for one already joins
// only one that its caller has left.
func (ps *pending) joinOrStart(e *engine, q *query, key string, claim backoff.Claim, answerAgain func(*query) (answer, error)) (r *pendingRequest, starts bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	other := ps.byKey[key]
	if other != nil && (other.left || q.waitsUntil.IsZero()) {
		return other, false
	}
	r = &pendingRequest{
		engine: e, pending: ps, key: key, claim: claim, begun: time.Now(),
		context: detachable.NewCancelable(unattended{q.ctx}), landed: make(chan struct{}), over: make(chan struct{}),
	}
	r.req = q.req.Clone(r.context) // the caller may reuse its own after a stale answer
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	r.req.Cancel = nil
	own := *q
	own.ctx, own.req, own.header, own.patient = r.context, r.req, canonicalNames(r.req.Header), true
	ps.add(r)
	go r.run(&own, answerAgain)
	return r, true
}

// add makes others wait for the request, unless they wait for another one with its key. The caller holds the lock.
func (ps *pending) add(r *pendingRequest) {
	if ps.byKey == nil {
		ps.byKey = make(map[string]*pendingRequest)
	}
	if ps.byKey[r.key] == nil {
		ps.byKey[r.key] = r
	}
}

// inBackground makes requests wait for a validation in the background, instead of asking the origin as well. The caller of
// inBackground calls end after the validation.
func (ps *pending) inBackground(key string) *pendingRequest {
	r := &pendingRequest{pending: ps, key: key, begun: time.Now(), left: true, over: make(chan struct{})}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.add(r)
	return r
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

// run answers the query of the request.
func (r *pendingRequest) run(q *query, answerAgain func(*query) (answer, error)) {
	err := errNoAnswer
	defer func() {
		if r.panicked = recover(); r.panicked != nil {
			r.engine.logPanic(q.ctx, r.panicked)
		}
		r.land(err)
	}()
	renewBody(q.req)
	r.result, err = answerAgain(q)
}

// land passes the result to the caller, if that still waits.
func (r *pendingRequest) land(err error) {
	defer r.claim.End()
	r.err = err
	r.pending.mu.Lock()
	r.ended = true
	left := r.left
	r.pending.mu.Unlock()
	close(r.landed)
	if left {
		r.finish()
	}
}

// finish stores the result after the caller has left.
func (r *pendingRequest) finish() {
	defer r.end()
	defer func() {
		if v := recover(); v != nil {
			r.engine.logPanic(r.context, v)
		}
	}()
	if r.err != nil {
		r.engine.logBackground(r.context, r.req, r.err)
		return
	}
	r.result.readToEnd()
}

// end lets other requests go on.
func (r *pendingRequest) end() {
	ps := r.pending
	ps.mu.Lock()
	if ps.byKey[r.key] == r {
		delete(ps.byKey, r.key)
	}
	ps.mu.Unlock()
	r.once.Do(func() { close(r.over) })
}

// await returns the result, if it lands in time. Otherwise it returns errSlow, and the request goes on in the background.
func (r *pendingRequest) await(q *query, p patience) (answer, error) {
	timer := time.NewTimer(time.Until(p.end))
	defer timer.Stop()
	ended := false
	select {
	case <-r.landed:
	case <-timer.C:
	case <-q.ctx.Done():
		ended = true
	//lint:ignore SA1019 http.Client sets it, and so do old programs
	case <-q.req.Cancel:
		ended = true
	}
	r.pending.mu.Lock()
	r.left = !r.ended
	r.pending.mu.Unlock()
	switch {
	case !r.left:
		r.end()
		return r.take(q)
	case ended:
		r.end()
		err := endError(q)
		if err == errSlow {
			r.context.End(context.DeadlineExceeded)
		} else {
			r.context.Cancel()
		}
		return answer{}, err
	}
	r.detach(q)
	return answer{}, errSlow
}

// detach lets the request go on in the background, or ends it if too many tasks are running there.
func (r *pendingRequest) detach(q *query) {
	if !r.context.Detach() {
		return
	}
	started := r.engine.background.Run(q.ctx, r.key, func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { r.context.End(ctx.Err()) })()
		<-r.over
	})
	if !started {
		r.context.End(context.DeadlineExceeded)
		return
	}
	r.engine.counters.background.Add(1)
}

// take returns the result, which has landed in time.
func (r *pendingRequest) take(q *query) (answer, error) {
	<-r.landed
	closeBody(q.req) // a copy was sent
	if r.err != nil {
		r.context.Release()
		if r.panicked != nil {
			panic(r.panicked)
		}
		return answer{}, r.err
	}
	resp := r.result.resp
	resp.Request = q.req
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols: // its body must remain an io.Writer
	case resp.Body == http.NoBody:
		r.context.Release()
	default:
		resp.Body = newPendingBody(q, resp.Body, r.context)
	}
	return r.result, nil
}

// pendingBody is the body of a response that was in time. Its request ends with the caller's until the end of the body.
type pendingBody struct {
	io.ReadCloser
	release func()
}

func newPendingBody(q *query, body io.ReadCloser, ctx *detachable.Context) *pendingBody {
	//lint:ignore SA1019 http.Client sets it, and so do old programs
	cancel := q.req.Cancel
	if cancel == nil {
		return &pendingBody{body, ctx.Release}
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-cancel:
			ctx.Cancel()
		case <-ctx.Done():
		case <-ended:
		}
	}()
	return &pendingBody{body, sync.OnceFunc(func() {
		close(ended)
		ctx.Release()
	})}
}

func (b *pendingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *pendingBody) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
