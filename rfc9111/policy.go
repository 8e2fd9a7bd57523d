package rfc9111

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Options describe a cache. The zero value describes a private cache, which serves one user.
type Options struct {
	// Shared, if true, applies the rules for a cache that serves several users, such as a proxy:
	// private, s-maxage, proxy-revalidate and CDN-Cache-Control count, and a response to a request
	// with Authorization is stored only if it permits that.
	Shared bool

	// WithholdSetCookie, if true, removes Set-Cookie from stored responses. A shared cache then
	// stores a response with Set-Cookie only if it has public or s-maxage, or if private names the
	// field. If false, Set-Cookie is treated like any other field, as in RFC 9111.
	WithholdSetCookie bool

	// StaleIfError is how long stored responses may be used stale while the origin fails, as if each
	// had this stale-if-error directive (RFC 5861, section 4).
	StaleIfError time.Duration

	// StaleWhileRevalidate is how long stored responses without a stale-while-revalidate directive
	// may be used stale while they are validated, as if each had this directive (RFC 5861, section
	// 3).
	StaleWhileRevalidate time.Duration
}

// A Policy holds what a response permits a cache to do. It is immutable and safe for concurrent use.
type Policy struct {
	rules      rules.Policy // refers to options and directives
	options    rules.Options
	directives rules.Response
	request    rules.Request // the directives of the request
	header     http.Header   // of the stored response; not modified

	method        string
	authorization bool // the request had Authorization
	matching      bool // the request had preconditions for the origin
	selecting     []selectingField
}

// selectingField is a request header field that selects the response.
type selectingField struct {
	name       string
	normalized string
	present    bool
}

// NewPolicy returns the policy of resp, the response to req. requestTime is when the request was
// sent, and responseTime is when the header of the response was received. If opts is nil, the zero
// Options are used.
//
// NewPolicy reads neither body. It copies the header fields that it keeps.
func NewPolicy(req *http.Request, resp *http.Response, requestTime, responseTime time.Time, opts *Options) *Policy {
	p := &Policy{method: req.Method}
	var o rules.Options
	if opts != nil {
		o = rules.Options{
			Shared: opts.Shared, WithholdSetCookie: opts.WithholdSetCookie,
			StaleIfError: opts.StaleIfError, StaleWhileRevalidate: opts.StaleWhileRevalidate,
		}
	}
	p.compute(o, req.Header, resp.StatusCode, resp.Header, requestTime, responseTime)
	return p
}

// compute sets the fields of p for a response with the given status and header to a request with the
// header req. If p has selecting fields, they remain selecting.
func (p *Policy) compute(o rules.Options, req http.Header, status int, h http.Header, requestTime, responseTime time.Time) {
	p.options, p.directives = o, rules.ParseResponse(h, o.Shared)
	p.rules.Compute(&p.directives, &p.options, status, h, requestTime, responseTime)
	p.header = rules.StoredHeader(h, &p.rules)
	p.request, p.authorization = rules.ParseRequest(req), req["Authorization"] != nil
	_, p.matching = rules.HasPreconditions(req)
	names, _ := o.SelectingFields(h)
	for _, f := range p.selecting {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, f.name) }) {
			names = append(names, f.name)
		}
	}
	p.selecting = nil
	for _, name := range names {
		name = http.CanonicalHeaderKey(name)
		value, present := rules.FieldValue(req, name)
		p.selecting = append(p.selecting, selectingField{name, rules.NormalizeSelecting(name, value), present})
	}
}

// Storable reports whether the response may be stored, and why (RFC 9111, section 3). Only responses
// to GET are stored, and only if they can be of use: because they are fresh, may be used stale, or
// can be validated.
func (p *Policy) Storable() (bool, Reason) {
	if p.method != "" && p.method != http.MethodGet {
		return false, rules.MethodNotStorable
	}
	d := p.rules.Store(p.request, p.authorization)
	if why := rules.OnlyForRequest(p.rules.Status, p.matching); d.OK && why != rules.ReasonNone {
		return false, Reason(why)
	}
	return d.OK, Reason(d.Reason)
}

// Lifetime returns the freshness lifetime of the response, at most 2^31 seconds, and what determines
// it (RFC 9111, section 4.2.1). A permanent redirect without explicit freshness has the longest
// lifetime.
func (p *Policy) Lifetime() (time.Duration, Reason) {
	return p.rules.Lifetime, Reason(p.rules.Source())
}

// WithLifetime returns a copy of the policy with the freshness lifetime d. It is for a heuristic, if
// the reason of Lifetime is "no-freshness" (RFC 9111, section 4.2.2), and for a configuration (section
// 4.2.4). If the response has explicit freshness and must not be used stale, d can only shorten its
// lifetime. If d is zero or negative, WithLifetime returns p.
func (p *Policy) WithLifetime(d time.Duration) *Policy {
	if d <= 0 {
		return p
	}
	q := *p
	q.rules = *p.rules.WithLifetime(d)
	return &q
}

// Age returns the current age of the response, at most 2^31 seconds (RFC 9111, section 4.2.3). If the response was received more
// than a second after now, its age is not known, and is at least its freshness lifetime.
func (p *Policy) Age(now time.Time) time.Duration { return p.rules.Age(now) }

// Retention returns how long after its receipt the response can be of use, fresh or stale or by
// validation. It is at least 14 days if the response can be validated. Zero means that no limit is
// known.
func (p *Policy) Retention() time.Duration { return p.rules.Retention() }

// SelectingFields returns the names of the request header fields that select the response (RFC 9111,
// section 4.1). In addition to the fields in Vary, a shared cache uses Origin if the response allows
// only one origin to read it.
func (p *Policy) SelectingFields() []string {
	var names []string
	for _, f := range p.selecting {
		names = append(names, f.name)
	}
	return names
}

// Matches reports whether the header of req selects the response (RFC 9111, section 4.1). Values
// with the same meaning match, such as two Accept-Language fields that list the same languages and
// weights in another order. If several stored responses match a request, the one with the
// latest Date should be used.
func (p *Policy) Matches(req *http.Request) bool {
	if p.rules.VaryAny {
		return false
	}
	for _, f := range p.selecting {
		value, present := rules.FieldValue(req.Header, f.name)
		if present != f.present || rules.NormalizeSelecting(f.name, value) != f.normalized {
			return false
		}
	}
	return true
}

// Reuse decides how to answer req, a request to the URL of the stored response (RFC 9111, section
// 4). If the response must be validated but has no validator, or if it does not match req, the Action
// is Fetch. If the origin would have to be asked and req has only-if-cached, the Action is Refuse.
func (p *Policy) Reuse(req *http.Request, now time.Time) Decision {
	cc := rules.ParseRequest(req.Header)
	r := p.rules.Reuse(&cc, now)
	action := Fetch
	if why := p.unusable(req); why != "" {
		r.Reason = why
	} else if !p.meetsPreconditions(req, r, now) {
		r.Reason = rules.PreconditionForwarded
	} else {
		switch r.Action {
		case rules.Serve:
			action = Serve
		case rules.ServeAndValidate:
			action = ServeAndValidate
		case rules.Refuse:
			action = Refuse
		case rules.Validate:
			if p.rules.HasValidator() {
				action = Validate
			}
		}
	}
	if action == Fetch && cc.OnlyIfCached && rules.IsSafe(req.Method) {
		action, r.Reason = Refuse, rules.OnlyIfCached
	}
	return newDecision(action, r)
}

// ReuseOnError decides whether the stored response may answer req because the origin could not be
// reached or failed, as ServerFailed reports (RFC 9111, section 4.2.4, and RFC 5861, section 4).
// The Action is Serve, or Refuse if the error must be reported.
func (p *Policy) ReuseOnError(req *http.Request, now time.Time) Decision {
	cc := rules.ParseRequest(req.Header)
	r := p.rules.ReuseOnError(&cc, now)
	if why := p.unusable(req); why != "" {
		r.Reason = why
	} else if _, matching := rules.HasPreconditions(req.Header); matching {
		r.Reason = rules.PreconditionForwarded
	} else if r.Action == rules.Serve {
		return newDecision(Serve, r)
	}
	return newDecision(Refuse, r)
}

// unusable returns why the response can never answer req, or "" if it can.
func (p *Policy) unusable(req *http.Request) rules.Reason {
	switch {
	case req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead:
		return rules.MethodForwarded
	case rules.AsksUpgrade(req.Header):
		return rules.UpgradeForwarded
	case p.rules.Unusable():
		return rules.StoredUnusable
	case !p.Matches(req):
		return rules.NoVariant
	}
	return rules.ReasonNone
}

// meetsPreconditions reports whether the If-Match and If-Unmodified-Since of req, if there are any,
// allow the stored response to be used as r decides.
func (p *Policy) meetsPreconditions(req *http.Request, r rules.Reuse, now time.Time) bool {
	if _, matching := rules.HasPreconditions(req.Header); !matching {
		return true
	}
	return p.rules.Status == http.StatusOK && r.Action == rules.Serve && !r.Stale() && p.rules.Matches(req.Header, now)
}

// StoredHeader returns the header to store: that of the response without the fields that must not be
// stored (RFC 9111, section 3.1). It must not be modified.
func (p *Policy) StoredHeader() http.Header { return p.header }

// Response returns the status code and the header with which the stored response answers req. If
// the preconditions of req show that the copy of the client is current, the status code is 304 and
// the response has no body (RFC 9111, section 4.3.2). The header includes the current Age and lacks
// the fields that no-cache names.
func (p *Policy) Response(req *http.Request, now time.Time) (status int, header http.Header) {
	withheld := p.rules.Directives.NoCacheFields
	status, header = p.rules.Status, rules.CopyHeader(p.header, 1, func(name string) bool { return slices.Contains(withheld, name) })
	if status == http.StatusOK && p.rules.NotModified(req.Header, now) {
		status, header = http.StatusNotModified, rules.NotModifiedHeader(header)
	}
	header["Age"] = []string{strconv.FormatInt(int64(p.Age(now)/time.Second), 10)}
	return status, header
}

// ValidationHeader returns the header of a request that validates the stored response: a copy of
// req.Header with If-None-Match and If-Modified-Since set to the validators of the response (RFC
// 9111, section 4.3.1), and without Range. After a response other than 304, the cache calls
// NewPolicy as for any response.
func (p *Policy) ValidationHeader(req *http.Request) http.Header {
	h := rules.CopyHeader(req.Header, 2, func(name string) bool {
		switch name {
		case "If-None-Match", "If-Modified-Since", "Range", "If-Range":
			return true
		}
		return false
	})
	p.rules.SetPreconditions(h)
	return h
}

// Update returns the policy of the stored response after resp has confirmed it. Its StoredHeader is
// the updated header (RFC 9111, sections 3.2 and 4.3.4). resp is a 304 to a request with
// ValidationHeader, or a 200 to a HEAD request (section 4.3.5). requestTime and responseTime are
// those of resp.
//
// Update returns nil if resp does not confirm the stored response. If resp is a 304, the request must
// then be sent again without a precondition. If it is a 200 to a HEAD request, the stored response is
// out of date. A lifetime that was set by WithLifetime does not apply to the new policy.
func (p *Policy) Update(req *http.Request, resp *http.Response, requestTime, responseTime time.Time) *Policy {
	later := resp.Header
	switch {
	case resp.StatusCode == http.StatusNotModified:
		if !p.rules.MatchesNotModified(later) {
			return nil
		}
	case req.Method == http.MethodHead && resp.StatusCode == http.StatusOK && p.rules.Status == http.StatusOK:
		if !p.rules.FreshenedByHead(later, rules.ContentLength(p.header)) {
			return nil
		}
		later = p.rules.HeadUpdate(later)
	default:
		return nil
	}
	q := &Policy{method: p.method, selecting: p.selecting}
	h := rules.UpdateHeader(p.header, later, &p.rules, responseTime)
	q.compute(p.options, req.Header, p.rules.Status, h, requestTime, responseTime)
	q.rules.ConfirmedBy(later)
	return q
}
