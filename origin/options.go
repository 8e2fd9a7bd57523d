package origin

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// Option sets up middleware or a Cache. Each option says what it is for; the others ignore it.
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

// OnlyIf has CacheFor, CacheControl and NoStore apply to responses with some statuses only: Success,
// SuccessOrRedirect, Always, or your own choice. Unless given, it is Success for the first two and Always for the
// third.
func OnlyIf(applies func(status int) bool) Option {
	return func(o *options) { o.onlyIf = applies }
}

// Success is for OnlyIf: 2xx, and 304, which says it of a 2xx that went before.
func Success(status int) bool {
	return status >= 200 && status < 300 || status == http.StatusNotModified
}

// SuccessOrRedirect is for OnlyIf: 2xx and 3xx.
func SuccessOrRedirect(status int) bool { return status >= 200 && status < 400 }

// Always is for OnlyIf: every status.
func Always(status int) bool { return true }

// ForOldProxies has NoStore send, beside no-store, all that was ever understood as such: no-cache, must-revalidate,
// max-age=0, Pragma and an Expires that has passed.
func ForOldProxies() Option { return func(o *options) { o.legacy = true } }

// StrongTags has AutoETag make strong tags. They promise that the bytes are the same (RFC 9110, section 8.8.1), so
// nothing between the handler and the client may change them, compression among it.
func StrongTags() Option { return func(o *options) { o.strong = true } }

// DefaultMaxBuffer is the longest body that AutoETag hashes unless MaxBuffer says another: 1 MiB.
const DefaultMaxBuffer = 1 << 20

// MaxBuffer has AutoETag hold back and hash bodies of up to n bytes. Longer ones pass without a tag.
func MaxBuffer(n int) Option { return func(o *options) { o.buffer = max(n, 0) } }

// IgnoreRequestDirectives has a Cache act as if requests carried no Cache-Control and no Pragma: a client can then
// neither force the handler to work nor keep a response out of the cache. The handler does not see them either.
func IgnoreRequestDirectives() Option { return func(o *options) { o.ignoreRequest = true } }

// Exempt has a Cache hand the requests that match straight to the handler. See PathPrefix.
func Exempt(match func(*http.Request) bool) Option {
	return func(o *options) { o.exempt = append(slices.Clip(o.exempt), match) }
}

// RefreshAhead has a Cache run the handler in the background for what is asked for less than window before it
// expires, at most once until then, so that nobody waits for it.
func RefreshAhead(window time.Duration) Option { return func(o *options) { o.refresh = window } }

// StoreSetCookie sets the ReplaySetCookie of a Cache's Transport: responses with Set-Cookie are stored like others, and one
// client's cookies are given to the others. RFC 9111 allows it. Use it only if such cookies are for everybody.
func StoreSetCookie() Option {
	return Engine(func(t *cachecontrol.Transport) { t.ReplaySetCookie = true })
}

// Engine has a Cache's Transport changed before it is used: its heuristic, limits, logger. Base, Store, Shared and DrainBytes are
// the Cache's own.
func Engine(change func(*cachecontrol.Transport)) Option {
	return func(o *options) { o.engine = append(slices.Clip(o.engine), change) }
}
