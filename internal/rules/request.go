package rules

import (
	"math"
	"net/http"
	"time"
)

// Request holds the directives of a request (RFC 9111, section 5.2.1), and what the program asks
// for. The zero value has none.
type Request struct {
	NoCache      bool // no-cache, or Pragma: no-cache if there is no Cache-Control
	NoStore      bool
	NoTransform  bool
	OnlyIfCached bool
	MaxAge       Delta
	MinFresh     Delta
	MaxStale     Delta // Infinite if max-stale has no value
	StaleIfError Delta // RFC 5861, section 4

	// The following are set by the program and not by header fields.
	Refresh    bool          // forces a request to the origin
	AllowStale time.Duration // how long a response may have been stale; a negative value means no limit
	Lifetime   time.Duration // replaces the freshness lifetime of the response, as Policy.WithLifetime does, if positive

	// StaleWhileRevalidate replaces Options.StaleWhileRevalidate if it is positive. If it is
	// negative, no response is used stale while it is validated.
	StaleWhileRevalidate time.Duration

	pragma bool // NoCache is from Pragma
}

// ParseRequest parses the directives of a request. An invalid max-age counts as 0 and an invalid
// min-fresh as Infinite, the strictest values. An invalid max-stale or stale-if-error permits
// nothing.
func ParseRequest(h http.Header) Request {
	var r Request
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		listMembers(h["Pragma"], func(m string) { r.pragma = r.pragma || lower(m) == "no-cache" })
		r.NoCache = r.pragma
		return r
	}
	directives(lines, r.add)
	return r
}

func (r *Request) add(d directive) {
	switch d.name {
	case "no-cache":
		r.NoCache = true
	case "no-store":
		r.NoStore = true
	case "no-transform":
		r.NoTransform = true
	case "only-if-cached":
		r.OnlyIfCached = true
	case "max-age":
		setShortest(&r.MaxAge, d)
	case "min-fresh":
		setLongest(&r.MinFresh, d)
	case "max-stale":
		if !d.hasValue && !d.bad {
			d.value, d.hasValue = "2147483648", true
		}
		setShortest(&r.MaxStale, d)
	case "stale-if-error":
		setShortest(&r.StaleIfError, d)
	}
}

// endToEnd reports whether the request requires a response that the origin has confirmed.
func (r *Request) endToEnd() bool {
	return r.NoCache || r.Refresh || r.MaxAge.OK && r.MaxAge.Value == 0
}

// allowStale returns AllowStale as a Delta.
func (r *Request) allowStale() Delta {
	if r.AllowStale < 0 {
		return Delta{math.MaxInt64, true}
	}
	return Delta{r.AllowStale, r.AllowStale > 0}
}

// QUERY is the method of RFC 10008.
const QUERY = "QUERY"

// Retrieves reports whether a method requests a representation that it selects: GET, HEAD and QUERY. Its
// preconditions and ranges are about this representation, so that a stored response can answer them (RFC
// 9110, section 13.2.2, and RFC 10008, sections 2.6 and 2.8).
func Retrieves(method string) bool {
	switch method {
	case "", "GET", "HEAD", QUERY:
		return true
	}
	return false
}

// IsSafe reports whether a method is known to be safe (RFC 9110, section 9.2.1, and the IANA
// registry). All other methods, including unknown ones, invalidate stored responses (RFC 9111,
// section 4.4).
func IsSafe(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", QUERY, "PRI":
		return true
	}
	return false
}
