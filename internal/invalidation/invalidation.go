// Package invalidation remembers which responses must not be stored any more when their bodies have arrived: those
// whose URL was invalidated since they were requested, and those that a more recent response has replaced.
package invalidation

import (
	"hash/maphash"
	"slices"
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

// An Epoch is when a request was sent, in the time of a Log. What the request itself invalidates does not count as
// invalidated since then.
type Epoch struct {
	sent uint64
	own  []added // the last invalidation of each key, if all since sent were by the request itself
}

// added is the time of the invalidation of a key.
type added struct{ hash, time uint64 }

// Now returns the Epoch of a request that is sent now.
func (l *Log) Now() Epoch { return Epoch{sent: l.now.Load()} }

// Add records that a key is invalidated, by a request that was sent in this epoch. It returns the epoch to use for the
// request from now on. If there are too many keys, Add forgets them and treats all keys as invalidated now.
func (l *Log) Add(key string, by Epoch) Epoch {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now.Load() + 1
	hash := maphash.String(seed, key)
	if !l.since(hash, by) {
		by.own = append(slices.DeleteFunc(slices.Clone(by.own), func(a added) bool { return a.hash == hash }), added{hash, now})
	}
	if len(l.last) >= maxKeys {
		l.last, l.all = nil, now
	}
	if l.last == nil {
		l.last = make(map[uint64]uint64)
	}
	l.last[hash] = now
	l.now.Store(now)
	return by
}

// Since reports whether the key was invalidated after an epoch began.
func (l *Log) Since(key string, e Epoch) bool {
	if l.now.Load() == e.sent {
		return false // no key was invalidated
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since(maphash.String(seed, key), e)
}

// since is Since for the hash of a key. The caller holds mu.
func (l *Log) since(hash uint64, e Epoch) bool {
	last := l.last[hash]
	return l.all > e.sent || last > e.sent && !slices.Contains(e.own, added{hash, last})
}
