package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// errNotShared is returned by flights.collapse if the request could not share a response.
var errNotShared = errors.New("cachecontrol: the response is not for this request")

// errOtherVariant is errNotShared for a request that selects another variant than that of the response.
var errOtherVariant = errors.New("cachecontrol: the response is another variant")

// maxRejoined is how often a query joins another flight after one that says nothing about the next.
const maxRejoined = 1

// sharesFetch reports whether the request to the origin may be shared with other requests. d is the decision about the
// stored response, if there is one.
func (e *engine) sharesFetch(q *query, prev *previous, d decision) bool {
	if !e.collapse || q.neverShare || q.background || q.matching || d.mustValidate || !q.sharable() {
		return false
	}
	key := prev.sharedKey()
	return !e.isNotShareable(key) && !e.store.Closed() && !e.waitsForItself(q, key)
}

// isNotShareable reports whether the last response for this shared key could not be shared.
func (e *engine) isNotShareable(key string) bool { return e.notShareable.Has(lossy.Hash(key)) }

// errOutdated is errNotShared because the response was invalidated since it was requested.
var errOutdated = errors.New("cachecontrol: the response was invalidated")

// collapse answers a query, for which no stored response may be used, by joining or starting a flight. why is the reason.
// If the response of the flight cannot be shared with this query, collapse returns errNotShared, and the status of an
// answer from the cache.
func (fs *flights) collapse(e *engine, q *query, prev *previous, why rules.Reason, r road) (answer, Status, error) {
	shared := prev.sharedKey()
	key := e.flightKey(q, shared, prev.listing())
	s := seats{engine: e, flights: fs, q: q, at: prev.place, notice: prev.ahead.notice, why: why, road: r}
	defer s.leave()
	for rejoined := 0; ; {
		f, a, err := s.wait(key)
		if f == nil {
			return a, Status{}, err
		}
		if s.current.leads {
			a, err := f.lead(s.take())
			return a, Status{}, err
		}
		a, err = s.follow(f)
		switch {
		case err != errNotShared && err != errOtherVariant && err != errOutdated:
			return a, Status{}, err
		case (f.lost() || err == errOutdated) && rejoined < maxRejoined:
			rejoined++
			continue
		case f.err != nil:
			return answer{}, Status{}, f.err
		case err == errOtherVariant:
			// Requests that select the same variant may share a flight in turn, once.
			if next := e.flightKey(q, shared, f.shared.entry); next != key && key == shared {
				key = next
				continue
			}
		}
		return answer{}, f.statusFor(why), errNotShared
	}
}

// seats are the places of a query in the flights that it has joined: the current one, and the one before, if that is
// overdue. The query takes the response of whichever lands first.
type seats struct {
	engine  *engine
	flights *flights
	q       *query
	at      place
	notice  notice // that of the URL, if it was read
	why     rules.Reason
	road    road

	current, before seat
}

// wait joins the flight under key, or starts it, and returns it when it has landed. If the flight is overdue, or the
// deadline of the query ends, the query gets a stale response if that is permitted after a failure. If not, the query of an
// overdue flight joins another one, but goes on waiting for the first, too. So the origin gets one request in a
// collapseTimeout, however many wait for it.
func (s *seats) wait(key string) (*flight, answer, error) {
	s.join(key)
	s.before.leave()
	for {
		err := s.await()
		why := rules.Reason(rules.OriginSlow)
		switch {
		case err == nil:
			return s.current.flight, answer{}, nil
		case err == errOverdue:
		case timedOut(s.q.ctx):
			why = rules.OnError
		default:
			return nil, answer{}, err
		}
		if a, ok := s.road.stale(s.q, s.status(why, 0)); ok {
			return nil, a, nil
		}
		if err != errOverdue {
			return nil, answer{}, err
		}
		if s.engine.isNotShareable(s.at.sharedKey()) {
			return nil, answer{}, errNotShared
		}
		s.join(key)
	}
}

// join joins the flight under key, or starts it. The current flight becomes the one before.
func (s *seats) join(key string) {
	s.before.leave()
	s.before = s.current
	s.current = s.flights.joinOrStart(s, key)
	s.before.settle()
}

// await waits until one of the flights has landed, and makes that the current one. It returns errOverdue if the current one
// is overdue.
func (s *seats) await() error {
	var before <-chan struct{}
	if s.before.flight != nil {
		before = s.before.flight.landed
	}
	err := s.current.await(s.engine.collapseTimeout, before)
	if s.q.ctx.Err() != nil { // perhaps the flight has landed because all that wait for it have left
		return context.Cause(s.q.ctx)
	}
	if err != nil {
		return err
	}
	select {
	case <-s.current.flight.landed:
	default:
		s.current, s.before = s.before, s.current
	}
	s.before.leave()
	return nil
}

// status returns the status of an answer for this reason to a query that was not sent to the origin itself.
func (s *seats) status(why rules.Reason, forwardStatus int) Status {
	return Status{Reason: Reason(why), Forward: forwardToken(s.why), ForwardStatus: forwardStatus, Collapsed: true}
}

// leave gives up all seats.
func (s *seats) leave() {
	s.current.leave()
	s.before.leave()
}

// take returns the reader of the current seat, which leave then does not give up.
func (s *seats) take() *bodyReader {
	b := s.current.reader
	s.current.settle()
	s.current = seat{}
	return b
}

// follow answers a follower with the result of the current flight. If the origin has failed, a stale response is used if
// that is permitted, so that the waiting requests do not all go to an origin that fails.
func (s *seats) follow(f *flight) (answer, error) {
	if f.failed() {
		if a, ok := s.road.stale(s.q, s.status(rules.OnError, f.status.ForwardStatus)); ok {
			return a, nil
		}
	}
	switch {
	case f.shared != nil:
		return s.share(f)
	case f.err != nil && !f.lost():
		return answer{}, f.err
	}
	return answer{}, errNotShared
}

// share answers with the response of the flight if the query selects it, and if it may be used.
func (s *seats) share(f *flight) (answer, error) {
	q, b := s.q, s.current.reader
	m := match{entryView: f.shared.view, entry: f.shared.entry, body: b, damaged: f.damaged, invalid: f.isInvalid(q, &s.notice)}
	if s.at.digest == "" && !equivalent(m.search, s.at.target(), f.at.target()) {
		return answer{}, errNotShared
	}
	var fields selecting
	if !q.canDecode(m.coding, m.vary) || !fields.match(q, m.vary, m.coding, "") {
		return answer{}, errOtherVariant
	}
	d := f.engine.decideReuse(q, &m)
	if m.invalid {
		return answer{}, errOutdated
	}
	if d.rejected || d.mustValidate || d.Action != rules.Serve && !f.shared.failure {
		return answer{}, errNotShared
	}
	a := f.engine.serve(q, &m, d.Reuse, s.status(rules.Collapsed, f.status.ForwardStatus))
	b.resp = a.resp
	if f.shared.farMark != nil {
		a.resp.Header[XFromCache] = slices.Clone(f.shared.farMark)
	}
	s.take()
	return a, nil
}

// flightKey returns the key of a flight: the shared key, and the request's values of the fields that select an entry of
// it, if there is one. A store gets it as the key of a lease, so credentials are digested in it as in entries.
func (e *engine) flightKey(q *query, key string, entry *storage.Entry) string {
	if entry == nil || len(entry.Vary) == 0 {
		return key
	}
	var names []string
	for _, f := range entry.Vary {
		names = append(names, f.Name)
	}
	own := storage.Entry{Generation: cmp.Or(entry.Generation, key)}
	e.setVary(q, &own, names)
	return variantKey(key, "", varyFields(own.Vary))
}

// joinOrStart joins the flight under key, or starts one with the request as its leader. It does not join a flight whose
// response would be out of date, or for which the origin has been silent for collapseTimeout. s.before is the flight that
// the query has followed so far, if any.
func (fs *flights) joinOrStart(s *seats, key string) seat {
	e, q, why, r, after := s.engine, s.q, s.why, s.road, s.before.flight
	old := fs.get(key)
	invalid := old != nil && old.isInvalid(q, &s.notice) // may call the store, so the lock is not held
	mark := e.marks.Now(q.ctx)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.byKey[key]
	if f != nil && !(f == old && invalid) && !f.outdated() && !f.body.silentFor(e.collapseTimeout) {
		if reader := f.body.join(q.req); reader != nil {
			f.followers++
			return seat{flight: f, reader: reader}
		}
	}
	f = &flight{
		engine: e, flights: fs, key: key, at: s.at, epoch: e.invalidations.Now(), mark: mark,
		landed: make(chan struct{}), overdue: make(chan struct{}),
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(q.ctx))
	f.req = q.req.Clone(ctx)
	//lint:ignore SA1019 http.Client sets it, for the leader alone
	f.req.Cancel = nil
	renewBody(f.req)
	f.body = sharedBody{
		engine: e, req: f.req, key: s.at.sharedKey(), retire: f.retire, cancel: cancel, release: func() {}, open: true, asked: time.Now(),
	}
	own := *q
	own.ctx, own.req, own.header, own.neverShare, own.flightKey = ctx, f.req, canonicalNames(f.req.Header), true, f.body.key
	if fs.byKey == nil {
		fs.byKey = make(map[string]*flight)
	}
	fs.byKey[key] = f
	f.body.leader = f.body.join(q.req)
	f.begin = sync.OnceFunc(func() { go f.run(&own, why, r) })
	if after == nil {
		f.begin()
	} else {
		after.precede(f)
	}
	return seat{flight: f, reader: f.body.leader, leads: true}
}
