package invalidation

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Commits remembers the responses stored lately, so that a response whose body arrives late does not replace a more
// recent one (RFC 9111, section 4). It has a fixed size; a new response replaces an older one in its slot. The zero
// value is ready to use.
type Commits struct {
	now atomic.Uint64 // grows with each request to the origin and each response that is stored

	mu   sync.Mutex // guards last
	last [1024]commit
}

// Response is a response as Commits compares it.
type Response struct {
	key   uint64 // hash of the key that it is stored under
	vary  uint64 // hash of its selecting fields; 0 if it has none
	date  time.Time
	order uint64 // when the request was sent, in the count of Commits
}

type commit struct {
	Response
	stored uint64 // when the response was stored, in the same count; 0 if there is none
}

// Next returns the order of a request that is about to be sent.
func (c *Commits) Next() uint64 { return c.now.Add(1) }

// NewResponse returns a response that is to be stored under key. order is that of its request.
func NewResponse(key string, vary []storage.Field, date time.Time, order uint64) Response {
	r := Response{key: maphash.String(seed, key), date: date, order: order}
	if len(vary) > 0 {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, f := range vary {
			h.WriteString(f.Name)
			h.WriteByte(0)
			if f.Present {
				h.WriteString(f.Value)
			}
			h.WriteByte(0)
		}
		r.vary = h.Sum64() | 1
	}
	return r
}

// HasNewer reports whether a more recent response than r was stored under its key since r was requested. The caller
// holds the key's lock until it has called Add.
func (c *Commits) HasNewer(r Response) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := &c.last[r.key%uint64(len(c.last))]
	switch {
	case last.key != r.key, last.stored <= r.order:
		return false
	case last.vary != 0 && r.vary == 0:
		return true // one with Vary is preferred (RFC 9111, section 4.1), and without this one, the variants stay
	case last.vary != r.vary && last.vary != 0:
		return false // another variant
	case !last.date.Equal(r.date):
		return last.date.After(r.date)
	}
	return last.order > r.order
}

// Add records that r was stored.
func (c *Commits) Add(r Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[r.key%uint64(len(c.last))] = commit{r, c.now.Add(1)}
}
