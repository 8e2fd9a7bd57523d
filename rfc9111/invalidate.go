package rfc9111

import (
	"net/http"
	"net/url"
)

// Invalidated returns the URLs whose stored responses a response to an unsafe request makes invalid: the target's
// and those of Location and Content-Location, if they are of the same origin (RFC 9111, section 4.4). It is
// nil for a safe method and for an error. target is the request's URL with the authority that its Host
// field names.
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

// SameOrigin resolves a reference against target. It returns nil where there is none, it is not valid, or it is of
// another origin: scheme, host and port (RFC 9110, section 4.3.1).
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
