package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// relocate changes the URLs in Location and Content-Location that lead to the upstream server, so that they lead to this proxy.
// Otherwise a client that follows a redirect would go past the proxy, and a permanent redirect would be stored as such.
func relocate(h http.Header, upstream *url.URL) {
	for _, name := range [...]string{"Location", "Content-Location"} {
		for i, line := range h[name] {
			if here, ok := relocated(line, upstream); ok {
				h[name] = slices.Clone(h[name]) // those of a stored response are shared
				h[name][i] = here
			}
		}
	}
}

// relocated returns a reference to the resource of this proxy for a reference to one of the upstream server. It returns false
// if location is not the latter, or leads to the right one without a change.
func relocated(location string, upstream *url.URL) (string, bool) {
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" || u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		return "", false
	}
	if u.Host != "" && rules.ResolveSameOrigin(upstream, location) == nil {
		return "", false
	}
	base := strings.TrimSuffix(upstream.EscapedPath(), "/")
	path, ok := strings.CutPrefix(u.EscapedPath(), base)
	if !ok || path != "" && path[0] != '/' || u.Host == "" && base == "" {
		return "", false
	}
	if path == "" {
		path = "/"
	}
	if strings.HasPrefix(path, "//") {
		path = "/." + path // would name a host
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		path += "#" + u.EscapedFragment()
	}
	return path, true
}
