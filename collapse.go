package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// errNotShared is returned by flights.collapse if the request could not share a response.
var errNotShared = errors.New("cachecontrol: the response is not for this request")

// sharesFetch reports whether the request to the origin may be shared with other requests. d is the decision about the
// stored response, if there is one.
func (e *engine) sharesFetch(q *query, key string, d decision) bool {
	return e.collapse && !q.neverShare && !q.background && !q.matching && !d.mustValidate && q.sharable() &&
		!e.notShareable.Has(lossy.Hash(key)) && !e.store.Closed() && !e.waitsForItself(q, key)
}

// collapse answers a query, for which no stored response may be used, by joining or starting a flight. why is the reason.
// answerAgain answers the query of a flight; it looks for a stored response again. If the response of the flight cannot
// be shared with this query, collapse returns errNotShared, and the status of an answer from the cache.
func (fs *flights) collapse(e *engine, q *query, prev *previous, why rules.Reason, answerAgain func(*query) (answer, error)) (answer, Status, error) {
	var vary []storage.Field // the fields known to select a variant
	if prev.first != nil {
		vary = prev.first.Vary
	}
	key := e.flightKey(q, prev.key, vary)
	for {
		f, b, leads := fs.joinOrStart(e, q, prev.key, key, answerAgain)
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
func (f *flight) lead(b *bodyReader) (answer, error) {
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
func (f *flight) follow(q *query, b *bodyReader, why rules.Reason) (a answer, selected, ok bool) {
	m := match{entryView: f.shared.view, entry: f.shared.entry, body: b, damaged: f.damaged}
	var fields selecting
	if !q.canDecode(m.coding, m.vary) || !fields.match(q, m.vary, m.coding, "") {
		return answer{}, false, false
	}
	d := f.engine.decideReuse(q, &m)
	if d.rejected || d.Action != rules.Serve {
		return answer{}, true, false
	}
	a = f.engine.serve(q, &m, d.Reuse, Status{Forward: forwardToken(why), ForwardStatus: f.status.ForwardStatus, Collapsed: true})
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
func (fs *flights) joinOrStart(e *engine, q *query, plain, key string, answerAgain func(*query) (answer, error)) (f *flight, b *bodyReader, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f = fs.byKey[key]
	if f != nil && !e.invalidations.Since(plain, f.epoch) { // a response requested before an invalidation is out of date
		return f, f.body.join(q.req), false
	}
	f = &flight{engine: e, flights: fs, key: key, plain: plain, epoch: e.invalidations.Now(), landed: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(q.ctx))
	f.req, f.cancel = q.req.Clone(ctx), cancel
	//lint:ignore SA1019 http.Client sets it, for the leader alone
	f.req.Cancel = nil
	f.body.flight, f.body.open = f, true
	own := *q
	own.ctx, own.req, own.header, own.neverShare, own.flightKey = ctx, f.req, canonicalNames(f.req.Header), true, plain
	if fs.byKey == nil {
		fs.byKey = make(map[string]*flight)
	}
	fs.byKey[key] = f
	b = f.body.join(q.req)
	f.body.leader = b
	go f.run(&own, answerAgain)
	return f, b, true
}
