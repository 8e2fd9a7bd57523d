package cachecontrol

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// StoreDecision is what Transport.BeforeStore says of a response. The zero value leaves it to the rules.
type StoreDecision struct {
	Refuse   bool          // it is not stored
	Lifetime time.Duration // a freshness lifetime, as Control.Lifetime is, which goes before it; 0 or less: none

	named bool // BeforeStore gave the lifetime to this response, and so to its status
}

// ReuseDecision is what Transport.BeforeReuse says of a stored response.
type ReuseDecision uint8

// The decisions. The zero value leaves it to the rules.
const (
	ReuseByRules  ReuseDecision = iota
	ReuseValidate               // ask the origin first, and have no stale response stand in where that fails
	ReuseNever                  // as if it were not stored
	ReuseAnyway                 // answer with it, stale or not, whatever the request and the response say
)

// StoredResponse is a stored response as Transport.BeforeReuse sees it.
type StoredResponse struct {
	StatusCode int
	Header     http.Header   // shared: must not be changed
	Age        time.Duration // its current age (RFC 9111, section 4.2.3)
	TTL        time.Duration // its freshness left; negative: stale for so long
}

// ownDecision is what the program says about storing a response of the origin: BeforeStore, and the request's Control.
func (x *exchange) ownDecision(resp *http.Response) (d StoreDecision) {
	if x.beforeStore != nil {
		view := *resp
		view.Body = http.NoBody // it is the caller's
		d = x.beforeStore(&view)
	}
	d.Lifetime = max(d.Lifetime, 0)
	d.named = d.Lifetime > 0
	if x.cc.Lifetime > 0 {
		d.Lifetime = x.cc.Lifetime
	}
	return d
}

// mayReuse decides whether a candidate may answer: by the rules, and as BeforeReuse says. It reports false where the
// request is to be answered as if the candidate were not there.
func (x *exchange) mayReuse(c *candidate) (rfc9111.Reuse, bool) {
	now := x.clock.now()
	r := c.policy.Reuse(&x.cc, now)
	if x.beforeReuse == nil || x.revalidates {
		return r, true
	}
	asked := false
	defer func() {
		if !asked { // it panics
			c.close()
		}
	}()
	own := x.beforeReuse(x.req, StoredResponse{c.entry.Status, c.entry.Header, r.Age, r.TTL})
	asked = true
	switch own {
	case ReuseValidate:
		x.cc.Refresh, x.confirms = true, true
		if r = c.policy.Reuse(&x.cc, now); r.Reason == rfc9111.RefreshAsked {
			r.Reason = rfc9111.ValidateAsked
		}
	case ReuseNever:
		r.Reason = rfc9111.ReuseRefused
		return r, false
	case ReuseAnyway:
		if r.Action != rfc9111.Serve {
			r.Action, r.Reason = rfc9111.Serve, rfc9111.ReuseAllowed
		}
	}
	return r, true
}
