package rules

import (
	"net/http"
	"net/url"
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
		if u := SameOrigin(target, h.Get(name)); u != nil {
			urls = append(urls, u)
		}
	}
	return urls
}

// SameOrigin resolves ref against target. It returns nil if ref is empty, is not valid, or has
// another origin (scheme, host and port; RFC 9110, section 4.3.1).
func SameOrigin(target *url.URL, ref string) *url.URL {
	if ref == "" {
		return nil
	}
	u, err := target.Parse(ref)
	if err != nil || origin(u) != origin(target) {
		return nil
	}
	return u
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[lower(u.Scheme)]
	}
	return lower(u.Scheme+"://"+u.Hostname()) + ":" + port
}
