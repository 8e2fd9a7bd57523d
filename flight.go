package cachecontrol

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A flight is a request to the origin whose response is shared. The caller that starts it is the leader; callers that
// join it are followers. The request runs in its own goroutine and is canceled when no caller is left. Followers wait
// for the header of the response and read the body as it arrives, if RFC 9111 allows the response to answer them as a
// stored one would. If it does not, all of them are sent to the origin at once, because one after the other each would
// wait for several responses that it cannot use.
type flight struct {
	*engine
	key    string    // its key in flights
	leader *exchange // the copy of the leader's exchange that the flight runs
	start  uint64    // send time, in the count of invalidations
	cancel context.CancelFunc

	head   chan struct{}  // closed when the header has arrived; the fields below do not change after that
	resp   *http.Response // response for the leader
	err    error
	status Status           // status of resp
	entry  *serialize.Entry // entry as if the response were stored by now; nil if it is for the leader only
	stored *stored
	keeps  bool // the response is being stored

	farMark []string // as in the leader's exchange

	damaged func(error) // called if the body cannot be decoded; nil if that is not needed

	outcome   Outcome // outcome to count for the leader once it is answered
	fromCache int64   // as in shard.answered
	panicked  any     // value of a panic in Base or a hook, passed on to the leader

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

// collapses reports whether the request may share a response with other requests.
func (x *exchange) collapses() bool {
	cc := &x.cc
	return x.collapse && (x.req.Method == http.MethodGet || x.req.Method == "") && !hasBody(x.req) && !x.conditional && !x.ranged &&
		!cc.NoCache && !cc.Refresh && !cc.NoStore && !cc.OnlyIfCached && !(cc.MaxAge.OK && cc.MaxAge.Value == 0) &&
		!x.notShareable.Has(lossy.Hash(x.key))
}

// flies reports whether the request is sent to the origin by a flight.
func (x *exchange) flies() bool {
	return !x.alone && !x.revalidates && !x.matching && x.collapses() && !x.store.Closed() && !x.waitsForItself()
}

// fly answers a request for which no stored response may be used, by joining or starting a flight. why is the reason.
func (x *exchange) fly(why Reason) (*http.Response, error) {
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
			f.retire() // no other request needs to wait for it
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
			if !usable || r.Action != rules.Serve {
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
		// The response is another variant. Requests that select the same variant may share a flight in turn, once.
		next := x.flightKey(f.entry.Vary)
		if next == key || len(known) > 0 {
			return x.afterFlight(f, why)
		}
		key, known = next, f.entry.Vary
	}
}

// afterFlight answers a request that could not share the response it waited for. It uses a stored response, for example
// after a validation, or sends the request to the origin by itself.
func (x *exchange) afterFlight(f *flight, why Reason) (*http.Response, error) {
	x.alone = true
	var s Status
	select {
	case <-f.head:
	default:
		return x.answer(s) // the flight is still waiting for the header
	}
	if f.status.Outcome == Revalidated {
		s = Status{Forward: forwardToken(why), ForwardStatus: http.StatusNotModified, Collapsed: true}
	}
	return x.answer(s)
}

// flightKey returns the key of a flight: the key of the URL, and the request's values of the fields known to select a
// variant.
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

// board joins the flight under key, or starts one with the request as its leader.
func (x *exchange) board(key string) (f *flight, b *growingBody, leads bool) {
	x.flights.mu.Lock()
	defer x.flights.mu.Unlock()
	f = x.flights.byKey[key]
	if f != nil && !x.invalid.since(x.key, f.start) { // a response requested before an invalidation is out of date
		return f, f.join(x.req), false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.ctx))
	y := *x
	y.ctx, y.req, y.alone = ctx, x.req.Clone(ctx), true
	y.header = canonicalNames(y.req.Header)
	y.normals, y.digests, y.plain, y.memory = nil, nil, nil, nil // x keeps using these
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

// run answers the leader's request. It looks for a stored response again, because a flight that has just ended may have
// stored one.
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

// land publishes the header, or the error, to the leader and the followers.
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
			f.notShareable.Add(lossy.Hash(f.leader.key))
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

// share lets the followers read the body of a response that is being stored, if x is in a flight.
func (x *exchange) share(resp *http.Response, e *serialize.Entry, s *Status) {
	f := x.flight
	if f == nil {
		return
	}
	// Use a copy, because the entry changes until it is committed.
	f.entry = e.Clone()
	f.entry.Trailer = resp.Trailer.Clone()
	f.stored, f.keeps, f.farMark = f.newStored(f.entry), s.Stored, slices.Clone(x.farMark)
	f.carry(resp)
}

// retire prevents further requests from joining.
func (f *flight) retire() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut()
}

// shut is like retire, but the caller holds both locks.
func (f *flight) shut() {
	f.open = false
	if f.flights.byKey[f.key] == f {
		delete(f.flights.byKey, f.key)
	}
}
