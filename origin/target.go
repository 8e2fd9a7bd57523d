package origin

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

// schemeOf returns the scheme of the target URI (RFC 9110, section 7.1).
func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// isOwnTarget reports whether the target of a request is in origin form, or in the absolute form that stands for the
// same (RFC 9112, section 3.2.2). Any other target, such as an absolute :path over HTTP/2, is a different URI than
// the one that the connection and the Host make.
func isOwnTarget(r *http.Request) bool {
	u := r.URL
	if u.Scheme == "" && u.Host == "" {
		return u.Opaque == "" && u.User == nil && strings.HasPrefix(u.Path, "/")
	}
	return u.Opaque == "" && u.User == nil && u.Scheme == schemeOf(r) && u.Host == r.Host
}

// inOriginForm sets the target of r, a copy of the client's request, to the one in the key of target. A response can
// then depend only on the part of the target that the key holds. If target has no key, the response is not stored,
// and r is not changed.
func inOriginForm(r *http.Request, target *url.URL) {
	key, ok := cachekey.Of(target, "")
	if !ok {
		return
	}
	_, rest, _ := strings.Cut(key, "://")
	slash := strings.IndexByte(rest, '/')
	u, err := url.ParseRequestURI(rest[slash:])
	if err != nil {
		return
	}
	sent, err := url.ParseRequestURI(r.RequestURI)
	if err == nil && sent.EscapedPath() == r.URL.EscapedPath() && sent.RawQuery == r.URL.RawQuery {
		r.RequestURI = rest[slash:] // outer middleware has not changed r.URL
	}
	r.Host, r.URL = rest[:slash], u
}
