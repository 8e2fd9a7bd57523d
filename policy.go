package cachecontrol

import (
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// StoreDecision is the result of Transport.BeforeStore. The zero value leaves the decision to the rules.
type StoreDecision struct {
	Refuse   bool          // the response is not stored
	Lifetime time.Duration // if positive, a freshness lifetime, as in Control.Lifetime, which takes precedence

	named bool // BeforeStore set the lifetime, so it applies to this response and its status
}

// ReuseDecision is the result of Transport.BeforeReuse for a stored response.
type ReuseDecision uint8

// The decisions. The zero value, ReuseByRules, leaves the decision to the rules.
const (
	ReuseByRules  ReuseDecision = iota
	ReuseValidate               // ask the origin first; if it fails, do not use a stale response
	ReuseNever                  // proceed as if the response were not stored
	ReuseAnyway                 // use the response, fresh or stale, regardless of directives in the request and the response
)

// StoredResponse is a stored response as passed to Transport.BeforeReuse.
type StoredResponse struct {
	StatusCode int
	Header     http.Header   // shared, must not be modified
	Age        time.Duration // current age (RFC 9111, section 4.2.3)
	TTL        time.Duration // remaining freshness; if negative, how long the response has been stale
}

// ownDecision returns the decision of BeforeStore and of the request's Control about storing a response from the
// origin.
func (x *exchange) ownDecision(resp *http.Response) (d StoreDecision) {
	if x.beforeStore != nil {
		view := *resp
		view.Body = http.NoBody // the Body belongs to the caller
		d = x.beforeStore(&view)
	}
	d.Lifetime = max(d.Lifetime, 0)
	d.named = d.Lifetime > 0
	if x.cc.Lifetime > 0 {
		d.Lifetime = x.cc.Lifetime
	}
	return d
}

// mayReuse decides by the rules and BeforeReuse how the candidate may be used. It returns false if the request is to be
// answered as if the candidate were not stored.
func (x *exchange) mayReuse(c *candidate) (rules.Reuse, bool) {
	now := x.clock.now()
	r := c.policy.Reuse(&x.cc, now)
	if x.beforeReuse == nil || x.revalidates {
		return r, true
	}
	asked := false
	defer func() {
		if !asked { // the hook panicked
			c.close()
		}
	}()
	own := x.beforeReuse(x.req, StoredResponse{c.entry.Status, c.entry.Header, r.Age, r.TTL})
	asked = true
	switch own {
	case ReuseValidate:
		x.cc.Refresh, x.confirms = true, true
		if r = c.policy.Reuse(&x.cc, now); r.Reason == rules.RefreshAsked {
			r.Reason = rules.ValidateAsked
		}
	case ReuseNever:
		r.Reason = rules.ReuseRefused
		return r, false
	case ReuseAnyway:
		if r.Action != rules.Serve {
			r.Action, r.Reason = rules.Serve, rules.ReuseAllowed
		}
	}
	return r, true
}
