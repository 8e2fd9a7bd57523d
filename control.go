package cachecontrol

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// Control says how the cache treats one request: see WithControl. It comes on top of what the request's header and the
// stored response say, and the stricter of them counts: what an origin forbids, with no-store, no-cache or
// must-revalidate, no Control allows. The origin sees nothing of it. The zero value changes nothing.
type Control struct {
	// Bypass has the cache neither look up nor store. A method that is unsafe still invalidates what is stored
	// (RFC 9111, section 4.4).
	Bypass bool

	// Refresh has the origin asked whatever is stored: with a validation, where what is stored can be
	// validated. The answer is stored. It goes no further than the next cache on the way, of which it says
	// nothing; the header field Cache-Control: no-cache tells those as well. Where the origin fails, a
	// stored response stands in as far as AllowStale goes.
	Refresh bool

	// OnlyIfCached has the cache answer from what it has, or with 504. Nothing goes out, whatever the method is,
	// and whatever else the Control says; nothing is revalidated in the background either.
	OnlyIfCached bool

	// NoStore has nothing of the answer stored. A stored response may answer, and goes if the origin sends
	// another.
	NoStore bool

	// AllowStale is how long a stored response may have been stale and answer without being validated; negative:
	// any time. Never where the response forbids it with no-cache or must-revalidate, in a shared cache
	// with proxy-revalidate or s-maxage (RFC 9111, section 4.2.4), nor where the request's own header
	// wants it fresher.
	AllowStale time.Duration

	// Lifetime is a freshness lifetime in place of the response's own, compared with its age as max-age is; 0 or
	// less: none. It holds for the response that is found, for this request, and is stored with the one that
	// comes from the origin, for those that follow. The next answer of the origin, a 304 included, is
	// judged anew.
	//
	// It may be shorter or longer than what the response says. It is only ever shorter where the response
	// says a lifetime and forbids stale use, as above. It permits storing nothing that the origin forbids
	// to be stored, nor a status that is not cacheable by default, unless Transport.CacheableStatusCodes names it.
	Lifetime time.Duration

	// Partition is a part of the key: what is stored for one partition is never found, changed or invalidated by
	// a request of another. It can be any string, and is hashed. It adds to Transport.Partition.
	Partition string
}

type controlKey struct{}

// WithControl returns a context whose requests the cache treats as c says. It takes the place of a Control that ctx
// has already, but for that one's Partition, which stays unless c names one: code that knows nothing of
// partitions cannot leave its own. Every Transport that a request passes obeys it.
func WithControl(ctx context.Context, c Control) context.Context {
	if outer := controlOf(ctx); outer != nil && c.Partition == "" {
		c.Partition = outer.Partition
	}
	return context.WithValue(ctx, controlKey{}, &c)
}

// controlOf returns the Control of a context, or nil.
func controlOf(ctx context.Context) *Control {
	c, _ := ctx.Value(controlKey{}).(*Control)
	return c
}

// apply adds what the program wants to what the request's header says.
func (c *Control) apply(req *rfc9111.Request) {
	req.NoStore = req.NoStore || c.NoStore
	req.OnlyIfCached = req.OnlyIfCached || c.OnlyIfCached
	req.Refresh, req.AllowStale, req.Lifetime = c.Refresh, c.AllowStale, max(c.Lifetime, 0)
}

// partitionOf returns what a request's partition adds to its key: nothing where it is empty, and otherwise a hash, so that
// no partition can look like another one, or like a key.
func (e *engine) partitionOf(req *http.Request, c *Control) string {
	if e.partition == nil && c == nil {
		return ""
	}
	var user, program string
	if e.partition != nil {
		user = e.partition(req)
	}
	if c != nil {
		program = c.Partition
	}
	if user == "" && program == "" {
		return ""
	}
	// The length says where the one ends and the other begins.
	sum := sha256.Sum256([]byte(strconv.Itoa(len(user)) + ":" + user + program))
	return partitionMark + hex.EncodeToString(sum[:])
}
