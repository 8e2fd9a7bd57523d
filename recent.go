package cachecontrol

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// recents remembers the responses stored lately, so that a response whose body arrives late does not replace a more recent one
// (RFC 9111, section 4). It has a fixed size; a new response replaces an older one in its slot. Some stores also compare with the
// stored entry: see comparingWriter and reliable.Store.
type recents struct {
	seed maphash.Seed
	now  atomic.Uint64 // grows with each request to the origin and each response that is stored

	mu   sync.Mutex // guards last
	last [1024]recent
}

// recent is a response as recents compares them.
type recent struct {
	place  uint64 // hash of the key that it is stored under
	vary   uint64 // hash of its selecting fields; 0 if it has none
	date   time.Time
	asked  uint64 // when the request was sent, in the count of recents
	stored uint64 // when the response was stored, in the same count; 0 if it is not stored
}

// ask returns the time of a request that is about to be sent.
func (r *recents) ask() uint64 { return r.now.Add(1) }

// of returns the properties of an entry that are compared.
func (r *recents) of(place string, vary []storage.Field, date time.Time, asked uint64) recent {
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
	case last.vary != 0 && n.vary == 0:
		return true // one with Vary is preferred (RFC 9111, section 4.1), and without this one, the variants stay
	case last.vary != n.vary && last.vary != 0:
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

// comparingWriter is a Writer that can compare the stored entry with a new one and store the new one in one step. A late response
// then does not replace an entry that another Transport or another process has stored in the meantime.
type comparingWriter interface {
	CommitIf(may func(now *storage.Entry) bool) error
}

// moreRecent reports whether now, which is stored, is more recent than late, which has this date: by Date, and if the dates are equal,
// by the time of the request. An entry that was received before late was requested is not more recent, whatever its Date. Neither is
// an entry that was received in the future, because a clock was wrong, nor one that should have been deleted. moreRecent does not
// call the store.
func (e *engine) moreRecent(now, late *storage.Entry, key string, date time.Time) bool {
	if !now.ResponseTime.After(late.RequestTime) || now.ResponseTime.After(time.Now()) {
		return false
	}
	if e.store.IsTombstoned(key, now) {
		return false
	}
	if d := e.policyOf(now).Date; !d.Equal(date) {
		return d.After(date)
	}
	return now.RequestTime.After(late.RequestTime)
}

// mayReplace reports whether the entry may replace now, which is stored. Another variant is moved instead of replaced.
func (r *recording) mayReplace(now *storage.Entry) bool {
	if r.entryKey == r.key && len(now.Vary) > 0 && len(r.entry.Vary) > 0 && !r.selectedLike(now.Vary) {
		return true
	}
	return !r.moreRecent(now, r.entry, r.entryKey, r.date)
}

// surpassed reports whether a more recent response is stored under another key of the same URL.
func (r *recording) surpassed(key string) bool {
	now := r.entryUnder(r.ctx, key)
	return now != nil && (len(now.Vary) == 0 || r.selectedLike(now.Vary)) && r.moreRecent(now, r.entry, key, r.date)
}

// put makes the entry visible, unless a more recent one is stored.
func (r *recording) put() error {
	switch w := r.Writer.(type) {
	case *storage.DictWriter:
		return w.CommitIf(r.mayReplace) // does not allocate, unlike the call through the interface below
	case comparingWriter:
		return w.CommitIf(r.mayReplace)
	}
	return r.Writer.Commit()
}
