package cachecontrol

import (
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// Stats are what a Transport has counted since its first request. Each request that it answered is one of Hits, Stale,
// Revalidated, Misses, Bypassed and Refused, as StatusOf says, or of Failed. In JSON the names are in snake case, and
// the maps have the texts of reasons and operations as keys.
type Stats struct {
	Hits        uint64 `json:"hits"`        // answered with what was stored and fresh
	Stale       uint64 `json:"stale"`       // with what was stored and stale
	Revalidated uint64 `json:"revalidated"` // with what was stored, once the origin had confirmed it
	Misses      uint64 `json:"misses"`      // from the origin
	Bypassed    uint64 `json:"bypassed"`    // from the origin, for the cache keeps out of such requests
	Refused     uint64 `json:"refused"`     // with 504, for nothing might go out
	Failed      uint64 `json:"failed"`      // not answered: RoundTrip returned an error
	Collapsed   uint64 `json:"collapsed"`   // how many of those before shared what came from the origin for another request

	Background     uint64 `json:"background"`      // revalidations in the background
	OriginRequests uint64 `json:"origin_requests"` // what went to Base, in the background too
	OriginErrors   uint64 `json:"origin_errors"`   // how many of them Base failed, but for those that were cancelled
	OriginFailures uint64 `json:"origin_failures"` // how many were answered with a status of 500 or more

	// BytesFromCache is the length of stored bodies that were handed out, as they are stored, counted when the response
	// is handed out. BytesFromOrigin are bytes of bodies that were read from Base.
	BytesFromCache  uint64 `json:"bytes_from_cache"`
	BytesFromOrigin uint64 `json:"bytes_from_origin"`

	// Stored is how many responses were stored to their end, and NotStored how many from the origin were not, by the
	// reason why: also those that were to be stored and then came to no good end, with Incomplete, TooLong,
	// StoreFailed or Outdated. What a 304 or a HEAD has brought up to date is in neither.
	Stored    uint64                    `json:"stored"`
	NotStored map[rfc9111.Reason]uint64 `json:"not_stored"`

	// StoreErrors are the failures of the store by operation: get, create, write, commit, update and delete. An
	// entry that cannot be read is one of get.
	StoreErrors map[string]uint64 `json:"store_errors"`

	// Evictions are entries that the store dropped to stay within its bound on bytes. 0 for a store that does not
	// tell, by a method Evictions() uint64.
	Evictions uint64 `json:"evictions"`
}

// Stats returns what was counted until now. Each number only ever grows. They are read one after the other while requests
// go on, so that one may be ahead of another by the requests of that moment.
func (t *Transport) Stats() Stats {
	e := t.start()
	s := e.counters.read()
	if c, ok := e.given.(interface{ Evictions() uint64 }); ok {
		s.Evictions = c.Evictions()
	}
	return s
}

// counters are what Stats shows. What a hit counts is spread, so that processors do not wait for each other.
type counters struct {
	shards []shard
	next   atomic.Uint32

	failed, collapsed, background      atomic.Uint64
	sent, originErrors, originFailures atomic.Uint64
	fromOrigin                         atomic.Uint64
	stored                             atomic.Uint64
	notStored                          [256]atomic.Uint64 // by Reason
	storeFailures                      storeFailures
}

// shard is a part of the counters that every request counts. Exchanges that are used again keep theirs, and each processor
// has its own of those.
type shard struct {
	answers   [Bypass + 2]atomic.Uint64 // by Outcome, and refused
	fromCache atomic.Uint64
	_         [64]byte // no other shard is in the same line of a processor's cache
}

// refused stands beside the Outcomes for a 504 of the cache's own.
const refused = Bypass + 1

func (c *counters) start() {
	c.shards = make([]shard, 2*runtime.GOMAXPROCS(0))
}

// shard returns the one for a new exchange.
func (c *counters) shard() *shard { return &c.shards[int(c.next.Add(1)%uint32(len(c.shards)))] }

// answered counts an answer, and how much of a stored body it has.
func (s *shard) answered(o Outcome, fromCache int64) {
	s.answers[o].Add(1)
	if fromCache > 0 {
		s.fromCache.Add(uint64(fromCache))
	}
}

func (c *counters) read() Stats {
	var answers [len(shard{}.answers)]uint64
	s := Stats{
		Failed: c.failed.Load(), Collapsed: c.collapsed.Load(), Background: c.background.Load(),
		OriginRequests: c.sent.Load(), OriginErrors: c.originErrors.Load(), OriginFailures: c.originFailures.Load(),
		BytesFromOrigin: c.fromOrigin.Load(), Stored: c.stored.Load(),
		NotStored: make(map[rfc9111.Reason]uint64), StoreErrors: c.storeFailures.read(),
	}
	for i := range c.shards {
		for o := range answers {
			answers[o] += c.shards[i].answers[o].Load()
		}
		s.BytesFromCache += c.shards[i].fromCache.Load()
	}
	s.Hits, s.Stale, s.Revalidated = answers[Hit], answers[Stale], answers[Revalidated]
	s.Misses, s.Bypassed, s.Refused = answers[Miss], answers[Bypass], answers[refused]
	for r := range c.notStored {
		if n := c.notStored[r].Load(); n > 0 {
			s.NotStored[rfc9111.Reason(r)] = n
		}
	}
	return s
}

// storeFailures counts what fails in the store, by operation, and says when it is time to warn of that.
type storeFailures struct {
	mu   sync.Mutex // guards what follows
	byOp map[string]*storeFailure
}

type storeFailure struct {
	all, unsaid uint64
	said        time.Time
}

// add counts a failure, and returns how many there were since the last warning, this one included. It also says whether
// it is time for another, if this failure is worth one.
func (f *storeFailures) add(op string, now time.Time, worth bool) (unsaid uint64, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byOp == nil {
		f.byOp = make(map[string]*storeFailure)
	}
	s := f.byOp[op]
	if s == nil {
		s = new(storeFailure)
		f.byOp[op] = s
	}
	s.all++
	s.unsaid++
	unsaid = s.unsaid
	if worth && (s.said.IsZero() || now.Sub(s.said) >= 10*time.Second) {
		s.unsaid, s.said, due = 0, now, true
	}
	return unsaid, due
}

func (f *storeFailures) read() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]uint64, len(f.byOp))
	for op, s := range f.byOp {
		all[op] = s.all
	}
	return all
}

// errNothing is what a request ends with where Base breaks the rules of http.RoundTripper.
var errNothing = errors.New("cachecontrol: Transport.Base returned neither a response nor an error")

// errNoBody is what a request ends with if Base promises a body and gives none: the error of http.Client, in effect.
var errNoBody = errors.New("cachecontrol: Transport.Base returned a response with a Content-Length and no Body")

// errLoop is what a request ends with if Base leads back to the Transport.
var errLoop = errors.New("cachecontrol: Transport.Base leads back to the Transport: set it to another RoundTripper, as http.DefaultTransport was at first")

// errMountLoop is what a request ends with if a mounted RoundTripper leads back to the Mounts.
var errMountLoop = errors.New("cachecontrol: what is mounted for the URL leads back to the Mounts")

// maxTransports is how many Transports and Mounts a request may pass on its way before it is taken for a loop.
const maxTransports = 32

// leadsTo reports whether rt leads to another RoundTripper for a URL, through Transports, Mounts and http.DefaultTransport, or to no
// end. Of other RoundTrippers it does not know where they lead.
func leadsTo(rt, other http.RoundTripper, u *url.URL) bool {
	for range maxTransports {
		switch next := rt.(type) {
		case *Transport:
			if rt == other {
				return true
			}
			if rt = next.Base; rt == nil {
				rt = http.DefaultTransport
			}
		case *Mounts:
			if rt == other {
				return true
			}
			rt = next.find(u)
		default:
			return false
		}
	}
	return true
}

// send makes a request through Base, and counts the result.
func (e *engine) send(out *outgoingRequest) (*http.Response, error) {
	c, req, answer := &e.counters, &out.Request, &out.answer
	c.sent.Add(1)
	var loop error
	switch {
	case out.depth > maxDepth:
		loop = errNested
	case leadsTo(e.base(), e.owner, req.URL):
		loop = errLoop
	}
	if loop != nil {
		closeBody(req)
		answer.context.release()
		return nil, loop
	}
	resp, err := e.base().RoundTrip(req)
	switch {
	case err != nil:
	case resp == nil:
		err = errNothing
	case resp.Body == nil && resp.ContentLength > 0 && req.Method != http.MethodHead:
		err = errNoBody
	default:
		resp.Header = canonicalNames(resp.Header)
	}
	if err != nil || resp.Body == nil || resp.Body == http.NoBody {
		answer.context.release()
	}
	switch {
	case err == nil:
		if resp.StatusCode >= http.StatusInternalServerError {
			c.originFailures.Add(1)
		}
		// The body of a 101 is more than a reader.
		if resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols {
			answer.ReadCloser, answer.counter = resp.Body, &c.fromOrigin
			resp.Body = answer
		}
	case req.Context().Err() == nil:
		c.originErrors.Add(1)
	}
	return resp, err
}
