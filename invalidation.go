package cachecontrol

import (
	"hash/maphash"
	"sync"
)

// maxInvalidations is how many keys an invalidations remembers.
const maxInvalidations = 4096

// invalidations remembers which keys were invalidated lately, so that a response that was under way meanwhile is not
// stored. It counts time in invalidations.
type invalidations struct {
	seed maphash.Seed

	mu   sync.Mutex // guards what follows
	now  uint64
	all  uint64            // every key counts as invalidated at this time
	last map[uint64]uint64 // the time of each key's last invalidation, by the key's hash
}

// start returns the time, to be asked about later.
func (i *invalidations) start() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// add invalidates a key. Where there are too many to remember, it forgets them, and takes all keys for invalidated.
func (i *invalidations) add(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now++
	if len(i.last) >= maxInvalidations {
		i.last, i.all = nil, i.now
	}
	if i.last == nil {
		i.last = make(map[uint64]uint64)
	}
	i.last[maphash.String(i.seed, key)] = i.now
}

// since says whether the key was invalidated after start returned that time.
func (i *invalidations) since(key string, start uint64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now == start {
		return false
	}
	return i.all > start || i.last[maphash.String(i.seed, key)] > start
}
