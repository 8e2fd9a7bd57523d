package cachecontrol

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// recents remembers what was stored lately, so that a response whose body takes long to come does not replace a more recent one
// (RFC 9111, section 4). It has a fixed size, and forgets. Stores that can compare with what they hold do so, too: see
// storage.Writer.
type recents struct {
	seed maphash.Seed
	now  atomic.Uint64 // grows with each request to the origin and each response that is stored

	mu   sync.Mutex // guards what follows
	last [1024]recent
}

// recent is a response as recents compares them.
type recent struct {
	place  uint64 // the hash of the key that it is stored under
	vary   uint64 // the hash of what selects it; 0: nothing does
	date   time.Time
	asked  uint64 // when the request was sent, as recents counts
	stored uint64 // when the response was stored; 0: it is not
}

// ask returns the time of a request that is about to be sent.
func (r *recents) ask() uint64 { return r.now.Add(1) }

// of returns what there is to compare of an entry.
func (r *recents) of(place string, vary []serialize.Field, date time.Time, asked uint64) recent {
	n := recent{place: maphash.String(r.seed, place), date: date, asked: asked}
	if len(vary) > 0 {
		var h maphash.Hash
		h.SetSeed(r.seed)
		for _, f := range vary {
			h.WriteString(f.Name)
			h.WriteByte(0)
			if f.Present {
				h.WriteString(f.Value)
			}
			h.WriteByte(0)
		}
		n.vary = h.Sum64() | 1
	}
	return n
}

// surpass reports whether a more recent response than n was stored under its key since n was asked for. The caller holds the
// key's lock.
func (r *recents) surpass(n recent) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := &r.last[n.place%uint64(len(r.last))]
	switch {
	case last.place != n.place, last.stored <= n.asked:
		return false
	case last.vary != n.vary && last.vary != 0 && n.vary != 0:
		return false // another variant
	case !last.date.Equal(n.date):
		return last.date.After(n.date)
	}
	return last.asked > n.asked
}

// add remembers that n was stored.
func (r *recents) add(n recent) {
	n.stored = r.now.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[n.place%uint64(len(r.last))] = n
}
