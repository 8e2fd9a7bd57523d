package rules

import (
	"time"
)

// Action is what to do with a request for which a stored response was found.
type Action uint8

// The actions.
const (
	Validate         Action = iota // validate it with the origin first
	Serve                          // use the stored response
	ServeAndValidate               // use it, and validate it in the background
	Refuse                         // respond with 504 (only-if-cached)
)

// Reuse is the decision about using a stored response for a request.
type Reuse struct {
	Action Action
	Reason Reason
	Age    time.Duration // current age of the response
	TTL    time.Duration // remaining freshness; if negative, how long the response has been stale
}

// Stale reports whether the stored response is stale.
func (r Reuse) Stale() bool { return r.TTL <= 0 }

// Reuse decides whether the stored response may be used for a request at the time now (RFC 9111,
// section 4). The caller must check that it was stored for the URL of the request and that the
// header of the request selects it.
func (p *Policy) Reuse(req *Request, now time.Time) Reuse {
	d := &p.Directives
	age := p.Age(now)
	lifetime, source := p.within(req.Lifetime)
	r := Reuse{Age: age, TTL: lifetime - age}
	fresh := lifetime > age
	switch {
	case d.NoCache:
		r.Reason = NoCacheResponse
	case req.Refresh:
		r.Reason = RefreshAsked
	case req.NoCache:
		r.Reason = NoCacheRequest
		if req.pragma {
			r.Reason = PragmaNoCache
		}
	case fresh && d.Immutable && req.endToEnd():
		r.Action, r.Reason = Serve, ImmutableReload
	case req.MaxAge.OK && (age > req.MaxAge.Value || req.MaxAge.Value == 0):
		r.Reason = RequestMaxAge
	case req.MinFresh.OK && r.TTL < req.MinFresh.Value:
		r.Reason = RequestMinFresh
	case fresh:
		if r.Action, r.Reason = Serve, Fresh; source == OwnLifetime {
			r.Reason = OwnLifetime
		}
	case p.staleForbidden() != ReasonNone:
		r.Reason = Expired
	case req.MaxStale.permits(r.TTL):
		r.Action, r.Reason = Serve, MaxStale
	case req.MaxAge.OK || req.MaxStale.OK: // the request limits staleness itself (RFC 9111, section 5.2.1.1)
		r.Reason = Expired
	case d.StaleWhileRevalidate.permits(r.TTL):
		r.Action, r.Reason = ServeAndValidate, WhileRevalidating
	case req.allowStale().permits(r.TTL):
		r.Action, r.Reason = Serve, AllowStale
	default:
		r.Reason = Expired
	}
	if p.Options.Replay && r.Action != Serve && !req.Refresh {
		r.Action, r.Reason = Serve, Replayed
	}
	if req.OnlyIfCached && r.Action == Validate {
		r.Action, r.Reason = Refuse, OnlyIfCached
	}
	return r
}

// ReuseOnError decides whether the stored response may be used because the origin could not be
// reached or returned a server error (RFC 9111, section 4.2.4, and RFC 5861, section 4). The Action
// of the result is Serve or Validate.
func (p *Policy) ReuseOnError(req *Request, now time.Time) Reuse {
	age := p.Age(now)
	lifetime, _ := p.within(req.Lifetime)
	r := Reuse{Age: age, TTL: lifetime - age, Reason: Expired}
	if p.Options.Replay {
		r.Action, r.Reason = Serve, OnError
		return r
	}
	if p.staleForbidden() != ReasonNone {
		return r
	}
	allowed := Delta{p.Options.StaleIfError, p.Options.StaleIfError > 0}
	if d := p.Directives.StaleIfError; d.OK {
		allowed = Delta{max(allowed.Value, d.Value), true}
	}
	if req.endToEnd() {
		allowed = Delta{}
	}
	for _, d := range [...]Delta{req.StaleIfError, req.allowStale()} {
		if d.OK {
			allowed = Delta{max(allowed.Value, d.Value), true}
		}
	}
	if allowed.permits(r.TTL) {
		r.Action, r.Reason = Serve, OnError
	}
	return r
}

// ServerFailed reports whether status is a server error after which a stale response may be used
// (RFC 5861, section 4).
func ServerFailed(status int) bool {
	return status == 500 || status == 502 || status == 503 || status == 504
}

// staleForbidden returns the reason why the response must never be used stale (RFC 9111, section
// 4.2.4), or ReasonNone if it may be.
func (p *Policy) staleForbidden() Reason {
	d := &p.Directives
	switch {
	case d.NoCache:
		return NoCacheResponse
	case d.MustRevalidate, p.Options.Shared && (d.ProxyRevalidate || d.SMaxAge.OK):
		return Expired
	}
	return ReasonNone
}
