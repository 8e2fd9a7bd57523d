package rfc9111

import (
	"math"
	"net/http"
	"time"
)

// Request is what a request says about caching (RFC 9111, section 5.2.1). The zero value asks for nothing.
type Request struct {
	NoCache      bool // no-cache, or Pragma: no-cache where there is no Cache-Control
	NoStore      bool
	OnlyIfCached bool
	MaxAge       Delta
	MinFresh     Delta
	MaxStale     Delta // without a value: Infinite
	StaleIfError Delta // RFC 5861, section 4

	// What the program wants that makes the request, and no header field says.
	Refresh    bool          // the origin is asked, whatever is stored
	AllowStale time.Duration // how stale a response may be; negative: any
	Lifetime   time.Duration // a freshness lifetime in place of the response's: see Policy.WithLifetime; 0: none

	pragma bool // NoCache comes from Pragma
}

// ParseRequest reads the directives of a request. A max-age or min-fresh that cannot be understood is read as the
// strictest there is, a max-stale or stale-if-error as permitting nothing.
func ParseRequest(h http.Header) Request {
	var r Request
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		for _, v := range h["Pragma"] {
			listMembers([]string{v}, func(m string) { r.NoCache = r.NoCache || lower(m) == "no-cache" })
		}
		r.pragma = r.NoCache
		return r
	}
	directives(lines, func(d directive) {
		switch d.name {
		case "no-cache":
			r.NoCache = true
		case "no-store":
			r.NoStore = true
		case "only-if-cached":
			r.OnlyIfCached = true
		case "max-age":
			v, ok := d.seconds()
			if !ok {
				v = 0
			}
			if !r.MaxAge.OK || v < r.MaxAge.Value {
				r.MaxAge = Delta{v, true}
			}
		case "min-fresh":
			v, ok := d.seconds()
			if !ok {
				v = Infinite
			}
			if !r.MinFresh.OK || v > r.MinFresh.Value {
				r.MinFresh = Delta{v, true}
			}
		case "max-stale":
			if !d.hasValue && !d.bad {
				d.value, d.hasValue = "2147483648", true
			}
			setShortest(&r.MaxStale, d)
		case "stale-if-error":
			setShortest(&r.StaleIfError, d)
		}
	})
	return r
}

// setShortest keeps the shortest of several permissions; one that cannot be understood permits nothing.
func setShortest(p *Delta, d directive) {
	v, ok := d.seconds()
	if !ok {
		v = 0
	}
	if !p.OK || v < p.Value {
		*p = Delta{v, true}
	}
}

// endToEnd says whether the request wants an answer that the origin has confirmed.
func (r *Request) endToEnd() bool {
	return r.NoCache || r.Refresh || r.MaxAge.OK && r.MaxAge.Value == 0
}

// allowStale is AllowStale as a permission.
func (r *Request) allowStale() Delta {
	if r.AllowStale < 0 {
		return Delta{math.MaxInt64, true}
	}
	return Delta{r.AllowStale, r.AllowStale > 0}
}

// IsSafe says whether a method is known to be safe (RFC 9110, section 9.2.1, and the IANA registry). Every other
// one, unknown ones included, invalidates what is stored (RFC 9111, section 4.4).
func IsSafe(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI":
		return true
	}
	return false
}
