package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// notStored are the fields that hold for one connection or one proxy only (RFC 9111, section 3.1, and RFC 9110,
// section 7.6.1).
var notStored = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Transfer-Encoding": true,
	"Upgrade": true, "Trailer": true,
	"Proxy-Authenticate": true, "Proxy-Authentication-Info": true, "Proxy-Authorization": true,
}

// StoredHeader returns the fields of a response that are stored (RFC 9111, section 3.1), a copy: not those of the
// connection or of a proxy, and in a shared cache not those that private names.
func StoredHeader(h http.Header, p *Policy) http.Header {
	out := make(http.Header, len(h))
	for name, lines := range h {
		if !notStored[name] {
			out[name] = append([]string(nil), lines...)
		}
	}
	listMembers(h["Connection"], func(name string) { delete(out, canonical(name)) })
	if p.Rules.Shared {
		for _, name := range p.Directives.PrivateFields {
			delete(out, name)
		}
	}
	return out
}

// UpdateHeader returns the stored header with the fields of a later response in place of its own (RFC 9111,
// section 3.2). Content-Length, and Content-Encoding and Content-Range, on which the stored body depends,
// stay. received is when the later response came: its date, where it does not say one itself.
func UpdateHeader(stored, later http.Header, p *Policy, received time.Time) http.Header {
	out := stored.Clone()
	if out == nil {
		out = http.Header{}
	}
	delete(out, "Age") // it told of the response that is replaced
	if out["Date"] != nil && later["Date"] == nil {
		out["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	for name, lines := range StoredHeader(later, p) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
		default:
			out[name] = lines
		}
	}
	return out
}

// Validates says whether a 304 is about the stored response (RFC 9111, section 4.3.4): a validator that it carries
// is the one that is stored.
func (p *Policy) Validates(h http.Header) bool {
	if tag := h.Get("Etag"); tag != "" && p.ETag != "" {
		if strings.HasPrefix(tag, "W/") {
			return WeakMatch(tag, p.ETag)
		}
		return tag == p.ETag || WeakMatch(tag, p.ETag) && strings.HasPrefix(p.ETag, "W/")
	}
	return true
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
