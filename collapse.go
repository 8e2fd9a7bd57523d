package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A flight is a request to the origin whose response is shared. The caller that starts it is the leader; callers that
// join it are followers. The request runs in its own goroutine and is canceled when no caller is left. Followers wait
// for the header of the response and read the body as it arrives, if RFC 9111 allows the response to answer them as a
// stored one would. If it does not, all of them are sent to the origin at once, because one after the other each would
// wait for several responses that it cannot use.
type flight struct {
	*engine
	key    string        // its key in flights
	plain  string        // key of the URL
	req    *http.Request // has a context that does not end when the leader leaves
	epoch  uint64        // send time, in the count of invalidations
	cancel context.CancelFunc

	landed chan struct{} // closed when the header has arrived; the fields below do not change after that
	result answer        // for the leader
	err    error
	status Status    // of the answer
	shared *sharable // nil if the response is for the leader only

	damaged  func(error) // called if the body cannot be decoded; nil if that is not needed
	panicked any         // value of a panic in Base or a hook, passed on to the leader

	growing
}

// flights are the running requests that others may join.
type flights struct {
	mu    sync.Mutex // guards byKey; locked before the mutex of a flight
	byKey map[string]*flight
}

// errLeft is the reason of a reader that leaves because it does not need the body.
var errLeft = errors.New("cachecontrol: the reader has left")

// errNoAnswer is the error of a flight if Base or a hook panics or calls runtime.Goexit.
var errNoAnswer = errors.New("cachecontrol: Transport.Base has not returned")

// errNotShared is returned by collapseRequests if the request could not share a response.
var errNotShared = errors.New("cachecontrol: the response is not for this request")

// sharesFetch reports whether the request to the origin may be shared with other requests. d is the decision about the
// stored response, if there is one.
func (e *engine) sharesFetch(q *query, key string, d decision) bool {
	return e.collapse && !q.neverShare && !q.background && !q.matching && !d.mustValidate && q.sharable() &&
		!e.notShareable.Has(lossy.Hash(key)) && !e.store.Closed() && !e.waitsForItself(q, key)
}

// sharable reports whether the request may get the response to another request for the same URL.
func (q *query) sharable() bool {
	cc := &q.cc
	return (q.req.Method == http.MethodGet || q.req.Method == "") && !hasBody(q.req) && !q.conditional && !q.ranged &&
		!cc.NoCache && !cc.Refresh && !cc.NoStore && !cc.OnlyIfCached && !(cc.MaxAge.OK && cc.MaxAge.Value == 0)
}

// collapseRequests answers a query, for which no stored response may be used, by joining or starting a flight. why is
// the reason. fetch answers the query of a flight. If the response of the flight cannot be shared with this query,
// collapseRequests returns errNotShared, and the status of an answer from the cache.
func (e *engine) collapseRequests(q *query, prev *previous, why rules.Reason, fetch func(*query) (answer, error)) (answer, Status, error) {
	var vary []storage.Field // the fields known to select a variant
	if prev.first != nil {
		vary = prev.first.Vary
	}
	key := e.flightKey(q, prev.key, vary)
	for {
		f, b, leads := e.joinOrStart(q, prev.key, key, fetch)
		limit := e.collapseTimeout
		if leads {
			limit = 0
		}
		switch err := b.await(f.landed, limit); {
		case err == errWaited:
			f.closeToJoiners() // no other request needs to wait for it
			b.leave(errLeft)
			return answer{}, Status{}, errNotShared
		case err != nil:
			return answer{}, Status{}, err
		case leads:
			a, err := f.lead(b)
			return a, Status{}, err
		}
		if f.shared != nil {
			a, selected, ok := f.follow(q, b, why)
			if ok {
				return a, Status{}, nil
			}
			// If the response is another variant, requests that select the same variant may share a flight in turn, once.
			if next := e.flightKey(q, prev.key, f.shared.entry.Vary); !selected && next != key && len(vary) == 0 {
				b.leave(errLeft)
				key, vary = next, f.shared.entry.Vary
				continue
			}
		}
		b.leave(errLeft)
		return answer{}, f.statusFor(why), errNotShared
	}
}

// statusFor returns the status of the answer to a request that could not share the response, if that answer is then
// found in the cache.
func (f *flight) statusFor(why rules.Reason) Status {
	if f.status.Outcome == Revalidated {
		return Status{Forward: forwardToken(why), ForwardStatus: http.StatusNotModified, Collapsed: true}
	}
	return Status{}
}

// lead returns the answer to the leader. A panic in Base or a hook is passed on.
func (f *flight) lead(b *growingBody) (answer, error) {
	if f.err == nil {
		return f.result, nil
	}
	b.leave(f.err)
	if f.panicked != nil {
		panic(f.panicked)
	}
	return answer{}, f.err
}

// follow answers a follower with the response of the flight. It reports whether the query selects the response, and
// whether it may be used.
func (f *flight) follow(q *query, b *growingBody, why rules.Reason) (a answer, selected, ok bool) {
	m := match{entryView: f.shared.view, entry: f.shared.entry, body: b, damaged: f.damaged}
	var fields selecting
	if !q.canDecode(m.coding, m.vary) || !fields.match(q, m.vary, m.coding, "") {
		return answer{}, false, false
	}
	d := f.decideReuse(q, &m)
	if d.rejected || d.Action != rules.Serve {
		return answer{}, true, false
	}
	a = f.serve(q, &m, d.Reuse, Status{Forward: forwardToken(why), ForwardStatus: f.result.resp.StatusCode, Collapsed: true})
	b.resp = a.resp
	if f.shared.farMark != nil {
		a.resp.Header[XFromCache] = slices.Clone(f.shared.farMark)
	}
	return a, true, true
}

// flightKey returns the key of a flight: the key of the URL, and the request's values of the fields known to select a
// variant.
func (e *engine) flightKey(q *query, key string, vary []storage.Field) string {
	if len(vary) == 0 {
		return key
	}
	var names []string
	for _, f := range vary {
		names = append(names, f.Name)
	}
	return variantKey(key, "", varyFields(q.fields(names)))
}

// joinOrStart joins the flight under key, or starts one with the request as its leader. plain is the key of the URL.
func (e *engine) joinOrStart(q *query, plain, key string, fetch func(*query) (answer, error)) (f *flight, b *growingBody, leads bool) {
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	f = e.flights.byKey[key]
	if f != nil && !e.invalidations.Since(plain, f.epoch) { // a response requested before an invalidation is out of date
		return f, f.growing.join(q.req), false
	}
	f = &flight{engine: e, key: key, plain: plain, epoch: e.invalidations.Now(), landed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(q.ctx))
	f.req, f.cancel = q.req.Clone(ctx), cancel
	//lint:ignore SA1019 http.Client sets it, for the leader alone
	f.req.Cancel = nil
	f.growing.flight, f.open = f, true
	own := *q
	own.ctx, own.req, own.header, own.neverShare, own.flight = ctx, f.req, canonicalNames(f.req.Header), true, plain
	if e.flights.byKey == nil {
		e.flights.byKey = make(map[string]*flight)
	}
	e.flights.byKey[key] = f
	b = f.growing.join(q.req)
	f.leader = b
	go f.run(&own, fetch)
	return f, b, true
}

// run answers the leader's query. fetch looks for a stored response again, because a flight that has just ended may have
// stored one.
func (f *flight) run(q *query, fetch func(*query) (answer, error)) {
	err := errNoAnswer
	defer func() {
		if f.panicked = recover(); f.panicked != nil {
			f.logPanic(f.req.Context(), f.panicked)
		}
		f.land(err)
	}()
	f.result, err = fetch(q)
}

// land publishes the header, or the error, to the leader and the followers.
func (f *flight) land(err error) {
	f.err = err
	if err == nil {
		f.share()
	}
	if f.shared == nil {
		f.closeToJoiners()
		if f.status.Outcome == Miss && f.result.resp.StatusCode < 500 {
			f.notShareable.Add(lossy.Hash(f.plain))
		}
	}
	f.mu.Lock()
	f.published = true
	unwanted := len(f.readers) == 0
	f.mu.Unlock()
	close(f.landed)
	if unwanted || err != nil {
		f.end(err)
	}
}

// share lets the leader and the followers read the body of the response.
func (f *flight) share() {
	a := &f.result
	f.status, f.shared = StatusOf(a.resp), a.shared
	f.setBody(a.resp)
	if a.damaged != nil {
		forget := a.damaged
		a.damaged = func(err error) {
			f.closeToJoiners()
			forget(err)
		}
		f.damaged = a.damaged
	}
	a.decode()
	resp := *a.resp
	resp.Request, resp.Trailer = f.leader.req, resp.Trailer.Clone()
	a.resp = &resp
	f.leader.resp = &resp
}

// closeToJoiners prevents further requests from joining.
func (f *flight) closeToJoiners() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeToJoinersLocked()
}

// closeToJoinersLocked is like closeToJoiners, but the caller holds both locks.
func (f *flight) closeToJoinersLocked() {
	f.open = false
	if f.flights.byKey[f.key] == f {
		delete(f.flights.byKey, f.key)
	}
}
