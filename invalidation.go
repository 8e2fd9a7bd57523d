package cachecontrol

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// maxInvalidations limits the keys that an invalidations remembers.
const maxInvalidations = 4096

// invalidations remembers the keys that were invalidated lately, so that a response that was being received at the time is not
// stored. It counts time in invalidations.
type invalidations struct {
	seed maphash.Seed
	now  atomic.Uint64 // changed with mu held, after all and last are up to date

	mu   sync.Mutex        // guards all and last
	all  uint64            // time at which every key counts as invalidated
	last map[uint64]uint64 // time of the last invalidation of each key, by hash
}

// start returns the current time, for a later call of since.
func (i *invalidations) start() uint64 { return i.now.Load() }

// add records that a key is invalidated. If there are too many keys, it forgets them and treats all keys as invalidated now.
func (i *invalidations) add(key string) { i.addBy(key, 0) }

// addBy is add for a request that was sent at start. It returns a time for this request that is as good, so that since reports
// only what others invalidate.
func (i *invalidations) addBy(key string, start uint64) uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now.Load() + 1
	hash := maphash.String(i.seed, key)
	if i.all <= start && i.last[hash] <= start {
		start = now
	}
	if len(i.last) >= maxInvalidations {
		i.last, i.all = nil, now
	}
	if i.last == nil {
		i.last = make(map[uint64]uint64)
	}
	i.last[hash] = now
	i.now.Store(now)
	return start
}

// since reports whether the key was invalidated after start returned that time.
func (i *invalidations) since(key string, start uint64) bool {
	if i.now.Load() == start {
		return false // no key was invalidated
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.all > start || i.last[maphash.String(i.seed, key)] > start
}
