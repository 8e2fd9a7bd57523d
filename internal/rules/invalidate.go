package rules

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// Invalidated returns the URLs whose stored responses are invalidated by a response to an unsafe
// request: the target, and the URLs in Location and Content-Location if they have the same origin
// (RFC 9111, section 4.4). It returns nil if the method is safe or the status is not 2xx or 3xx.
// target is the URL of the request with the authority from its Host field.
func Invalidated(method string, target *url.URL, status int, h http.Header) []*url.URL {
	if IsSafe(method) || status < 200 || status > 399 {
		return nil
	}
	urls := []*url.URL{target}
	for _, name := range []string{"Location", "Content-Location"} {
		if u := ResolveSameOrigin(target, h.Get(name)); u != nil {
			urls = append(urls, u)
		}
	}
	return urls
}

// ResolveSameOrigin resolves ref against target. It returns nil if ref is empty, is not valid, or
// has another origin.
func ResolveSameOrigin(target *url.URL, ref string) *url.URL {
	if ref == "" {
		return nil
	}
	u, err := target.Parse(ref)
	if err != nil || !SameOrigin(u, target) {
		return nil
	}
	return u
}

// SameOrigin reports whether two URLs have the same scheme, host and port (RFC 9110, section 4.3.1).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host || origin(a) == origin(b)
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[lower(u.Scheme)]
	} else {
		port = cmp.Or(strings.TrimLeft(port, "0"), "0")
	}
	return lower(u.Scheme+"://"+u.Hostname()) + ":" + port
}
