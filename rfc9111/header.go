package rfc9111

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// PerConnection says whether a field holds for one connection or one proxy only (RFC 9111, section 3.1, and RFC 9110,
// section 7.6.1). Of Connection it is true, too, which may name others.
func PerConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Trailer",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// notOptions are the fields that decide about reuse. They are for every recipient, so a Connection that names them is
// wrong (RFC 9110, section 7.6.1), and without them the stored response would say something else.
var notOptions = map[string]bool{
	"Age": true, "Cache-Control": true, "Cdn-Cache-Control": true, "Date": true, "Expires": true, "Vary": true,
}

// StoredHeader returns the fields of a response that are stored (RFC 9111, section 3.1), a copy: not those of the
// connection or of a proxy, and not the policy's ExcludedFields.
func StoredHeader(h http.Header, p *Policy) http.Header {
	out := endToEnd(h)
	for _, name := range p.ExcludedFields() {
		delete(out, name)
	}
	return out
}

// StoredTrailer returns a copy of the trailer fields that are stored, by the same rule, or nil if there are none. excluded are the
// policy's ExcludedFields, or more names that are left out.
func StoredTrailer(t http.Header, excluded []string) http.Header {
	if len(t) == 0 {
		return nil // as of most
	}
	out := CopyHeader(t, 0, func(name string) bool { return PerConnection(name) || slices.Contains(excluded, name) })
	if len(out) == 0 {
		return nil
	}
	return out
}

// endToEnd returns a copy of the fields that are not of one connection or one proxy.
func endToEnd(h http.Header) http.Header {
	out := CopyHeader(h, 0, PerConnection)
	listMembers(h["Connection"], func(name string) {
		if name = canonical(name); !notOptions[name] {
			delete(out, name)
		}
	})
	return out
}

// CopyHeader returns a copy of the fields whose names except does not report, with room for some more. The copy is not nil. No line of
// it shares memory with another's slice, nor with h.
func CopyHeader(h http.Header, more int, except func(name string) bool) http.Header {
	out, room := make(http.Header, len(h)+more), make([]string, len(h))
	for name, lines := range h {
		if !except(name) {
			out[name], room = copyLines(lines, room)
		}
	}
	return out
}

// copyLines returns a copy of the lines of a field, if there is one only at the beginning of room, and what is left of room.
func copyLines(lines, room []string) (_, rest []string) {
	if len(lines) == 1 { // as most
		room[0] = lines[0]
		return room[:1:1], room[1:]
	}
	return slices.Clip(slices.Clone(lines)), room
}

// CopySetCookie sets in a header the fields that set cookies as another one has them. A field that the other does not have
// stays as it is.
func CopySetCookie(to, from http.Header) {
	for _, name := range cookieFields {
		if lines := from[name]; lines != nil {
			to[name] = slices.Clone(lines)
		}
	}
}

// HeaderField is a field of a header, with all its lines.
type HeaderField struct {
	Name  string
	Lines []string
}

// CopyHeaderTo is CopyHeader with room for one more field, the line of which may be in room, and without one field. It appends the fields
// of the copy, in the order in which it met them, to fields: to go through a map takes much longer.
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

// UpdateHeader returns the stored header with the fields of a later response in place of its own (RFC 9111,
// section 3.2). Content-Length, and Content-Encoding and Content-Range, on which the stored body depends,
// stay, and no entity tag becomes strong. Fields that are not stored are left out. In a shared cache these are also
// the fields that private names now, whatever p, the policy of the stored response, knew. received is when the
// later response came. It is its date if the response has no Date.
func UpdateHeader(stored, later http.Header, p *Policy, received time.Time) http.Header {
	out := CopyHeader(stored, 0, func(name string) bool { return name == "Age" }) // it told of the response that is replaced
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
		// What is stored was not confirmed by a strong tag, so it does not get one.
		delete(out, "Etag")
		if p.ETag != "" {
			out["Etag"] = []string{p.ETag}
		}
	}
	if p.Rules.Shared {
		for _, name := range ParseResponse(out, true).PrivateFields {
			delete(out, name)
		}
	}
	if p.Rules.WithholdSetCookie {
		for _, name := range cookieFields {
			delete(out, name)
		}
	}
	return out
}

// Validates says whether a 304 is about the stored response (RFC 9111, section 4.3.4): the tags of both are the same,
// or, where one has none, their modification dates.
//
// Two deviations, for the 304 answers this cache's own question about this response. A validator that only one of the
// two has says nothing. And a strong tag confirms a weak one with the same opaque part: servers that compress,
// nginx for one, weaken the tag of a 200 but not that of the 304.
func (p *Policy) Validates(h http.Header) bool {
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

// HeadUpdate returns the fields of a 200 to a HEAD request that update the stored response, which FreshenedByHead has
// accepted. If they have a validator in common, these are all its fields. Without one, nothing tells whether both
// are about the same content, so fields that describe the content are left out; what is said about caching counts.
func (p *Policy) HeadUpdate(h http.Header) http.Header {
	if firstLine(h["Etag"]) != "" && p.ETag != "" || firstLine(h["Last-Modified"]) != "" && p.IfModified != "" {
		return h // the same in both
	}
	return CopyHeader(h, 0, describesContent)
}

// describesContent reports whether a field is metadata of a representation, and so tells how its content is to be read (RFC
// 9110, section 8, and RFC 9530).
func describesContent(name string) bool {
	switch name {
	case "Etag", "Last-Modified", "Repr-Digest", "Digest":
		return true
	case "Content-Security-Policy", "Content-Security-Policy-Report-Only":
		return false
	}
	return strings.HasPrefix(name, "Content-")
}

// FreshenedByHead says whether a 200 to a HEAD request is about the stored response, so that it updates it; if
// not, the stored response is out of date (RFC 9111, section 4.3.5).
func (p *Policy) FreshenedByHead(stored, h http.Header, length int64) bool {
	if v := h["Etag"]; len(v) > 0 && v[0] != p.ETag {
		return false
	}
	if v := h["Last-Modified"]; len(v) > 0 && v[0] != stored.Get("Last-Modified") {
		return false
	}
	if v := h["Content-Length"]; len(v) > 0 && length >= 0 {
		n, ok := parseLength(v[0])
		return ok && n == length
	}
	return true
}
