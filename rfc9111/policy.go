package rfc9111

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Rules are the choices that a cache may make.
type Rules struct {
	// Shared makes the rules those of a shared cache: s-maxage, proxy-revalidate, private, Authorization, and
	// CDN-Cache-Control.
	Shared bool

	// TimePriority: a validator alone is no reason to store a response that is not fresh.
	TimePriority bool

	// Replay: whatever is stored is reused, whatever its age and whatever is said about that, unless the program
	// wants a Refresh.
	Replay bool

	// WithholdSetCookie keeps Set-Cookie and Set-Cookie2 to the request that they came in answer to: they are not
	// stored, and a shared cache stores a response with such a field only if it is Shareable, or if private names the
	// field. If false, they are fields like any other, as RFC 9111 has them.
	WithholdSetCookie bool

	// StaleIfError is for how long every response may be used stale while the origin fails, as if each
	// carried that stale-if-error.
	StaleIfError time.Duration

	// Statuses are the status codes that may be stored. If nil, all that the RFC allows may be. A status that is
	// not cacheable by default, such as 302, is stored without explicit freshness if it is among them and WithLifetime
	// or Replay gives it a lifetime.
	Statuses []int
}

// Policy is what a response says about its storage and its reuse, worked out once. It does not change.
type Policy struct {
	Status     int
	Directives Response
	Rules      Rules

	Lifetime time.Duration // freshness lifetime, 0 to Infinite (RFC 9111, section 4.2.1)
	Source   Reason        // what gave it: SMaxAge, MaxAge, Expires, Permanent, OwnLifetime or NoFreshness
	saidBy   Reason        // what gave said
	Varies   bool          // it has selecting fields
	varyAny  bool          // no other request ever matches
	cookies  bool          // it sets cookies for one user, as far as a shared cache that withholds Set-Cookie can tell
	refused  bool          // it is a 401 or 407 whose Vary does not name the field of the credentials
	Own      time.Duration // the lifetime that WithLifetime was given; 0: none

	// Named is true if the program names the status of the response as one to be stored, besides Rules.Statuses.
	Named bool

	Date         time.Time // when it was generated: its Date, or else the time of receipt
	LastModified time.Time // zero: none, or not valid
	ETag         string    // as received; "": none
	IfModified   string    // the Last-Modified field as received

	said         time.Duration // the lifetime that the response itself gives
	responseTime time.Time
	initialAge   time.Duration
}

// NewPolicy works out the policy of a response. requestTime and responseTime are when its request was sent and when
// it was received, or last validated.
func NewPolicy(rules Rules, status int, h http.Header, requestTime, responseTime time.Time) *Policy {
	p := new(Policy) // a caller who needs it for a while only has it on its stack: this is inlined there
	p.workOut(nil, &rules, status, h, requestTime, responseTime)
	return p
}

func (p *Policy) workOut(m *Memory, rules *Rules, status int, h http.Header, requestTime, responseTime time.Time) {
	p.Status, p.Rules, p.responseTime = status, *rules, responseTime
	m.read(&p.Directives, h, rules.Shared)
	p.ETag, p.IfModified = firstLine(h["Etag"]), firstLine(h["Last-Modified"])
	p.LastModified, _ = ParseDate(p.IfModified, responseTime)
	var selecting []string
	selecting, p.varyAny = rules.SelectingFields(h)
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

// firstLine returns the value of a field that has one line, or the first of several; "" where there is none.
func firstLine(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// WithLifetime returns the policy with a freshness lifetime of the user's own in place of the response's, which may be
// shorter or longer: as configuration, or the client, may permit (RFC 9111, section 4.2.4). Where the response both says
// how long it is fresh and forbids stale use, as with must-revalidate, it can only be shorter. 0 or less
// changes nothing.
func (p *Policy) WithLifetime(d time.Duration) *Policy {
	if d <= 0 {
		return p
	}
	q := *p
	q.Own = d
	q.Lifetime, q.Source = p.within(d)
	return &q
}

// within returns the lifetime that holds where the user gives d as one, and what gave it.
func (p *Policy) within(d time.Duration) (time.Duration, Reason) {
	switch {
	case d <= 0:
		return p.Lifetime, p.Source
	case d > p.said && p.Explicit() && p.staleForbidden() != ReasonNone:
		return p.said, p.saidBy
	}
	return min(d, Infinite), OwnLifetime
}

// lifetime is RFC 9111, section 4.2.1.
func (p *Policy) lifetime(h http.Header) (time.Duration, Reason) {
	d := &p.Directives
	switch {
	case p.Rules.Shared && d.SMaxAge.OK:
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
			return 0, Expires // section 5.3: an invalid date is one in the past
		}
		return min(max(0, t.Sub(p.Date)), Infinite), Expires
	}
	if p.Status == http.StatusMovedPermanently || p.Status == http.StatusPermanentRedirect {
		return Infinite, Permanent
	}
	return 0, NoFreshness
}

// Explicit says whether the response itself says how long it is fresh.
func (p *Policy) Explicit() bool {
	return p.saidBy == SMaxAge || p.saidBy == MaxAge || p.saidBy == Expires
}

// HasValidator says whether the response can be validated: it has an ETag or a valid Last-Modified.
func (p *Policy) HasValidator() bool { return p.ETag != "" || !p.LastModified.IsZero() }

// cookieFields are the fields that set cookies.
var cookieFields = []string{"Set-Cookie", "Set-Cookie2"}

// ExcludedFields returns the names of the fields that are not stored, besides those that PerConnection reports: in a shared
// cache those that private names (RFC 9111, section 5.2.2.7), and the fields that Rules.WithholdSetCookie withholds.
// The caller must not change the slice.
func (p *Policy) ExcludedFields() []string {
	var private []string
	if p.Rules.Shared {
		private = p.Directives.PrivateFields
	}
	switch {
	case !p.Rules.WithholdSetCookie:
		return private
	case len(private) == 0:
		return cookieFields
	}
	return slices.Concat(private, cookieFields)
}

// setsCookies reports whether a response with the header h sets a cookie that Rules.WithholdSetCookie keeps to one user of a
// shared cache.
func (p *Policy) setsCookies(h http.Header) bool {
	if !p.Rules.Shared || !p.Rules.WithholdSetCookie || p.Directives.Shareable() {
		return false
	}
	for _, name := range cookieFields {
		if h[name] != nil && !slices.Contains(p.Directives.PrivateFields, name) {
			return true
		}
	}
	return false
}

// credentials returns the field whose value a response with this status finds wrong or missing, or "" if it says nothing of
// credentials. A 403 is not among them: it may have nothing to do with credentials (RFC 9110, section 15.5.4), so an
// origin that gives it a lifetime is believed.
func credentials(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Authorization"
	case http.StatusProxyAuthRequired:
		return "Proxy-Authorization"
	}
	return ""
}

// neverStored reports whether the status is one that caches must not store (RFC 6585, sections 3 to 6). There is one deviation: a
// 429 is stored if the program both names it in Rules.Statuses and gives it a lifetime, as a program that replays
// recorded responses may want.
func (p *Policy) neverStored() bool {
	switch p.Status {
	case http.StatusPreconditionRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return true
	case http.StatusTooManyRequests:
		return p.Own <= 0 || !slices.Contains(p.Rules.Statuses, p.Status)
	}
	return false
}

// Unusable reports whether a response that was found in the store must not be used, because a cache with these rules does
// not store such a response: another program, or another kind of cache, has done so.
func (p *Policy) Unusable() bool { return p.OneUsers() || p.neverStored() || p.refused }

// OneUsers reports whether the response is for one user of a shared cache only: it says private, or it sets a
// cookie that Rules.WithholdSetCookie withholds. It is always false for a private cache.
func (p *Policy) OneUsers() bool { return p.Rules.Shared && p.Directives.Private || p.cookies }

// ConfirmedBy takes note that the policy is that of a stored response which the origin has just confirmed with the header
// later. If that sets a cookie for one user of a shared cache, nothing of it may be stored.
func (p *Policy) ConfirmedBy(later http.Header) { p.cookies = p.cookies || p.setsCookies(later) }

// A Stored decision says whether a response may be stored, and why or why not.
type Stored struct {
	OK     bool
	Reason Reason
}

// Store decides whether the response to a request may be stored (RFC 9111, section 3). authorization says whether
// the request had an Authorization field. Whether its method is one whose responses are stored, and
// whether a partial response is usable, is for the caller to know.
func (p *Policy) Store(req Request, authorization bool) Stored {
	d := &p.Directives
	understood := knownStatus(p.Status)
	switch {
	case p.Status < 200:
		return Stored{false, StatusNotFinal}
	case p.Status == http.StatusNotModified:
		return Stored{false, NotModifiedUnasked}
	case p.neverStored():
		return Stored{false, NeverStored}
	case d.MustUnderstand && !understood:
		return Stored{false, StatusNotUnderstood}
	case d.NoStore && !d.overNoStore:
		return Stored{false, NoStoreResponse}
	case req.NoStore:
		return Stored{false, NoStoreRequest}
	case p.Rules.Shared && d.Private:
		return Stored{false, PrivateInShared}
	case p.Rules.Shared && authorization && !d.authorized:
		return Stored{false, AuthorizationInShared}
	case p.cookies:
		return Stored{false, SetCookieInShared}
	case p.varyAny:
		return Stored{false, VaryAny}
	case p.refused:
		return Stored{false, CredentialsRefused}
	case p.Rules.Statuses != nil && !slices.Contains(p.Rules.Statuses, p.Status):
		return Stored{false, StatusExcluded}
	case !p.Explicit() && !d.Public && !(d.Private && !p.Rules.Shared) && !HeuristicallyCacheable(p.Status) && !p.chosen():
		return Stored{false, NotCacheable}
	}
	return p.useful()
}

// chosen reports whether the program names the status of the response and gives it a lifetime.
func (p *Policy) chosen() bool {
	return (p.Own > 0 || p.Rules.Replay) && (p.Named || slices.Contains(p.Rules.Statuses, p.Status))
}

// useful reports whether a response is of any use once it is stored, and what it is stored for. A validator is reason
// enough, fresh or not. CacheControl's equal priority takes an ETag alone for one.
func (p *Policy) useful() Stored {
	d := &p.Directives
	switch {
	case p.Lifetime > 0 && !d.NoCache:
		return Stored{true, p.Source}
	case p.Rules.Replay:
		return Stored{true, Replayed}
	case p.Rules.TimePriority && p.Lifetime == 0:
		return Stored{false, NothingToReuse}
	case p.HasValidator():
		return Stored{true, Validator}
	case p.staleForbidden() == ReasonNone && (d.StaleWhileRevalidate.Value > 0 || d.StaleIfError.Value > 0):
		return Stored{true, StaleAllowed}
	}
	return Stored{false, NothingToReuse}
}

// Keep returns for how long after its receipt a stored response can be of use, stale use and validation included;
// 0: no end is known. A validator is kept for 14 days at least, as CacheControl does.
func (p *Policy) Keep() time.Duration {
	if p.Lifetime == Infinite || p.Rules.Replay {
		return 0
	}
	d := &p.Directives
	stale := max(d.StaleWhileRevalidate.Value, d.StaleIfError.Value, p.Rules.StaleIfError)
	if stale >= Infinite {
		return 0
	}
	keep := p.Lifetime + stale
	if p.HasValidator() {
		keep = max(keep, 14*24*time.Hour)
	}
	return max(keep, time.Second)
}

// Supersedes reports whether the answer to a request for a stored response says, by its status, that there is another
// representation now, or none. The stored response is then out of date even if the answer is not stored. These are 2xx, but for
// 206, and 404 and 410. After any other status it may still be current: the origin has not spoken of it, but of the
// request, as with 401 and 429, or of itself.
func Supersedes(status int) bool {
	return status >= 200 && status <= 299 && status != http.StatusPartialContent ||
		status == http.StatusNotFound || status == http.StatusGone
}

// HeuristicallyCacheable says whether a response with this status may be stored and given a heuristic lifetime
// though nothing in it says so (RFC 9110, section 15.1).
func HeuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// knownStatus says whether the status is one of RFC 9110, whose caching behaviour is implemented here.
func knownStatus(status int) bool {
	switch {
	case status >= 200 && status <= 206, status >= 300 && status <= 305, status == 307, status == 308,
		status >= 400 && status <= 417, status == 421, status == 422, status == 426,
		status >= 500 && status <= 505:
		return true
	}
	return false
}
