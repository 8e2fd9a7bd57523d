package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Options are the choices that RFC 9111 leaves to a cache, and deviations from it that a program may
// choose.
type Options struct {
	// Shared, if true, applies the rules for shared caches: s-maxage, proxy-revalidate, private,
	// Authorization and CDN-Cache-Control.
	Shared bool

	// TimePriority, if true, means that a response without a freshness lifetime is not stored
	// merely because it has a validator.
	TimePriority bool

	// Replay, if true, means that stored responses are reused regardless of their age and of all
	// directives, unless the request has Refresh set.
	Replay bool

	// WithholdSetCookie, if true, passes Set-Cookie and Set-Cookie2 only to the request that they
	// answer. They are not stored, and a shared cache stores a response with such a field only if
	// the response is Shareable or if private names the field. If false, they are treated like any
	// other field, as in RFC 9111.
	WithholdSetCookie bool

	// StaleIfError is how long any response may be used stale while the origin fails, as if each
	// response had this stale-if-error directive.
	StaleIfError time.Duration

	// StaleWhileRevalidate is how long a response without a stale-while-revalidate directive may be
	// used stale while it is validated, as if it had this directive.
	StaleWhileRevalidate time.Duration

	// Statuses lists the status codes of the responses that may be stored. If nil, all that RFC
	// 9111 allows may be stored. A response with a listed status that is not cacheable by default,
	// such as 302, is also stored without explicit freshness if WithLifetime or Replay gives it a
	// lifetime.
	Statuses []int
}

// SelectingFields is like the function SelectingFields, but follows these rules: in a shared cache,
// Origin is also a selecting field of a response that allows one web origin to read it, even if
// Vary does not name it.
func (r *Options) SelectingFields(h http.Header) (names []string, star bool) {
	names, star = SelectingFields(h)
	if r.Shared && AllowsOneOrigin(h) && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "Origin") }) {
		names = append(names, "Origin")
	}
	return names, star
}
