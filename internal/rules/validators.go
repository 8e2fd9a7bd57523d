package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Validators are the fields of a response by which later requests are compared with it.
type Validators struct {
	Date       time.Time // when the response was generated: its Date field, or the time of receipt if there is none
	ETag       string    // as received, or "" if there is none
	IfModified string    // the Last-Modified field as received, or "" if there is none

	responseTime time.Time
}

func (v *Validators) read(h http.Header, responseTime time.Time) {
	v.ETag, v.IfModified, v.responseTime = firstLine(h["Etag"]), firstLine(h["Last-Modified"]), responseTime
	var ok bool
	if v.Date, ok = ParseDate(firstLine(h["Date"]), responseTime); !ok {
		v.Date = responseTime
	}
}

// HasValidator reports whether the response can be validated, because it has an ETag or a valid
// Last-Modified.
func (v *Validators) HasValidator() bool {
	if v.ETag != "" {
		return true
	}
	_, ok := v.lastModified()
	return ok
}

// lastModified parses the Last-Modified field. Few requests need the result. It reports false if the field is missing or not valid.
func (v *Validators) lastModified() (time.Time, bool) {
	if v.IfModified == "" { // as in many responses
		return time.Time{}, false
	}
	return ParseDate(v.IfModified, v.responseTime)
}

// leastDateDistance is how long before Date a Last-Modified must be so that it is a strong validator. One second
// is enough if both come from the same clock (RFC 9110, section 8.8.2.2). But the modification date of a file may come
// from another machine.
const leastDateDistance = time.Minute

// StrongValidator returns the strong validator of a response with header h, by which partial responses
// may be combined (RFC 9111, section 3.4), and which If-Range may contain (RFC 9110, section 13.1.5).
// It is the entity tag, if that is strong, or the Last-Modified, if that is strong and there is no
// entity tag. If there is none, it is "". A tag that does not match the grammar, such as w/"a", is not
// strong: the origin may have meant a weak one.
func StrongValidator(h http.Header) string {
	if tag := firstLine(h["Etag"]); tag != "" {
		if IsStrongETag(tag) {
			return tag
		}
		return ""
	}
	modified, date := h["Last-Modified"], h["Date"]
	if len(modified) != 1 || len(date) != 1 {
		return ""
	}
	t, ok := parseUsualDate(modified[0])
	sent, ok2 := parseUsualDate(date[0])
	if !ok || !ok2 || sent.Sub(t) < leastDateDistance {
		return ""
	}
	return modified[0]
}

// SameStrongValidator reports whether the strong validators in these headers are equal.
func SameStrongValidator(a, b http.Header) bool {
	v := StrongValidator(a)
	return v != "" && v == StrongValidator(b)
}

// SetPreconditions sets the fields in h, the header of a request, that make it a validation of the
// response (RFC 9111, section 4.3.1): If-None-Match to its ETag, and If-Modified-Since to its
// Last-Modified. A field is set only if the response has that validator.
func (v *Validators) SetPreconditions(h http.Header) {
	lines := []string{v.ETag, v.IfModified}
	if v.ETag != "" {
		h["If-None-Match"] = lines[:1:1]
	}
	if _, ok := v.lastModified(); ok {
		h["If-Modified-Since"] = lines[1:]
	}
}

// NotModified evaluates the preconditions of a request against the stored response (RFC 9111,
// section 4.3.2). It reports whether the copy that the caller has is current, so that the response
// is 304. If-None-Match takes precedence over If-Modified-Since. An invalid If-None-Match matches
// nothing, and an invalid If-Modified-Since is ignored.
func (v *Validators) NotModified(h http.Header, now time.Time) bool {
	if lines := h["If-None-Match"]; len(lines) > 0 {
		tags, star, ok := ParseETags(lines)
		return ok && (star || slices.ContainsFunc(tags, func(tag string) bool { return WeakMatch(tag, v.ETag) }))
	}
	lines := h["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	since, ok := ParseDate(lines[0], now)
	if !ok {
		return false
	}
	modified, ok := v.lastModified()
	if !ok {
		modified = v.Date.Truncate(time.Second)
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
func (v *Validators) Matches(h http.Header, now time.Time) bool {
	if lines := h["If-Match"]; lines != nil {
		tags, star, ok := ParseETags(lines)
		return ok && (star || slices.ContainsFunc(tags, func(tag string) bool { return StrongMatch(tag, v.ETag) }))
	}
	lines := h["If-Unmodified-Since"]
	if lines == nil {
		return true
	}
	since, ok := ParseDate(firstLine(lines), now)
	modified, known := v.lastModified()
	return ok && len(lines) == 1 && known && !modified.After(since)
}

// IfRange evaluates an If-Range field against the stored response: it reports whether the Range
// field applies (RFC 9110, section 13.1.5). It returns true if there is no If-Range. A date must
// equal the stored Last-Modified, which must be at least one second before the stored Date to be a
// strong validator (RFC 9110, section 8.8.2.2).
func (v *Validators) IfRange(h http.Header) bool {
	lines := h["If-Range"]
	if len(lines) == 0 {
		return true
	}
	value := trimOWS(lines[0])
	if len(lines) > 1 {
		return false
	}
	if strings.HasSuffix(value, `"`) {
		return StrongMatch(value, v.ETag)
	}
	t, ok := ParseDate(value, v.responseTime)
	modified, known := v.lastModified()
	return ok && known && t.Equal(modified) && v.Date.Sub(t) >= time.Second
}

// MatchesNotModified reports whether a 304 with the header h selects the stored response (RFC 9111,
// section 4.3.4): their entity tags are the same or, if one of them has no entity tag, their
// modification dates.
//
// There are two deviations, because the 304 is the response to this cache's own request about this
// response. A validator that only one of the two has is ignored. And a strong tag confirms a weak
// one with the same opaque part, because servers that compress, such as nginx, weaken the tag of a
// 200 but not that of the 304.
func (v *Validators) MatchesNotModified(h http.Header) bool {
	if tag := firstLine(h["Etag"]); tag != "" && v.ETag != "" {
		if strings.HasPrefix(tag, "W/") {
			return WeakMatch(tag, v.ETag)
		}
		return tag == v.ETag || WeakMatch(tag, v.ETag) && strings.HasPrefix(v.ETag, "W/")
	}
	t, ok := ParseDate(firstLine(h["Last-Modified"]), v.responseTime)
	modified, known := v.lastModified()
	return !ok || !known || t.Equal(modified)
}

// FreshenedByHead reports whether a 200 to a HEAD request describes the stored response and so
// updates it. length is the length of the stored body, or -1 if it is not known. If the result is
// false, the stored response is out of date (RFC 9111, section 4.3.5).
func (v *Validators) FreshenedByHead(h http.Header, length int64) bool {
	if lines := h["Etag"]; len(lines) > 0 && lines[0] != v.ETag {
		return false
	}
	if lines := h["Last-Modified"]; len(lines) > 0 && lines[0] != v.IfModified {
		return false
	}
	if lines := h["Content-Length"]; len(lines) > 0 && length >= 0 {
		n, ok := ParseLength(lines[0])
		return ok && n == length
	}
	return true
}

// HeadUpdate returns the fields of a 200 to a HEAD request with which to update the stored
// response. FreshenedByHead must have returned true for it. If both have the same kind of
// validator, these are all fields. Otherwise it is not known whether both are about the same
// content, so the fields that describe the content are left out, and the fields about caching
// remain.
func (v *Validators) HeadUpdate(h http.Header) http.Header {
	if firstLine(h["Etag"]) != "" && v.ETag != "" || firstLine(h["Last-Modified"]) != "" && v.IfModified != "" {
		return h // the validators are equal
	}
	return CopyHeader(h, 0, describesContent)
}
