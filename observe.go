package cachecontrol

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Observation describes how a Transport answered a request.
type Observation struct {
	Request  *http.Request  // must not be modified
	Response *http.Response // must not be modified, and its Body must not be read; nil if Err is not nil
	Err      error          // the error of RoundTrip
	Status   Status         // as StatusOf returns it

	// Key is the key under which a response to a GET request is stored, or would be. It is "" if the URL has none. If
	// the URL has a user, or if there are partitions, a digest is at the end of the key.
	Key string

	// Background is true if the request was a validation in the background, whose response the caller does not get.
	Background bool

	Started time.Time     // when RoundTrip was called
	Took    time.Duration // until RoundTrip returned; the body is read after that
	Lookup  time.Duration // the part of Took that looking for a stored response took
	Origin  time.Duration // the part of Took until the header of the origin was received; 0 if it was not asked
}

// Result returns the outcome as Stats counts it: "hit", "stale", "revalidated", "miss", "bypass", "refused" or "failed".
func (o *Observation) Result() string {
	switch {
	case o.Err != nil:
		return "failed"
	case o.Status.Outcome == Miss && o.Status.Reason == rules.OnlyIfCached && o.Status.Forward == "":
		return "refused"
	}
	return o.Status.Outcome.String()
}

// observers are called after each request.
type observers struct {
	mu   sync.Mutex // held while all changes
	list atomic.Pointer[[]*observer]
}

type observer struct{ f func(Observation) }

func (o *observers) add(f func(Observation)) (stop func()) {
	added := &observer{f}
	o.change(func(list []*observer) []*observer { return append(list, added) })
	return func() {
		o.change(func(list []*observer) []*observer {
			return slices.DeleteFunc(list, func(other *observer) bool { return other == added })
		})
	}
}

// change replaces the list by what f returns for a copy of it.
func (o *observers) change(f func([]*observer) []*observer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*observer
	if old := o.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = f(list); len(list) > 0 {
		o.list.Store(&list)
	} else {
		o.list.Store(nil)
	}
}

// newTrace returns a trace for a request, or nil if there is no observer.
func (o *observers) newTrace(req *http.Request, background bool) *trace {
	if o.list.Load() == nil {
		return nil
	}
	return &trace{req: req, background: background, started: time.Now()}
}

// end calls the observers. If one of them panics, the body of resp is closed.
func (o *observers) end(t *trace, resp *http.Response, err error) {
	list := o.list.Load()
	if t == nil || list == nil {
		return
	}
	ended := false
	defer func() {
		if !ended && resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
	}()
	seen := Observation{
		Request: t.req, Response: resp, Err: err, Status: StatusOf(resp), Key: t.key, Background: t.background,
		Started: t.started, Took: time.Since(t.started), Lookup: time.Duration(t.lookup.Load()), Origin: time.Duration(t.origin.Load()),
	}
	for _, observer := range *list {
		observer.f(seen)
	}
	ended = true
}

// trace collects the times of a request for its Observation. A request to the origin may outlive its caller, so that
// several goroutines may add times. A nil trace collects nothing.
type trace struct {
	req        *http.Request
	key        string
	background bool
	started    time.Time

	lookup, origin atomic.Int64 // nanoseconds
}

func (t *trace) setKey(plain []byte) {
	if t != nil {
		t.key = string(plain)
	}
}

// now returns the current time if it is needed.
func (t *trace) now() time.Time {
	if t == nil {
		return time.Time{}
	}
	return time.Now()
}

// lookedUp adds the time since start to that of look-ups.
func (t *trace) lookedUp(start time.Time) {
	if t != nil {
		t.lookup.Add(int64(time.Since(start)))
	}
}

// asked adds the time of a request to the origin.
func (t *trace) asked(d time.Duration) {
	if t != nil {
		t.origin.Add(int64(d))
	}
}
