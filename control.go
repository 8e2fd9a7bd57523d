package cachecontrol

import (
	"context"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Mode says where the answer to one request may come from: see Control. In every mode an unsafe method invalidates
// stored responses (RFC 9111, section 4.4).
type Mode uint8

// The modes.
const (
	// ModeDefault uses a stored response if the rules allow it, and otherwise asks the origin.
	ModeDefault Mode = iota

	// ModeRefresh forces a request to the origin, conditional if possible, and stores the result. It does not affect
	// other caches between this one and the origin; use the request's Cache-Control: no-cache for that. If the origin
	// fails, a stale response may be served as MaxStale permits.
	ModeRefresh

	// ModeBypass neither looks up nor stores a response.
	ModeBypass

	// ModeCacheOnly answers from the store or with 504. No request is sent, whatever the method is, and none is sent in
	// the background.
	ModeCacheOnly
)

// String returns the name of the mode, such as "refresh".
func (m Mode) String() string {
	return nameOf("mode", int(m), "default", "refresh", "bypass", "cache-only")
}

// Control changes how the cache treats one request: see WithControl. It applies in addition to the directives of the
// request and of the stored response. The strictest one wins: a Control does not override an origin's no-store,
// no-cache or must-revalidate. It is not sent to the origin. The zero value changes nothing.
type Control struct {
	// Mode says where the answer may come from.
	Mode Mode

	// NoStore prevents storing the response of the origin. A stored response may be used. It is deleted if the origin
	// sends another one.
	NoStore bool

	// MaxStale is how long after it became stale a stored response may be served without validation. A negative value
	// means no limit. It has no effect if the response forbids stale use with no-cache or must-revalidate, or, in a
	// shared cache, with proxy-revalidate or s-maxage (RFC 9111, section 4.2.4), or if the request's own header asks
	// for a fresher response.
	MaxStale time.Duration

	// Lifetime, if positive, replaces the freshness lifetime of the response. Like max-age, it is compared with the
	// current age. It applies to the stored response that is selected for this request. It is also stored with a
	// response from the origin, and then applies to later requests until the origin answers again, even with a 304.
	//
	// Lifetime may be shorter or longer than the lifetime in the response. If the response has an explicit lifetime and
	// forbids stale use, as described for MaxStale, Lifetime can only shorten it. It cannot make the cache store a
	// response that the origin forbids to store, nor a status that is not cacheable by default, unless
	// Transport.CacheableStatusCodes lists it.
	Lifetime time.Duration

	// StaleWhileRevalidate, if positive, replaces Transport.StaleWhileRevalidate. If it is negative, no stale response
	// is used while it is validated, even if the response allows that.
	StaleWhileRevalidate time.Duration

	// StaleIfSlow replaces Transport.StaleIfSlow if it is not zero. A negative value means that the request waits for
	// the origin as long as necessary.
	StaleIfSlow time.Duration

	// Partition is an additional component of the cache key. A response stored in one partition is never used, updated
	// or invalidated by a request in another. It can be any string; only its hash is stored. It is combined with
	// Transport.Partition.
	Partition string
}

type controlKey struct{}

// WithControl returns a copy of ctx that carries c, for all Transports that a request with this context passes. It
// replaces any Control in ctx, except that an existing Partition is kept if c.Partition is empty, so that code unaware
// of partitions cannot escape one.
func WithControl(ctx context.Context, c Control) context.Context {
	if outer := controlOf(ctx); outer != nil && c.Partition == "" {
		c.Partition = outer.Partition
	}
	return context.WithValue(ctx, controlKey{}, &c)
}

// controlOf returns the Control in ctx, or nil.
func controlOf(ctx context.Context) *Control {
	c, _ := ctx.Value(controlKey{}).(*Control)
	return c
}

// apply adds c to the directives of the request's header.
func (c *Control) apply(req *rules.Request) {
	req.NoStore = req.NoStore || c.NoStore
	req.OnlyIfCached = req.OnlyIfCached || c.Mode == ModeCacheOnly
	req.Refresh, req.AllowStale, req.Lifetime = c.Mode == ModeRefresh, c.MaxStale, max(c.Lifetime, 0)
	req.StaleWhileRevalidate = c.StaleWhileRevalidate
}
