package cachecontrol

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// canonicalNames returns h with canonical names. If the names are canonical, that is h itself. net/http sends a field
// under the name that the caller wrote into the map.
func canonicalNames(h http.Header) http.Header {
	for name := range h {
		if isCanonical(name) {
			continue
		}
		out := make(http.Header, len(h))
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, line := range h[name] {
				out.Add(name, line)
			}
		}
		return out
	}
	return h
}

// isCanonical reports whether name is certainly canonical. It takes less than half the time of http.CanonicalHeaderKey.
func isCanonical(name string) bool {
	switch name { // the most frequent ones, without looking at each byte
	case "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Type",
		"Cookie", "Date", "Etag", "Expires", "Last-Modified", "Origin", "Referer", "Server", "User-Agent", "Vary":
		return true
	}
	wrong := byte('a') // first of the 26 letters that must not come next
	for i := range len(name) {
		c := name[i]
		if c-wrong < 26 {
			return false
		}
		if wrong = 'A'; c == '-' {
			wrong = 'a'
		}
	}
	return true
}

func hasBody(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody
}

// closeBody closes the body of a request that is not sent, as a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// targetURL returns the target URL of the request, with the authority of its Host field.
func targetURL(req *http.Request) *url.URL {
	if req.Host == "" || req.Host == req.URL.Host {
		return req.URL
	}
	u := *req.URL
	u.Host = req.Host
	return &u
}

// requestURL returns the URL of a request for the log, without user and password.
func requestURL(req *http.Request) string {
	if req.URL == nil {
		return ""
	}
	u := *targetURL(req)
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u.String()
}
