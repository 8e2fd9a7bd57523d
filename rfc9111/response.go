package rfc9111

import (
	"net/http"
	"net/url"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// InvalidatedURLs returns the URLs whose stored responses the cache must remove or validate before
// use after resp, the response to req (RFC 9111, section 4.4). They are the URL of req, and the URLs
// in Location and Content-Location if their origin is the same. InvalidatedURLs returns nil if the
// method is safe, such as GET, or if the status code is not 2xx or 3xx.
func InvalidatedURLs(req *http.Request, resp *http.Response) []*url.URL {
	target := *req.URL
	if req.Host != "" {
		target.Host = req.Host
	}
	if target.Scheme == "" { // a request that a server has received
		target.Scheme = "http"
		if req.TLS != nil {
			target.Scheme = "https"
		}
	}
	return rules.Invalidated(req.Method, &target, resp.StatusCode, resp.Header)
}

// Supersedes reports whether a response with this status code shows that the stored response is out
// of date. If it does and the response itself is not stored, the stored response must be removed. It
// is true for 404, 410 and the 2xx status codes except 206. After any other status code, the stored
// response may still be current.
func Supersedes(status int) bool { return rules.Supersedes(status) }

// ServerFailed reports whether a response with this status code is a failure of the origin: 500, 502,
// 503 or 504. The stored response may then be used if Policy.ReuseOnError allows it.
func ServerFailed(status int) bool { return rules.ServerFailed(status) }

// HeuristicallyCacheable reports whether a response with this status code may be given a heuristic
// freshness lifetime if its header does not say otherwise (RFC 9111, section 4.2.2). See
// Policy.WithLifetime.
func HeuristicallyCacheable(status int) bool { return rules.HeuristicallyCacheable(status) }
