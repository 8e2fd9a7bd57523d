package rules

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Policy is what one response permits regarding its storage and reuse. It does not change once it
// has been computed, except by ConfirmedBy.
type Policy struct {
	Status     int
	Directives *Response // shared with other policies
	Options    *Options  // shared with other policies
	Validators

	Lifetime time.Duration // freshness lifetime, 0 to Infinite (RFC 9111, section 4.2.1); see Source
	Override time.Duration // the lifetime passed to WithLifetime, or 0
	Varies   bool          // the response has selecting header fields (Vary)
	VaryAny  bool          // no other request matches the response

	// Named is true if the program names the status of the response as one to be stored, in
	// addition to Options.Statuses.
	Named bool

	userCookie bool // the cache is shared and withholds Set-Cookie, and the response sets a cookie for one user
	rejecting  bool // the response is a 401 or 407 whose Vary does not name the field with the credentials

	stated     time.Duration // the lifetime from the response itself
	statedBy   Reason        // what determines stated
	initialAge time.Duration // age when the response was received
}

// NewPolicy returns the policy of a response. requestTime is when its request was sent. responseTime
// is when the response was received or last validated.
func NewPolicy(o Options, status int, h http.Header, requestTime, responseTime time.Time) *Policy {
	p, d := new(Policy), ParseResponse(h, o.Shared)
	p.Compute(&d, &o, status, h, requestTime, responseTime)
	return p
}

// Compute is like NewPolicy, but sets *p, which must be zero. d are the directives in h. p shares d and o with
// other policies, so they must not be changed afterwards.
func (p *Policy) Compute(d *Response, o *Options, status int, h http.Header, requestTime, responseTime time.Time) {
	p.Status, p.Options, p.Directives = status, o, d
	p.Validators.read(h, responseTime)
	var selecting []string
	selecting, p.VaryAny = o.SelectingFields(h)
	p.Varies = len(selecting) > 0
	if field := credentials(status); field != "" {
		p.rejecting = !slices.ContainsFunc(selecting, func(name string) bool { return strings.EqualFold(name, field) })
	}
	p.userCookie = p.setsUserCookie(h)
	p.initialAge = initialAge(p.Date, ageValue(h["Age"]), requestTime, responseTime)
	p.stated, p.statedBy = p.lifetime(h)
	p.Lifetime = p.stated
}

// lifetime computes the freshness lifetime from the response alone (RFC 9111, section 4.2.1).
func (p *Policy) lifetime(h http.Header) (time.Duration, Reason) {
	d := p.Directives
	switch {
	case p.Options.Shared && d.SMaxAge.OK:
		return d.SMaxAge.Value, SMaxAge
	case d.MaxAge.OK:
		return d.MaxAge.Value, MaxAge
	}
	if lines := h["Expires"]; len(lines) > 0 && !d.Targeted {
		for _, l := range lines[1:] {
			if l != lines[0] {
				return 0, Expires
			}
		}
		t, ok := ParseDate(lines[0], p.responseTime)
		if !ok {
			return 0, Expires // RFC 9111, section 5.3: an invalid date means a time in the past
		}
		return min(max(0, t.Sub(p.Date)), Infinite), Expires
	}
	if p.Status == http.StatusMovedPermanently || p.Status == http.StatusPermanentRedirect {
		return Infinite, Permanent
	}
	return 0, NoFreshness
}

// WithLifetime returns a copy of the policy with d in place of the freshness lifetime of the
// response. d may be shorter or longer, as configuration or the client may permit (RFC 9111,
// section 4.2.4). If the response has explicit freshness and also forbids stale use, for example
// with must-revalidate, d can only shorten the lifetime. If d is 0 or negative, WithLifetime
// returns p.
func (p *Policy) WithLifetime(d time.Duration) *Policy {
	if d <= 0 {
		return p
	}
	q := *p
	q.Override = d
	q.Lifetime, _ = p.within(d)
	return &q
}

// within returns the freshness lifetime that applies if the program sets it to d, and whether it is
// then the one of the program. If d is 0, the lifetime of the policy applies.
func (p *Policy) within(d time.Duration) (lifetime time.Duration, own bool) {
	if d <= 0 {
		d = p.Override
	}
	if d <= 0 || d > p.stated && p.Explicit() && p.staleForbidden() {
		return p.stated, false
	}
	return min(d, Infinite), true
}

// Source returns what determines Lifetime: SMaxAge, MaxAge, Expires, Permanent, OwnLifetime or
// NoFreshness.
func (p *Policy) Source() Reason {
	if _, own := p.within(0); own {
		return OwnLifetime
	}
	return p.statedBy
}

// Explicit reports whether the response has explicit freshness: s-maxage, max-age or Expires.
func (p *Policy) Explicit() bool {
	return p.statedBy == SMaxAge || p.statedBy == MaxAge || p.statedBy == Expires
}

// Age returns the current age of the response, between 0 and Infinite (RFC 9111, section 4.2.3). That of a response which
// was received in the future is not known, because another machine with another clock has stored it. It is at least the
// freshness lifetime, so that the response is validated, unless that has no end.
func (p *Policy) Age(now time.Time) time.Duration { return p.age(now, p.Lifetime) }

// age is Age for a freshness lifetime that a request may have changed.
func (p *Policy) age(now time.Time, lifetime time.Duration) time.Duration {
	since := elapsed(p.responseTime, now)
	age := p.initialAge + since
	if since == 0 && lifetime < Infinite && p.responseTime.Sub(now) > clockTolerance {
		age = max(age, lifetime)
	}
	return min(age, Infinite)
}

// Retention returns how long after its receipt a stored response can be of use, including stale use and
// validation. Zero means that there is no known limit. A response with a validator is kept for at
// least 14 days, as in CacheControl.
func (p *Policy) Retention() time.Duration {
	if p.Lifetime == Infinite || p.Options.Replay {
		return 0
	}
	d := p.Directives
	stale := max(p.staleWhileRevalidate(&Request{}).Value, d.StaleIfError.Value, p.Options.StaleIfError)
	if stale >= Infinite {
		return 0
	}
	keep := p.Lifetime + stale
	if p.HasValidator() {
		keep = max(keep, 14*24*time.Hour)
	}
	return max(keep, time.Second)
}

// ExcludedFields returns the names of the fields that are not stored, in addition to those for
// which PerConnection is true: in a shared cache the fields named by private (RFC 9111, section
// 5.2.2.7), and the fields that Options.WithholdSetCookie withholds. The caller must not modify the
// slice.
func (p *Policy) ExcludedFields() []string {
	var private []string
	if p.Options.Shared {
		private = p.Directives.PrivateFields
	}
	switch {
	case !p.Options.WithholdSetCookie:
		return private
	case len(private) == 0:
		return cookieFields
	}
	return slices.Concat(private, cookieFields)
}

// setsUserCookie reports whether a response with the header h sets a cookie that
// Options.WithholdSetCookie reserves for one user of a shared cache.
func (p *Policy) setsUserCookie(h http.Header) bool {
	if !p.Options.Shared || !p.Options.WithholdSetCookie || p.Directives.shareable {
		return false
	}
	for _, name := range cookieFields {
		if h[name] != nil && !slices.Contains(p.Directives.PrivateFields, name) {
			return true
		}
	}
	return false
}

// ForOneUser reports whether the response is only for one user of a shared cache: it has private, or
// it sets a cookie that Options.WithholdSetCookie withholds. It is always false for a private cache.
func (p *Policy) ForOneUser() bool { return p.Options.Shared && p.Directives.Private || p.userCookie }

// ConfirmedBy updates the policy of a stored response that the origin has just confirmed with the
// header later. If later sets a cookie for one user of a shared cache, the response may no longer
// be stored.
func (p *Policy) ConfirmedBy(later http.Header) {
	p.userCookie = p.userCookie || p.setsUserCookie(later)
}

// neverStored reports whether the status is one that caches must not store (RFC 6585, sections 3 to
// 6). There is one deviation: a 429 is stored if the program both lists it in Options.Statuses and
// gives it a lifetime, as a program that replays recorded responses may do.
func (p *Policy) neverStored() bool {
	switch p.Status {
	case http.StatusPreconditionRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return true
	case http.StatusTooManyRequests:
		return p.Override <= 0 || !slices.Contains(p.Options.Statuses, p.Status)
	}
	return false
}

// Unusable reports whether a response found in the store must not be used, because a cache with
// these rules does not store such a response. Another program or another kind of cache has stored
// it.
func (p *Policy) Unusable() bool { return p.ForOneUser() || p.neverStored() || p.rejecting }

// Store decides whether the response to a request may be stored (RFC 9111, section 3).
// authorization is whether the request had an Authorization field. The caller must check that
// responses to the method are stored, and that a partial response is usable.
func (p *Policy) Store(req Request, authorization bool) StoreDecision {
	switch {
	case p.Status < 200:
		return StoreDecision{false, StatusNotFinal}
	case p.Status == http.StatusNotModified:
		return StoreDecision{false, NotModifiedForCaller}
	case p.neverStored():
		return StoreDecision{false, NeverStored}
	}
	if why := p.onlyForRequest(&req, authorization); why != ReasonNone {
		return StoreDecision{false, why}
	}
	d := p.Directives
	switch {
	case p.Options.Statuses != nil && !slices.Contains(p.Options.Statuses, p.Status):
		return StoreDecision{false, StatusExcluded}
	case !p.Explicit() && !d.Public && !(d.Private && !p.Options.Shared) && !HeuristicallyCacheable(p.Status) && !p.chosen():
		return StoreDecision{false, NotCacheable}
	}
	return p.useful()
}

// onlyForRequest returns why the response must not be used for any request but its own, whatever its
// status, or ReasonNone if it may be.
func (p *Policy) onlyForRequest(req *Request, authorization bool) Reason {
	d := p.Directives
	switch {
	case d.MustUnderstand && !knownStatus(p.Status):
		return StatusNotUnderstood
	case d.NoStore && !d.overNoStore:
		return NoStoreResponse
	case req.NoStore:
		return NoStoreRequest
	case p.Options.Shared && d.Private:
		return PrivateInShared
	case p.Options.Shared && authorization && !d.authorized:
		return AuthorizationInShared
	case p.userCookie:
		return SetCookieInShared
	case p.VaryAny:
		return VaryAny
	case p.rejecting:
		return CredentialsRefused
	}
	return ReasonNone
}

// SharesFailure reports whether the response is a failure of the origin that may answer the requests
// that wait for it, although it may not be stored. Each of them would otherwise be sent to an origin
// that is failing. RFC 9111, section 4, lets only a "stored or storable" response answer several
// requests, so this is a deviation for responses without freshness. All that restricts a response to
// its own request still does, and so do no-cache, and must-revalidate unless the response is fresh.
func (p *Policy) SharesFailure(req Request, authorization bool, now time.Time) bool {
	return Failed(p.Status) && p.onlyForRequest(&req, authorization) == ReasonNone &&
		!p.Directives.NoCache && (p.Lifetime > p.Age(now) || !p.staleForbidden())
}

// chosen reports whether the program both names the status of the response and gives it a lifetime.
func (p *Policy) chosen() bool {
	return (p.Override > 0 || p.Options.Replay) && (p.Named || slices.Contains(p.Options.Statuses, p.Status))
}

// useful decides whether it is worth storing a response, and why. A validator is enough, whether or
// not the response is fresh. (In CacheControl, equal priority counts only an ETag as a validator.)
func (p *Policy) useful() StoreDecision {
	d := p.Directives
	switch {
	case p.Lifetime > 0 && !d.NoCache:
		return StoreDecision{true, p.Source()}
	case p.Options.Replay:
		return StoreDecision{true, Replayed}
	case p.Options.TimePriority && p.Lifetime == 0:
		return StoreDecision{false, NothingToReuse}
	case p.HasValidator():
		return StoreDecision{true, Validator}
	case !p.staleForbidden() && (d.StaleWhileRevalidate.Value > 0 || d.StaleIfError.Value > 0):
		return StoreDecision{true, StaleAllowed}
	}
	return StoreDecision{false, NothingToReuse}
}

// Reuse decides whether the stored response may be used for a request at the time now (RFC 9111,
// section 4). The caller must check that it was stored for the URL of the request and that the
// header of the request selects it.
func (p *Policy) Reuse(req *Request, now time.Time) Reuse {
	lifetime, own := p.within(req.Lifetime)
	age := p.age(now, lifetime)
	action, reason := p.reuse(req, age, lifetime-age, own)
	if p.Options.Replay && action != Serve && !req.Refresh {
		action, reason = Serve, Replayed
	}
	if req.OnlyIfCached && action == Validate {
		action, reason = Refuse, OnlyIfCached
	}
	return Reuse{action, reason, age, lifetime - age}
}

// reuse decides by the directives of the response and the request. own is whether the program sets the
// freshness lifetime.
func (p *Policy) reuse(req *Request, age, ttl time.Duration, own bool) (Action, Reason) {
	d, fresh := p.Directives, ttl > 0
	switch {
	case d.NoCache:
		return Validate, NoCacheResponse
	case req.Refresh:
		return Validate, RefreshRequested
	case req.pragma:
		return Validate, PragmaNoCache
	case req.NoCache:
		return Validate, NoCacheRequest
	case fresh && d.Immutable && req.endToEnd():
		return Serve, ImmutableReload
	case req.MaxAge.OK && (age > req.MaxAge.Value || req.MaxAge.Value == 0):
		return Validate, RequestMaxAge
	case req.MinFresh.OK && ttl < req.MinFresh.Value:
		return Validate, RequestMinFresh
	case fresh && own:
		return Serve, OwnLifetime
	case fresh:
		return Serve, Fresh
	case p.staleForbidden():
		return Validate, Expired
	case req.MaxStale.permits(ttl):
		return Serve, MaxStale
	case req.MaxAge.OK || req.MaxStale.OK: // the request limits staleness itself (RFC 9111, section 5.2.1.1)
		return Validate, Expired
	case p.staleWhileRevalidate(req).permits(ttl):
		return ServeAndValidate, WhileRevalidating
	case req.allowStale().permits(ttl):
		return Serve, AllowStale
	}
	return Validate, Expired
}

// staleWhileRevalidate returns how long the response may be used stale while it is validated. The
// directive of the response has precedence over what the program allows.
func (p *Policy) staleWhileRevalidate(req *Request) Delta {
	d := p.Directives.StaleWhileRevalidate
	switch {
	case req.StaleWhileRevalidate < 0:
		return Delta{}
	case d.OK:
		return d
	}
	allowed := cmp.Or(req.StaleWhileRevalidate, p.Options.StaleWhileRevalidate)
	return Delta{allowed, allowed > 0}
}

// ReuseOnError decides whether the stored response may be used because the origin could not be
// reached or returned a server error (RFC 9111, section 4.2.4, and RFC 5861, section 4). The Action
// of the result is Serve or Validate.
func (p *Policy) ReuseOnError(req *Request, now time.Time) Reuse {
	lifetime, _ := p.within(req.Lifetime)
	age := p.age(now, lifetime)
	r := Reuse{Age: age, TTL: lifetime - age, Reason: Expired}
	if p.Options.Replay {
		r.Action, r.Reason = Serve, OnError
		return r
	}
	if p.staleForbidden() {
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

// ReuseIfSlow decides whether the stored response may be used because the origin is slow. It may if
// it may be used when the origin fails, unless the request itself limits the age or the staleness of
// the response. The Action of the result is Serve or Validate.
func (p *Policy) ReuseIfSlow(req *Request, now time.Time) Reuse {
	r := p.ReuseOnError(req, now)
	switch {
	case r.Action != Serve:
	case req.endToEnd(), req.MaxAge.OK, req.MinFresh.OK, req.MaxStale.OK:
		r.Action, r.Reason = Validate, Expired
	default:
		r.Reason = OriginSlow
	}
	return r
}

// staleForbidden reports whether the response must never be used stale (RFC 9111, section 4.2.4).
func (p *Policy) staleForbidden() bool {
	d := p.Directives
	return d.NoCache || d.MustRevalidate || p.Options.Shared && (d.ProxyRevalidate || d.SMaxAge.OK)
}
