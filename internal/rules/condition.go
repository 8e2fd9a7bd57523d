package rules

import (
	"net/http"
	"slices"
	"time"
)

// SetPreconditions sets the fields in h, the header of a request, that make it a validation of the
// response (RFC 9111, section 4.3.1): If-None-Match to its ETag, and If-Modified-Since to its
// Last-Modified. A field is set only if the response has that validator.
func (p *Policy) SetPreconditions(h http.Header) {
	lines := []string{p.ETag, p.IfModified}
	if p.ETag != "" {
		h["If-None-Match"] = lines[:1:1]
	}
	if !p.LastModified.IsZero() {
		h["If-Modified-Since"] = lines[1:]
	}
}

// HasPreconditions reports whether h has preconditions that a cache evaluates, If-None-Match or
// If-Modified-Since (RFC 9111, section 4.3.2), and whether it has preconditions for the origin,
// If-Match or If-Unmodified-Since. See Policy.Matches about the latter.
func HasPreconditions(h http.Header) (cache, origin bool) {
	cache = h["If-None-Match"] != nil || h["If-Modified-Since"] != nil
	origin = h["If-Match"] != nil || h["If-Unmodified-Since"] != nil
	return cache, origin
}

// NotModified evaluates the preconditions of a request against the stored response (RFC 9111,
// section 4.3.2). It reports whether the copy that the caller has is current, so that the response
// is 304. If-None-Match takes precedence over If-Modified-Since. An invalid If-None-Match matches
// nothing, and an invalid If-Modified-Since is ignored.
func (p *Policy) NotModified(h http.Header, now time.Time) bool {
	if lines := h["If-None-Match"]; len(lines) > 0 {
		tags, star, ok := ParseETags(lines)
		return ok && (star || slices.ContainsFunc(tags, func(tag string) bool { return WeakMatch(tag, p.ETag) }))
	}
	lines := h["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	since, ok := ParseDate(lines[0], now)
	if !ok {
		return false
	}
	modified := p.LastModified
	if modified.IsZero() {
		modified = p.Date.Truncate(time.Second)
	}
	return !modified.After(since)
}

// Matches reports whether the If-Match or If-Unmodified-Since of a request is true for the stored
// response. It returns true if the request has neither. If-Match takes precedence and compares
// entity tags strongly (RFC 9110, sections 13.1.1 and 13.2.2). If the result is false, the request
// must go to the origin.
//
// A cache must not answer 412 in place of the origin (RFC 9111, section 4.3.2), but it may ignore
// these two fields (RFC 9110, sections 13.1.1 and 13.1.4). If they are true for a fresh response,
// ignoring them and evaluating them give the same response.
func (p *Policy) Matches(h http.Header, now time.Time) bool {
	if lines := h["If-Match"]; lines != nil {
		tags, star, ok := ParseETags(lines)
		return ok && (star || slices.ContainsFunc(tags, func(tag string) bool { return StrongMatch(tag, p.ETag) }))
	}
	lines := h["If-Unmodified-Since"]
	if lines == nil {
		return true
	}
	since, ok := ParseDate(firstLine(lines), now)
	return ok && len(lines) == 1 && !p.LastModified.IsZero() && !p.LastModified.After(since)
}

// NotModifiedHeader returns the fields of a stored header that a 304 carries (RFC 9110, section
// 15.4.5).
func NotModifiedHeader(stored http.Header) http.Header {
	out := make(http.Header)
	for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Vary", "Warning"} {
		if lines := stored[name]; lines != nil {
			out[name] = append([]string(nil), lines...)
		}
	}
	if out["Etag"] == nil && stored["Last-Modified"] != nil {
		out["Last-Modified"] = append([]string(nil), stored["Last-Modified"]...)
	}
	return out
}
