package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// PerConnection reports whether the field with this name is only for one connection or one proxy
// (RFC 9111, section 3.1, and RFC 9110, section 7.6.1). It knows the standard fields, Connection
// among them, but not those that a Connection field names.
func PerConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Trailer",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// notOptions are the fields that decide about reuse. They are for every recipient, so a Connection
// field that names one of them is wrong (RFC 9110, section 7.6.1). Without them the stored response
// would have another meaning.
var notOptions = map[string]bool{
	"Age": true, "Cache-Control": true, "Cdn-Cache-Control": true, "Date": true, "Expires": true, "Vary": true,
}

// StoredHeader returns a copy of the fields of a response that are stored (RFC 9111, section 3.1).
// It omits the fields of the connection and of proxies, and the ExcludedFields of the policy.
func StoredHeader(h http.Header, p *Policy) http.Header {
	out := endToEnd(h)
	for _, name := range p.ExcludedFields() {
		delete(out, name)
	}
	return out
}

// StoredTrailer returns a copy of the trailer fields that are stored, or nil if there are none. It
// omits the fields for which PerConnection is true and those named by excluded, which are the
// ExcludedFields of the policy and may include others.
func StoredTrailer(t http.Header, excluded []string) http.Header {
	if len(t) == 0 {
		return nil
	}
	out := CopyHeader(t, 0, func(name string) bool { return PerConnection(name) || slices.Contains(excluded, name) })
	if len(out) == 0 {
		return nil
	}
	return out
}

// endToEnd returns a copy of the fields that are not for one connection or one proxy.
func endToEnd(h http.Header) http.Header {
	out := CopyHeader(h, 0, PerConnection)
	listMembers(h["Connection"], func(name string) {
		if name = canonical(name); !notOptions[name] {
			delete(out, name)
		}
	})
	return out
}

// CopyHeader returns a copy of the fields for whose names except is false, with capacity for more
// additional fields. The copy is never nil. Its slices share no memory with each other or with h.
func CopyHeader(h http.Header, more int, except func(name string) bool) http.Header {
	out, room := make(http.Header, len(h)+more), make([]string, len(h))
	for name, lines := range h {
		if !except(name) {
			out[name], room = copyLines(lines, room)
		}
	}
	return out
}

// copyLines returns a copy of the lines of a field, and the unused part of room. A single line is
// copied to the beginning of room; several are copied to a new slice.
func copyLines(lines, room []string) (_, rest []string) {
	if len(lines) == 1 {
		room[0] = lines[0]
		return room[:1:1], room[1:]
	}
	return slices.Clip(slices.Clone(lines)), room
}

// CopySetCookie sets the Set-Cookie and Set-Cookie2 fields of one header to those of another. A
// field that the other header does not have is not changed.
func CopySetCookie(to, from http.Header) {
	for _, name := range cookieFields {
		if lines := from[name]; lines != nil {
			to[name] = slices.Clone(lines)
		}
	}
}

// HeaderField is a header field with all its lines.
type HeaderField struct {
	Name  string
	Lines []string
}

// CopyHeaderTo is like CopyHeader but omits only the field named without. The copy has capacity for
// one more field, whose line the caller may put in room. The fields of the copy are also appended
// to fields, in the order in which the map yields them, because ranging over a map again takes much
// longer.
func CopyHeaderTo(fields []HeaderField, h http.Header, without string) (out http.Header, room []string, _ []HeaderField) {
	out, room, fields = make(http.Header, len(h)+1), make([]string, len(h)+1), slices.Grow(fields, len(h))
	for name, lines := range h {
		if name != without {
			lines, room = copyLines(lines, room)
			out[name] = lines
			fields = append(fields, HeaderField{name, lines})
		}
	}
	return out, room[len(room)-1:], fields
}

// UpdateHeader returns the stored header with the fields of a later response in place of the stored
// ones (RFC 9111, section 3.2). Content-Length, Content-Encoding and Content-Range are kept,
// because the stored body depends on them, and no entity tag becomes strong. Fields that are not
// stored are left out. In a shared cache this includes the fields that private names after the
// update, whether or not p, the policy of the stored response, knew them. received is the time at
// which the later response was received; it becomes the Date if the later response has none.
func UpdateHeader(stored, later http.Header, p *Policy, received time.Time) http.Header {
	out := CopyHeader(stored, 0, func(name string) bool { return name == "Age" }) // it belongs to the response that is replaced
	if out["Date"] != nil && later["Date"] == nil {
		out["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	if later["Connection"] != nil {
		later = endToEnd(later)
	}
	for name, lines := range later {
		switch {
		case PerConnection(name), name == "Content-Length", name == "Content-Encoding", name == "Content-Range":
		case !slices.Equal(out[name], lines):
			out[name] = append(out[name][:0], lines...)
		}
	}
	if tag := firstLine(out["Etag"]); tag != p.ETag && StrongMatch(tag, tag) {
		// The strong tag did not confirm the stored bytes, so the stored response does not get it.
		delete(out, "Etag")
		if p.ETag != "" {
			out["Etag"] = []string{p.ETag}
		}
	}
	if p.Options.Shared {
		for _, name := range ParseResponse(out, true).PrivateFields {
			delete(out, name)
		}
	}
	if p.Options.WithholdSetCookie {
		for _, name := range cookieFields {
			delete(out, name)
		}
	}
	return out
}

// MatchesNotModified reports whether a 304 with the header h selects the stored response (RFC 9111, section
// 4.3.4): their entity tags are the same or, if one of them has no entity tag, their modification
// dates.
//
// There are two deviations, because the 304 is the response to this cache's own request about this
// response. A validator that only one of the two has is ignored. And a strong tag confirms a weak
// one with the same opaque part, because servers that compress, such as nginx, weaken the tag of a
// 200 but not that of the 304.
func (p *Policy) MatchesNotModified(h http.Header) bool {
	if tag := h.Get("Etag"); tag != "" && p.ETag != "" {
		if strings.HasPrefix(tag, "W/") {
			return WeakMatch(tag, p.ETag)
		}
		return tag == p.ETag || WeakMatch(tag, p.ETag) && strings.HasPrefix(p.ETag, "W/")
	}
	if t, ok := ParseDate(h.Get("Last-Modified"), p.responseTime); ok && !p.LastModified.IsZero() {
		return t.Equal(p.LastModified)
	}
	return true
}

// HeadUpdate returns the fields of a 200 to a HEAD request with which to update the stored
// response. FreshenedByHead must have returned true for it. If both have the same kind of
// validator, these are all fields. Otherwise it is not known whether both are about the same
// content, so the fields that describe the content are left out, and the fields about caching
// remain.
func (p *Policy) HeadUpdate(h http.Header) http.Header {
	if firstLine(h["Etag"]) != "" && p.ETag != "" || firstLine(h["Last-Modified"]) != "" && p.IfModified != "" {
		return h // the validators are equal
	}
	return CopyHeader(h, 0, describesContent)
}

// describesContent reports whether a field is metadata of a representation, which determines how
// its content is read (RFC 9110, section 8, and RFC 9530).
func describesContent(name string) bool {
	switch name {
	case "Etag", "Last-Modified", "Repr-Digest", "Digest":
		return true
	case "Content-Security-Policy", "Content-Security-Policy-Report-Only":
		return false
	}
	return strings.HasPrefix(name, "Content-")
}

// FreshenedByHead reports whether a 200 to a HEAD request describes the stored response and so
// updates it. If not, the stored response is out of date (RFC 9111, section 4.3.5).
func (p *Policy) FreshenedByHead(stored, h http.Header, length int64) bool {
	if v := h["Etag"]; len(v) > 0 && v[0] != p.ETag {
		return false
	}
	if v := h["Last-Modified"]; len(v) > 0 && v[0] != stored.Get("Last-Modified") {
		return false
	}
	if v := h["Content-Length"]; len(v) > 0 && length >= 0 {
		n, ok := ParseLength(v[0])
		return ok && n == length
	}
	return true
}
