package rules

import (
	"net/http"
	"slices"
	"time"
)

// StoredHeader returns a copy of the fields of a response that are stored (RFC 9111, section 3.1).
// It omits the fields of the connection and of proxies, and the ExcludedFields of the policy.
func StoredHeader(h http.Header, p *Policy) http.Header {
	out := endToEnd(h)
	for _, name := range p.ExcludedFields() {
		delete(out, name)
	}
	return out
}

// UpdateHeader returns the stored header with the fields of a later response in place of the stored
// ones (RFC 9111, section 3.2). Content-Length, Content-Encoding and Content-Range are kept,
// because the stored body depends on them, and so is Content-Digest, because that of the later
// response is about another content (RFC 9530, section 2). No entity tag becomes strong. Fields that are not
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
		case PerConnection(name), name == "Content-Length", name == "Content-Encoding", name == "Content-Range", name == "Content-Digest":
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
