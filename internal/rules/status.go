package rules

import "net/http"

// Supersedes reports whether the status of a response to a request for a stored response means that
// there is now another representation, or none. The stored response is then out of date even if the
// new one is not stored. These are the 2xx statuses except 206, and 404 and 410. After any other
// status the stored response may still be current, because that status is about the request, such
// as 401 and 429, or about the origin itself.
func Supersedes(status int) bool {
	return status >= 200 && status <= 299 && status != http.StatusPartialContent ||
		status == http.StatusNotFound || status == http.StatusGone
}

// OnlyForRequest returns why a whole response with this status code cannot answer another request, or
// ReasonNone if it can. matching is whether the request had If-Match or If-Unmodified-Since.
func OnlyForRequest(status int, matching bool) Reason {
	switch {
	case status == http.StatusPartialContent, status == http.StatusRequestedRangeNotSatisfiable:
		return PartialUnusable
	case status == http.StatusPreconditionFailed && matching:
		return PreconditionForwarded
	}
	return ReasonNone
}

// HeuristicallyCacheable reports whether a response with this status may be stored and given a
// heuristic lifetime without any directive that permits it (RFC 9110, section 15.1).
func HeuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// ServerFailed reports whether status is a server error after which a stale response may be used
// (RFC 5861, section 4).
func ServerFailed(status int) bool {
	return status == 500 || status == 502 || status == 503 || status == 504
}

// Failed reports whether status is that of an origin that is failing or overloaded, whatever the
// request: a server error, or 429 (RFC 6585, section 4).
func Failed(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests
}

// knownStatus reports whether the status is one of RFC 9110, whose caching behavior this package
// implements.
func knownStatus(status int) bool {
	switch {
	case status >= 200 && status <= 206, status >= 300 && status <= 305, status == 307, status == 308,
		status >= 400 && status <= 417, status == 421, status == 422, status == 426,
		status >= 500 && status <= 505:
		return true
	}
	return false
}

// credentials returns the request header field whose value a response with this status rejects or
// finds missing, or "" if the status is not about credentials. 403 is not included: it may have
// nothing to do with credentials (RFC 9110, section 15.5.4), so a lifetime that the origin gives it
// is respected.
func credentials(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Authorization"
	case http.StatusProxyAuthRequired:
		return "Proxy-Authorization"
	}
	return ""
}
