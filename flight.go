package cachecontrol

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A flight takes one request down the ordinary road, apart from the caller whose request it is, the leader: it goes on
// for as long as anybody wants its response. Others that ask for the same meanwhile, the followers, wait for its head
// and read the body as it comes, where RFC 9111 lets the response answer them, as if it were stored already. Where it
// does not, all of them go to the origin at once: one after the other, each would wait for as many answers that are not
// for it.
type flight struct {
	*engine
	key    string    // in flights
	leader *exchange // the copy that is under way
	start  uint64    // as invalidations count
	cancel context.CancelFunc

	head   chan struct{}  // closed when the head is there; what follows does not change afterwards
	resp   *http.Response // the leader's
	err    error
	status Status           // of resp
	entry  *serialize.Entry // what the response would be if it were stored by now; nil: it is for the leader alone
	stored *stored
	keeps  bool // it is being stored

	farMark []string // as the leader's

	damaged func(error) // is told by who reads the body that it cannot be decoded; nil: nobody needs to

	outcome   Outcome // what the leader counts as, once it is answered
	fromCache int64   // as shard.answered has it
	panicked  any     // what Base or a hook panicked with: the leader's to recover

	growing
}

// flights are the requests under way that others may join.
type flights struct {
	mu    sync.Mutex // guards byKey; taken before a flight's own
	byKey map[string]*flight
}

// errLeft is why a reader leaves that has no more use for the body.
var errLeft = errors.New("cachecontrol: the reader has left")

// errNoAnswer is what a flight ends with where Base or a hook panics, or ends the goroutine.
var errNoAnswer = errors.New("cachecontrol: Transport.Base has not returned")

// collapses says whether the request may be answered by the response to another one that is under way, and others by
// its own.
func (x *exchange) collapses() bool {
	cc := &x.cc
	return x.collapse && (x.req.Method == http.MethodGet || x.req.Method == "") && !hasBody(x.req) && !x.conditional && !x.ranged &&
		!cc.NoCache && !cc.Refresh && !cc.NoStore && !cc.OnlyIfCached && !(cc.MaxAge.OK && cc.MaxAge.Value == 0) &&
		!x.unshared.holds(maphash.String(x.seed, x.key))
}

// unshared remembers keys whose last response was for its own request alone, by their hash: those who ask for the next one
// need not wait for it. It has a fixed size, and forgets. The zero value is empty.
type unshared [256]atomic.Uint64

func (u *unshared) holds(key uint64) bool { return u[key%uint64(len(u))].Load() == key }
func (u *unshared) add(key uint64)        { u[key%uint64(len(u))].Store(key) }
func (u *unshared) forget(key uint64)     { u[key%uint64(len(u))].CompareAndSwap(key, 0) }

// flies reports whether the request goes to the origin by a flight.
func (x *exchange) flies() bool {
	return !x.alone && !x.revalidates && !x.matching && x.collapses() && !x.closed.Load() && !x.waitsForItself()
}

// fly answers a request for which nothing stored will do. why says so.
func (x *exchange) fly(why rfc9111.Reason) (*http.Response, error) {
	var known []serialize.Field
	if x.primary != nil {
		known = x.primary.Vary
	}
	key := x.flightKey(known)
	for {
		f, b, leads := x.board(key)
		limit := x.collapseTimeout
		if leads {
			limit = 0
		}
		if err := b.await(f.head, limit); err == errWaited {
			f.retire() // nobody else needs to wait for it
			b.leave(errLeft)
			return x.afterFlight(f, why)
		} else if err != nil {
			return nil, err
		}
		if leads {
			if f.err != nil {
				b.leave(f.err)
				if f.panicked != nil {
					panic(f.panicked)
				}
				return nil, f.err
			}
			x.counts.answered(f.outcome, f.fromCache)
			return f.resp, nil
		}
		if f.entry == nil {
			b.leave(errLeft)
			return x.afterFlight(f, why)
		}
		c := &x.first
		*c = candidate{stored: f.stored, entry: f.entry, resp: &storage.Response{Entry: f.entry, Body: b}, damaged: f.damaged}
		if x.canDecode(c.coding, c.selectors) && x.selects(c.selectors, c.coding, "") {
			r, usable := x.mayReuse(c)
			if !usable || r.Action != rfc9111.Serve {
				b.leave(errLeft)
				return x.afterFlight(f, why)
			}
			b.resp = x.serve(c, r, Status{Forward: forwardToken(why), ForwardStatus: f.resp.StatusCode, Collapsed: true})
			if f.farMark != nil {
				b.resp.Header[XFromCache] = slices.Clone(f.farMark)
			}
			return b.resp, nil
		}
		b.leave(errLeft)
		// The response is another variant. Those that select the same one collapse in their turn, once.
		next := x.flightKey(f.entry.Vary)
		if next == key || len(known) > 0 {
			return x.afterFlight(f, why)
		}
		key, known = next, f.entry.Vary
	}
}

// afterFlight answers a request that could not share the response it waited for: from what is stored by now, as after a
// validation, and otherwise by asking the origin for it alone.
func (x *exchange) afterFlight(f *flight, why rfc9111.Reason) (*http.Response, error) {
	x.alone = true
	var s Status
	select {
	case <-f.head:
	default:
		return x.answer(s) // it is still under way
	}
	if f.status.Outcome == Revalidated {
		s = Status{Forward: forwardToken(why), ForwardStatus: http.StatusNotModified, Collapsed: true}
	}
	return x.answer(s)
}

// flightKey returns the key of a flight: the URL's, and what the request says in the fields that are known to select.
func (x *exchange) flightKey(vary []serialize.Field) string {
	if len(vary) == 0 {
		return x.key
	}
	var names []string
	for _, f := range vary {
		names = append(names, f.Name)
	}
	return variantKey(x.key, "", newSelectors(x.fields(names)))
}

// board joins the flight under the key, or starts one, with the request as its leader.
func (x *exchange) board(key string) (f *flight, b *growingBody, leads bool) {
	x.flights.mu.Lock()
	defer x.flights.mu.Unlock()
	f = x.flights.byKey[key]
	if f != nil && !x.invalid.since(x.key, f.start) { // what was asked for before an invalidation is out of date
		return f, f.join(x.req), false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.ctx))
	y := *x
	y.ctx, y.req, y.alone = ctx, x.req.Clone(ctx), true
	y.header = canonicalNames(y.req.Header)
	y.normals, y.digests, y.plain, y.memory = nil, nil, nil, nil // which are x's to write to
	//lint:ignore SA1019 http.Client sets it, for the leader alone
	y.req.Cancel = nil
	f = &flight{engine: x.engine, key: key, leader: &y, start: x.invalid.start(), cancel: cancel, head: make(chan struct{})}
	y.flight = f
	f.growing.flight, f.open = f, true
	if x.flights.byKey == nil {
		x.flights.byKey = make(map[string]*flight)
	}
	x.flights.byKey[key] = f
	b = f.join(x.req)
	f.lead = b
	go f.run()
	return f, b, true
}

// run looks again before it asks the origin: a flight that has just ended may have stored what this one is for.
func (f *flight) run() {
	var resp *http.Response
	err := errNoAnswer
	defer func() {
		if f.panicked = recover(); f.panicked != nil {
			f.caught(f.leader.ctx, f.panicked)
		}
		f.land(resp, err)
	}()
	resp, err = f.leader.answer(Status{})
}

// land makes the head known.
func (f *flight) land(resp *http.Response, err error) {
	if err == nil {
		f.status = StatusOf(resp)
		if f.source == nil {
			f.carry(resp)
		}
		own := *resp
		own.Request, own.Trailer = f.lead.req, resp.Trailer.Clone()
		f.resp, f.lead.resp = &own, &own
	}
	if f.err = err; err != nil {
		f.entry = nil
	}
	if f.entry == nil {
		f.retire()
		if f.status.Outcome == Miss && resp.StatusCode < 500 {
			f.unshared.add(maphash.String(f.seed, f.leader.key))
		}
	}
	f.mu.Lock()
	f.landed = true
	unwanted := len(f.readers) == 0
	f.mu.Unlock()
	close(f.head)
	if unwanted || err != nil {
		f.end(err)
	}
}

// share lets others read the body of a response that is being stored, in flight.
func (x *exchange) share(resp *http.Response, e *serialize.Entry, s *Status) {
	f := x.flight
	if f == nil {
		return
	}
	// The entry itself changes until it is committed.
	f.entry = e.Clone()
	f.entry.Trailer = resp.Trailer.Clone()
	f.stored, f.keeps, f.farMark = f.newStored(f.entry), s.Stored, slices.Clone(x.farMark)
	f.carry(resp)
}

// retire lets nobody join any more.
func (f *flight) retire() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut()
}

// shut is retire for who holds both locks.
func (f *flight) shut() {
	f.open = false
	if f.flights.byKey[f.key] == f {
		delete(f.flights.byKey, f.key)
	}
}
