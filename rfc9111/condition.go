package rfc9111

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// SetPreconditions makes h, the header of a request, ask whether the response is still current (RFC 9111, section
// 4.3.1): If-None-Match with its ETag, If-Modified-Since with its Last-Modified. It changes nothing where
// the response has no validator.
func (p *Policy) SetPreconditions(h http.Header) {
	lines := []string{p.ETag, p.IfModified}
	if p.ETag != "" {
		h["If-None-Match"] = lines[:1:1]
	}
	if !p.LastModified.IsZero() {
		h["If-Modified-Since"] = lines[1:]
	}
}

// HasPreconditions reports whether a request is conditional: cache, by If-None-Match or If-Modified-Since, which a cache evaluates
// (RFC 9111, section 4.3.2), and origin, by If-Match or If-Unmodified-Since, which are for the origin: see Policy.Matches.
func HasPreconditions(h http.Header) (cache, origin bool) {
	cache = h["If-None-Match"] != nil || h["If-Modified-Since"] != nil
	origin = h["If-Match"] != nil || h["If-Unmodified-Since"] != nil
	return cache, origin
}

// NotModified evaluates the preconditions of a request against the stored response: true means that the caller's
// copy is as good as the stored one, and 304 the answer (RFC 9111, section 4.3.2). If-None-Match comes
// before If-Modified-Since. An If-None-Match that is not valid matches nothing, any other field that is not
// is ignored.
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

// Matches reports whether If-Match and If-Unmodified-Since of a request are true of the stored response, as far as that tells.
// Without them it is true. If-Match comes first, and compares entity tags strongly (RFC 9110, sections 13.1.1 and 13.2.2). If the result
// is false, the request is the origin's to answer.
//
// A cache must not evaluate the two, so as to answer 412 in the origin's place (RFC 9111, section 4.3.2), but it may ignore
// them (RFC 9110, sections 13.1.1 and 13.1.4). If they are true of a fresh response, then to ignore them and to evaluate them come to the
// same answer.
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

// NotModifiedHeader returns the fields of the stored header that a 304 carries (RFC 9110, section 15.4.5).
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

// parseLength parses a Content-Length.
func parseLength(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}
