package rules

import (
	"net/http"
	"strings"
)

// AsksUpgrade reports whether a request asks to switch to another protocol than HTTP, such as
// WebSocket (RFC 9110, section 7.8). Only the origin can answer such a request. An offer to
// continue with HTTP/2 on the same connection (h2c), which some clients add to every request, does
// not count, because every server may ignore it.
func AsksUpgrade(h http.Header) bool {
	asks := false
	listMembers(h["Upgrade"], func(member string) {
		asks = asks || !strings.EqualFold(member, "h2c")
	})
	return asks
}

// WithoutUpgrade returns a copy of the header of a request without the offer to change the
// protocol: without Upgrade, HTTP2-Settings, and their names in Connection. It is for requests for
// which AsksUpgrade returns false.
func WithoutUpgrade(h http.Header) http.Header {
	isOffer := func(name string) bool { return name == "Upgrade" || name == "Http2-Settings" }
	out := CopyHeader(h, 0, isOffer)
	lines := out["Connection"]
	if lines == nil {
		return out
	}
	delete(out, "Connection")
	for _, line := range lines {
		var left []string
		listMembers([]string{line}, func(member string) {
			if !isOffer(canonical(member)) {
				left = append(left, member)
			}
		})
		if len(left) > 0 {
			out["Connection"] = append(out["Connection"], strings.Join(left, ", "))
		}
	}
	return out
}
