package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// flights are the running requests that others may join.
type flights struct {
	mu    sync.Mutex // guards byKey; locked before the mutex of a body
	byKey map[string]*flight
}

// get returns the flight under key, or nil.
func (fs *flights) get(key string) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.byKey[key]
}

// A flight is a request to the origin whose response is shared. The caller that starts it is the leader; callers that
// join it are followers. The request runs in its own goroutine and is canceled when no caller is left. Followers wait
// for the header of the response and read the body as it arrives, if RFC 9111 allows the response to answer them as a
// stored one would. If it does not, all of them are sent to the origin at once, because one after the other each would
// wait for several responses that it cannot use. If the origin fails, all get that failure.
type flight struct {
	engine  *engine
	flights *flights
	key     string             // its key in flights
	at      place              // of its response
	req     *http.Request      // has a context that does not end when the leader leaves
	epoch   invalidation.Epoch // send time, in the count of invalidations
	mark    storage.Mark       // the same, in the invalidations of groups and prefixes

	begin     func()        // starts the request
	overdue   chan struct{} // closed when a follower has waited for long enough
	followers int           // that still wait or have not decided what to do with the result; guarded by flights.mu
	next      []*flight     // which begin when there are no such followers any more; guarded by flights.mu

	landed chan struct{} // closed when the header has arrived; the fields below do not change after that
	result answer        // for the leader
	err    error
	status Status    // of the answer, as StatusOf returns it
	shared *sharable // nil if the response is for the leader only

	damaged  func(error) // called if the body cannot be decoded; nil if that is not needed
	panicked any         // value of a panic in Base or a hook, passed on to the leader

	body sharedBody // has its own lock
}

// seat is the place of a query in a flight. The zero value is none.
type seat struct {
	flight  *flight
	reader  *bodyReader
	leads   bool
	settled bool // it is not among the followers any more
}

// settle says that the query has decided what to do. The flights that its followers have started then begin if it was the
// last one to decide.
func (s *seat) settle() {
	if s.flight == nil || s.leads || s.settled {
		return
	}
	s.settled = true
	f := s.flight
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	if f.followers--; f.followers == 0 {
		for _, next := range f.next {
			next.begin()
		}
		f.next = nil
	}
}

// leave gives up the seat, if it is not the zero value.
func (s *seat) leave() {
	if s.flight != nil {
		s.settle()
		s.reader.leave(errLeft)
		*s = seat{}
	}
}

// await waits until the flight, or another one, has landed. A follower waits for at most limit, unless that is negative;
// then the flight is overdue for all its followers. The leader waits without limit, as it would alone.
func (s *seat) await(limit time.Duration, other <-chan struct{}) error {
	f := s.flight
	if s.leads {
		return s.reader.await(f.landed, other, nil, 0)
	}
	err := s.reader.await(f.landed, other, f.overdue, limit)
	if err == errOverdue {
		f.body.closeToJoiners() // no other request needs to wait for it
		f.flights.mu.Lock()
		defer f.flights.mu.Unlock()
		select {
		case <-f.overdue:
		default:
			close(f.overdue)
		}
	}
	return err
}

// settling is how long a flight that a follower of another one has started waits for the other followers to join it.
const settling = 50 * time.Millisecond

// precede lets next begin when all followers of f have had the opportunity to join it. The caller holds flights.mu.
func (f *flight) precede(next *flight) {
	f.next = append(f.next, next)
	time.AfterFunc(settling, next.begin)
}

// errNoAnswer is the error of a flight if Base or a hook panics or calls runtime.Goexit.
var errNoAnswer = errors.New("cachecontrol: Transport.Base or a hook has not returned")

// road is how a cache answers queries that share a response.
type road struct {
	again func(*query) (answer, error)        // answers the query of a flight, after looking for a stored response again
	stale func(*query, Status) (answer, bool) // answers from a stored response, if it may be used although the origin fails
}

// run answers the leader's query, for which why is the reason to ask the origin. It looks for a stored response, because a
// flight that has just ended, or another process, may have stored one.
func (f *flight) run(q *query, why rules.Reason, r road) {
	err := errNoAnswer
	defer func() {
		if f.panicked = recover(); f.panicked != nil {
			f.engine.logPanic(f.req.Context(), f.panicked)
		}
		f.land(err)
	}()
	ok := true
	if !f.engine.backoff.Failing(q.target(f.at.target())) { // otherwise there would be nothing to wait for: each process has to find out by itself
		f.body.release, ok = f.engine.leases.Wait(q.ctx, f.key)
	}
	if !ok {
		if f.result, ok = r.stale(q, Status{Reason: rules.OriginSlow, Forward: forwardToken(why), Collapsed: true}); ok {
			err = nil
			return
		}
	}
	if q.ctx.Err() != nil { // all have left
		err = context.Cause(q.ctx)
		return
	}
	f.result, err = r.again(q)
}

// outdated reports whether the URL was invalidated since the request was sent.
func (f *flight) outdated() bool { return f.engine.invalidatedSince(f.at.key, f.at.index, f.epoch) }

// isInvalid reports whether the response was invalidated since it was requested, with a group, a prefix or another URL that
// it is for, or by another process. Before the header has arrived, that is not known. known is the notice that the query has read.
func (f *flight) isInvalid(q *query, known *notice) bool {
	mark := f.mark
	var groups []marks.Group
	select {
	case <-f.landed:
		if f.shared != nil {
			mark, groups = f.shared.entry.Mark, f.shared.view.groups
			if f.shared.view.search != nil && f.at.digest == "" && f.engine.invalidations.Since(searchIndex(f.at.target()), f.epoch) {
				return true
			}
			if f.noticed(q, known) {
				return true
			}
		}
	default:
	}
	return f.engine.marks.Check(q.ctx, f.at.target(), mark, groups, nil) != marks.Current
}

// noticed reports whether a process has invalidated the URL of the shared response since that was requested.
func (f *flight) noticed(q *query, known *notice) bool {
	own := f.shared.notice
	if own.key == "" {
		return false
	}
	if known.key != own.key {
		*known = f.engine.readNotice(q.ctx, own.key)
	}
	return known.key != "" && known.id != own.id
}

// retire removes the flight from those that requests can join.
func (f *flight) retire() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	if f.flights.byKey[f.key] == f {
		delete(f.flights.byKey, f.key)
	}
}

// land publishes the header, or the error, to the leader and the followers.
func (f *flight) land(err error) {
	f.err = err
	if err == nil {
		f.share()
	}
	if f.shared == nil || f.shared.failure { // a failure is for those who wait now
		f.body.closeToJoiners()
	}
	if f.shared == nil && f.status.Outcome == Miss && !rules.Failed(f.result.resp.StatusCode) {
		f.engine.notShareable.Add(lossy.Hash(f.at.sharedKey()))
	}
	f.body.mu.Lock()
	f.body.published, f.body.asked = true, time.Time{}
	unwanted := len(f.body.readers) == 0
	f.body.mu.Unlock()
	close(f.landed)
	if unwanted || err != nil {
		f.body.end(err)
	}
	f.body.releaseUnlessStoring()
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

// failed reports whether the origin has failed to answer, so that stale responses may be used. The leader may have got one.
func (f *flight) failed() bool {
	return f.err != nil || f.status.Outcome == Stale || f.status.Outcome == Miss && rules.ServerFailed(f.status.ForwardStatus)
}

// lost reports whether the flight says nothing about the answer that another one would get: Base or a hook has panicked or
// ended its goroutine, or the leader got a stale response that the others may not use.
func (f *flight) lost() bool {
	return f.err == errNoAnswer || errors.Is(f.err, context.Canceled) || f.status.Outcome == Stale
}

// share lets the leader and the followers read the body of the response.
func (f *flight) share() {
	a := &f.result
	f.status, f.shared = StatusOf(a.resp), a.shared
	f.body.setBody(a.resp, a.shared)
	if a.damaged != nil {
		forget := a.damaged
		a.damaged = func(err error) {
			f.body.closeToJoiners()
			forget(err)
		}
		f.damaged = a.damaged
	}
	a.decode()
	resp := *a.resp
	resp.Request, resp.Trailer = f.body.leader.req, resp.Trailer.Clone()
	a.resp = &resp
	f.body.leader.resp = &resp
}
