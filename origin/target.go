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

// isOwnTarget reports whether the target of a request is in origin form, or in the absolute form that stands for the same
// (RFC 9112, section 3.2.2). What else a client writes there, over HTTP/2 in :path, is not the URI that the connection and
// the Host make.
func isOwnTarget(r *http.Request) bool {
	u := r.URL
	if u.Scheme == "" && u.Host == "" {
		return u.Opaque == "" && u.User == nil && strings.HasPrefix(u.Path, "/")
	}
	return u.Opaque == "" && u.User == nil && u.Scheme == schemeOf(r) && u.Host == r.Host
}

// inOriginForm lets r, a copy of the client's request, have its target as the key for target has it, so that a response can
// say nothing of the target that others would not ask for. If target has no key, nothing is stored, and r stays as it is.
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
		r.RequestURI = rest[slash:] // and is not what something outside has changed
	}
	r.Host, r.URL = rest[:slash], u
}
