package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Options are the choices that RFC 9111 leaves to a cache, and deviations from it that a program may
// choose.
type Options struct {
	// Shared, if true, applies the rules for shared caches: s-maxage, proxy-revalidate, private,
	// Authorization and CDN-Cache-Control.
	Shared bool

	// TimePriority, if true, means that a response without a freshness lifetime is not stored
	// merely because it has a validator.
	TimePriority bool

	// Replay, if true, means that stored responses are reused regardless of their age and of all
	// directives, unless the request has Refresh set.
	Replay bool

	// WithholdSetCookie, if true, passes Set-Cookie and Set-Cookie2 only to the request that they
	// answer. They are not stored, and a shared cache stores a response with such a field only if
	// the response is Shareable or if private names the field. If false, they are treated like any
	// other field, as in RFC 9111.
	WithholdSetCookie bool

	// StaleIfError is how long any response may be used stale while the origin fails, as if each
	// response had this stale-if-error directive.
	StaleIfError time.Duration

	// Statuses lists the status codes of the responses that may be stored. If nil, all that RFC
	// 9111 allows may be stored. A response with a listed status that is not cacheable by default,
	// such as 302, is also stored without explicit freshness if WithLifetime or Replay gives it a
	// lifetime.
	Statuses []int
}

// Policy is what one response permits regarding its storage and reuse. It does not change once it
// has been computed, except by ConfirmedBy.
type Policy struct {
	Status     int
	Directives Response
	Options    Options

	Lifetime time.Duration // freshness lifetime, 0 to Infinite (RFC 9111, section 4.2.1)
	Source   Reason        // what determines Lifetime: SMaxAge, MaxAge, Expires, Permanent, OwnLifetime or NoFreshness
	saidBy   Reason        // what determines said
	Varies   bool          // the response has selecting header fields (Vary)
	VaryAny  bool          // no other request matches the response
	cookies  bool          // the cache is shared and withholds Set-Cookie, and the response sets a cookie for one user
	refused  bool          // the response is a 401 or 407 whose Vary does not name the field with the credentials
	Override time.Duration // the lifetime passed to WithLifetime, or 0

	// Named is true if the program names the status of the response as one to be stored, in
	// addition to Options.Statuses.
	Named bool

	Date         time.Time // when the response was generated: its Date field, or the time of receipt if there is none
	LastModified time.Time // zero if the field is missing or not valid
	ETag         string    // as received, or "" if there is none
	IfModified   string    // the Last-Modified field as received, or "" if there is none

	said         time.Duration // the lifetime from the response itself
	responseTime time.Time
	initialAge   time.Duration
}

// NewPolicy computes the policy of a response. requestTime is when its request was sent.
// responseTime is when the response was received or last validated.
func NewPolicy(rules Options, status int, h http.Header, requestTime, responseTime time.Time) *Policy {
	p := new(Policy) // NewPolicy is inlined, so p is on the stack of a caller that does not keep it
	p.compute(nil, &rules, status, h, requestTime, responseTime)
	return p
}

func (p *Policy) compute(m *Memory, rules *Options, status int, h http.Header, requestTime, responseTime time.Time) {
	p.Status, p.Options, p.responseTime = status, *rules, responseTime
	m.read(&p.Directives, h, rules.Shared)
	p.ETag, p.IfModified = firstLine(h["Etag"]), firstLine(h["Last-Modified"])
	p.LastModified, _ = ParseDate(p.IfModified, responseTime)
	var selecting []string
	selecting, p.VaryAny = rules.SelectingFields(h)
	p.Varies = len(selecting) > 0
	if field := credentials(status); field != "" {
		p.refused = !slices.ContainsFunc(selecting, func(name string) bool { return strings.EqualFold(name, field) })
	}
	p.cookies = p.setsCookies(h)
	var ok bool
	if p.Date, ok = ParseDate(firstLine(h["Date"]), responseTime); !ok {
		p.Date = responseTime
	}
	p.initialAge = initialAge(p.Date, ageValue(h["Age"]), requestTime, responseTime)
	p.said, p.saidBy = p.lifetime(h)
	p.Lifetime, p.Source = p.said, p.saidBy
}

// firstLine returns the first line of a field, or "" if there is none.
func firstLine(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
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
	q.Lifetime, q.Source = p.within(d)
	return &q
}

// within returns the freshness lifetime that applies if the program sets it to d, and what
// determines it.
func (p *Policy) within(d time.Duration) (time.Duration, Reason) {
	switch {
	case d <= 0:
		return p.Lifetime, p.Source
	case d > p.said && p.Explicit() && p.staleForbidden() != ReasonNone:
		return p.said, p.saidBy
	}
	return min(d, Infinite), OwnLifetime
}

// lifetime computes the freshness lifetime from the response alone (RFC 9111, section 4.2.1).
func (p *Policy) lifetime(h http.Header) (time.Duration, Reason) {
	d := &p.Directives
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

// Explicit reports whether the response has explicit freshness: s-maxage, max-age or Expires.
func (p *Policy) Explicit() bool {
	return p.saidBy == SMaxAge || p.saidBy == MaxAge || p.saidBy == Expires
}

// HasValidator reports whether the response can be validated, because it has an ETag or a valid
// Last-Modified.
func (p *Policy) HasValidator() bool { return p.ETag != "" || !p.LastModified.IsZero() }

// cookieFields are the fields that set cookies.
var cookieFields = []string{"Set-Cookie", "Set-Cookie2"}

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

// setsCookies reports whether a response with the header h sets a cookie that
// Options.WithholdSetCookie reserves for one user of a shared cache.
func (p *Policy) setsCookies(h http.Header) bool {
	if !p.Options.Shared || !p.Options.WithholdSetCookie || p.Directives.Shareable() {
		return false
	}
	for _, name := range cookieFields {
		if h[name] != nil && !slices.Contains(p.Directives.PrivateFields, name) {
			return true
		}
	}
	return false
}

// credentials returns the request header field whose value a response with this status rejects or
// finds missing, or "" if the status is not about credentials. 403 is not included: it may have
// nothing to do with credentials (RFC 9110, section 15.5.4), so a lifetime that the origin gives it
// is respected.
func credentials(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Authorization"
	case http.StatusProxyAuthRequired:
		return "Proxy-Authorization"
	}
	return ""
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
func (p *Policy) Unusable() bool { return p.OneUsers() || p.neverStored() || p.refused }

// OneUsers reports whether the response is only for one user of a shared cache: it has private, or
// it sets a cookie that Options.WithholdSetCookie withholds. It is always false for a private cache.
func (p *Policy) OneUsers() bool { return p.Options.Shared && p.Directives.Private || p.cookies }

// ConfirmedBy updates the policy of a stored response that the origin has just confirmed with the
// header later. If later sets a cookie for one user of a shared cache, the response may no longer
// be stored.
func (p *Policy) ConfirmedBy(later http.Header) { p.cookies = p.cookies || p.setsCookies(later) }

// StoreDecision is the decision whether a response may be stored, with the reason.
type StoreDecision struct {
	OK     bool
	Reason Reason
}

// Store decides whether the response to a request may be stored (RFC 9111, section 3).
// authorization is whether the request had an Authorization field. The caller must check that
// responses to the method are stored, and that a partial response is usable.
func (p *Policy) Store(req Request, authorization bool) StoreDecision {
	d := &p.Directives
	understood := knownStatus(p.Status)
	switch {
	case p.Status < 200:
		return StoreDecision{false, StatusNotFinal}
	case p.Status == http.StatusNotModified:
		return StoreDecision{false, NotModifiedUnasked}
	case p.neverStored():
		return StoreDecision{false, NeverStored}
	case d.MustUnderstand && !understood:
		return StoreDecision{false, StatusNotUnderstood}
	case d.NoStore && !d.overNoStore:
		return StoreDecision{false, NoStoreResponse}
	case req.NoStore:
		return StoreDecision{false, NoStoreRequest}
	case p.Options.Shared && d.Private:
		return StoreDecision{false, PrivateInShared}
	case p.Options.Shared && authorization && !d.authorized:
		return StoreDecision{false, AuthorizationInShared}
	case p.cookies:
		return StoreDecision{false, SetCookieInShared}
	case p.VaryAny:
		return StoreDecision{false, VaryAny}
	case p.refused:
		return StoreDecision{false, CredentialsRefused}
	case p.Options.Statuses != nil && !slices.Contains(p.Options.Statuses, p.Status):
		return StoreDecision{false, StatusExcluded}
	case !p.Explicit() && !d.Public && !(d.Private && !p.Options.Shared) && !HeuristicallyCacheable(p.Status) && !p.chosen():
		return StoreDecision{false, NotCacheable}
	}
	return p.useful()
}

// chosen reports whether the program both names the status of the response and gives it a lifetime.
func (p *Policy) chosen() bool {
	return (p.Override > 0 || p.Options.Replay) && (p.Named || slices.Contains(p.Options.Statuses, p.Status))
}

// useful decides whether it is worth storing a response, and why. A validator is enough, whether or
// not the response is fresh. (In CacheControl, equal priority counts only an ETag as a validator.)
func (p *Policy) useful() StoreDecision {
	d := &p.Directives
	switch {
	case p.Lifetime > 0 && !d.NoCache:
		return StoreDecision{true, p.Source}
	case p.Options.Replay:
		return StoreDecision{true, Replayed}
	case p.Options.TimePriority && p.Lifetime == 0:
		return StoreDecision{false, NothingToReuse}
	case p.HasValidator():
		return StoreDecision{true, Validator}
	case p.staleForbidden() == ReasonNone && (d.StaleWhileRevalidate.Value > 0 || d.StaleIfError.Value > 0):
		return StoreDecision{true, StaleAllowed}
	}
	return StoreDecision{false, NothingToReuse}
}

// Retention returns how long after its receipt a stored response can be of use, including stale use and
// validation. Zero means that there is no known limit. A response with a validator is kept for at
// least 14 days, as in CacheControl.
func (p *Policy) Retention() time.Duration {
	if p.Lifetime == Infinite || p.Options.Replay {
		return 0
	}
	d := &p.Directives
	stale := max(d.StaleWhileRevalidate.Value, d.StaleIfError.Value, p.Options.StaleIfError)
	if stale >= Infinite {
		return 0
	}
	keep := p.Lifetime + stale
	if p.HasValidator() {
		keep = max(keep, 14*24*time.Hour)
	}
	return max(keep, time.Second)
}

// Supersedes reports whether the status of a response to a request for a stored response means that
// there is now another representation, or none. The stored response is then out of date even if the
// new one is not stored. These are the 2xx statuses except 206, and 404 and 410. After any other
// status the stored response may still be current, because that status is about the request, such
// as 401 and 429, or about the origin itself.
func Supersedes(status int) bool {
	return status >= 200 && status <= 299 && status != http.StatusPartialContent ||
		status == http.StatusNotFound || status == http.StatusGone
}

// HeuristicallyCacheable reports whether a response with this status may be stored and given a
// heuristic lifetime without any directive that permits it (RFC 9110, section 15.1).
func HeuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// knownStatus reports whether the status is one of RFC 9110, whose caching behavior this package
// implements.
func knownStatus(status int) bool {
	switch {
	case status >= 200 && status <= 206, status >= 300 && status <= 305, status == 307, status == 308,
		status >= 400 && status <= 417, status == 421, status == 422, status == 426,
		status >= 500 && status <= 505:
		return true
	}
	return false
}
