// Package invalidation remembers which responses must not be stored any more when their bodies have arrived: those
// whose URL was invalidated since they were requested, and those that a more recent response has replaced.
package invalidation

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// maxKeys limits the keys that a Log remembers.
const maxKeys = 4096

var seed = maphash.MakeSeed()

// Log remembers the keys that were invalidated lately. It counts time in invalidations. The zero value is ready to use.
type Log struct {
	now atomic.Uint64 // changed with mu held, after all and last are up to date

	mu   sync.Mutex        // guards all and last
	all  uint64            // time at which every key counts as invalidated
	last map[uint64]uint64 // time of the last invalidation of each key, by hash
}

// Now returns the current time, for a later call of Since.
func (l *Log) Now() uint64 { return l.now.Load() }

// Add records that a key is invalidated. If there are too many keys, it forgets them and treats all keys as invalidated
// now.
//
// start is the time of a request that invalidates its own key, or 0. Add returns a time for this request that is as
// good, so that Since reports only what others invalidate.
func (l *Log) Add(key string, start uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now.Load() + 1
	hash := maphash.String(seed, key)
	if l.all <= start && l.last[hash] <= start {
		start = now
	}
	if len(l.last) >= maxKeys {
		l.last, l.all = nil, now
	}
	if l.last == nil {
		l.last = make(map[uint64]uint64)
	}
	l.last[hash] = now
	l.now.Store(now)
	return start
}

// Since reports whether the key was invalidated after Now returned start.
func (l *Log) Since(key string, start uint64) bool {
	if l.now.Load() == start {
		return false // no key was invalidated
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all > start || l.last[maphash.String(seed, key)] > start
}
