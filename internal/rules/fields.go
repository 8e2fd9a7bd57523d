package rules

import (
	"net/http"
	"slices"
	"strings"
)

// FieldValue returns the value of a field, with several lines joined, and whether it is present. The
// name must be canonical.
func FieldValue(h http.Header, name string) (value string, present bool) {
	switch lines := h[name]; len(lines) {
	case 0:
		return "", false
	case 1:
		return lines[0], true
	default:
		return strings.Join(lines, ", "), true
	}
}

// ContentLength returns the value of a Content-Length field, or -1 if there is none or it is invalid.
func ContentLength(h http.Header) int64 {
	if n, ok := ParseLength(firstLine(h["Content-Length"])); ok {
		return n
	}
	return -1
}

// firstLine returns the first line of a field, or "" if there is none.
func firstLine(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

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

// DecidesReuse reports whether the field with this name decides about reuse. Such a field is for every
// recipient, so a Connection field that names it is wrong (RFC 9110, section 7.6.1). Without it the
// stored response would have another meaning.
func DecidesReuse(name string) bool {
	switch name {
	case "Age", "Cache-Control", "Cdn-Cache-Control", "Date", "Expires", "Vary":
		return true
	}
	return false
}

// endToEnd returns a copy of the fields that are not for one connection or one proxy.
func endToEnd(h http.Header) http.Header {
	out := CopyHeader(h, 0, PerConnection)
	listMembers(h["Connection"], func(name string) {
		if name = canonical(name); !DecidesReuse(name) {
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

// cookieFields are the fields that set cookies.
var cookieFields = []string{"Set-Cookie", "Set-Cookie2"}

// CopySetCookie sets the Set-Cookie and Set-Cookie2 fields of one header to those of another. A
// field that the other header does not have is not changed.
func CopySetCookie(to, from http.Header) {
	for _, name := range cookieFields {
		if lines := from[name]; lines != nil {
			to[name] = slices.Clone(lines)
		}
	}
}

// WithoutSetCookie returns a copy of the fields that set no cookies.
func WithoutSetCookie(h http.Header) http.Header {
	return CopyHeader(h, 0, func(name string) bool { return slices.Contains(cookieFields, name) })
}

// CopyHeaderWithout returns a copy of the fields except the one with this name. The copy has capacity
// for one more field, whose line the caller may put in spare. perConnection reports whether h has a
// field for which PerConnection is true.
func CopyHeaderWithout(h http.Header, without string) (out http.Header, spare []string, perConnection bool) {
	out, room := make(http.Header, len(h)+1), make([]string, len(h)+1)
	for name, lines := range h {
		if name != without {
			out[name], room = copyLines(lines, room)
		}
		perConnection = perConnection || PerConnection(name)
	}
	return out, room[len(room)-1:], perConnection
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

// HasPreconditions reports whether h has preconditions that a cache evaluates, If-None-Match or
// If-Modified-Since (RFC 9111, section 4.3.2), and whether it has preconditions for the origin,
// If-Match or If-Unmodified-Since. See Policy.Matches about the latter.
func HasPreconditions(h http.Header) (cache, origin bool) {
	cache = h["If-None-Match"] != nil || h["If-Modified-Since"] != nil
	origin = h["If-Match"] != nil || h["If-Unmodified-Since"] != nil
	return cache, origin
}
