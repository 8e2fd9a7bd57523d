package origin

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// Option configures middleware or a Cache. The comment of each option names the functions that use it. Other functions
// ignore it.
type Option func(*options)

type options struct {
	onlyIf     func(status int) bool
	directives []directive
	legacy     bool

	strong bool
	buffer int

	ignoreRequest bool
	exempt        []func(*http.Request) bool
	refresh       time.Duration
	engine        []func(*cachecontrol.Transport)
}

func newOptions(opts []Option) *options {
	o := &options{}
	for _, set := range opts {
		set(o)
	}
	return o
}

// OnlyIf restricts CacheFor, CacheControl and NoStore to the statuses for which applies returns true. Success,
// SuccessOrRedirect and Always are such functions. The default is Success for CacheFor and CacheControl, and Always for
// NoStore.
func OnlyIf(applies func(status int) bool) Option {
	return func(o *options) { o.onlyIf = applies }
}

// Success reports whether status is 2xx or 304, which updates an earlier 2xx. It is meant for OnlyIf.
func Success(status int) bool {
	return status >= 200 && status < 300 || status == http.StatusNotModified
}

// SuccessOrRedirect reports whether status is 2xx or 3xx. It is meant for OnlyIf.
func SuccessOrRedirect(status int) bool { return status >= 200 && status < 400 }

// Always returns true for every status. It is meant for OnlyIf.
func Always(status int) bool { return true }

// ForOldProxies makes NoStore also send everything that older caches take for no-store: no-cache, must-revalidate,
// max-age=0, Pragma: no-cache and an Expires in the past.
func ForOldProxies() Option { return func(o *options) { o.legacy = true } }

// StrongTags makes AutoETag use strong tags. A strong tag promises that the bytes are the same (RFC 9110, section
// 8.8.1), so nothing between the handler and the client may change them, for example by compression.
func StrongTags() Option { return func(o *options) { o.strong = true } }

// DefaultMaxBuffer is the MaxBuffer of AutoETag if no other is given: 1 MiB.
const DefaultMaxBuffer = 1 << 20

// MaxBuffer makes AutoETag buffer and hash bodies of up to n bytes. Longer bodies are passed on without a tag. A
// negative n counts as 0.
func MaxBuffer(n int) Option { return func(o *options) { o.buffer = max(n, 0) } }

// IgnoreRequestDirectives makes a Cache remove Cache-Control and Pragma from requests. A client can then neither force
// the handler to run nor prevent a response from being stored. The handler does not see these fields either.
func IgnoreRequestDirectives() Option { return func(o *options) { o.ignoreRequest = true } }

// Exempt makes a Cache pass the requests that match directly to the handler. See PathPrefix.
func Exempt(match func(*http.Request) bool) Option {
	return func(o *options) { o.exempt = append(slices.Clip(o.exempt), match) }
}

// RefreshAhead makes a Cache refresh a response in the background when it is requested within window of its expiry, so
// that no client has to wait. It does so at most once per expiry.
func RefreshAhead(window time.Duration) Option { return func(o *options) { o.refresh = window } }

// StoreSetCookie sets the ReplaySetCookie of a Cache's Transport. Responses with Set-Cookie are then stored like
// others, and one client's cookies are sent to other clients. RFC 9111 allows this. Use it only if the cookies are
// the same for all clients.
func StoreSetCookie() Option {
	return Engine(func(t *cachecontrol.Transport) { t.ReplaySetCookie = true })
}

// Engine makes NewCache call change with the Cache's Transport before it is used, to set for example its Heuristic,
// limits or Logger. NewCache overwrites Base, Store, Shared and DrainBytes.
func Engine(change func(*cachecontrol.Transport)) Option {
	return func(o *options) { o.engine = append(slices.Clip(o.engine), change) }
}
