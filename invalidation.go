package cachecontrol

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// maxInvalidations is how many keys an invalidations remembers.
const maxInvalidations = 4096

// invalidations remembers which keys were invalidated lately, so that a response that was under way meanwhile is not
// stored. It counts time in invalidations.
type invalidations struct {
	seed maphash.Seed
	now  atomic.Uint64 // changed under the lock, once what follows tells of the new time

	mu   sync.Mutex        // guards what follows
	all  uint64            // every key counts as invalidated at this time
	last map[uint64]uint64 // the time of each key's last invalidation, by the key's hash
}

// start returns the time, to be asked about later.
func (i *invalidations) start() uint64 { return i.now.Load() }

// add invalidates a key. If there are too many to remember, it forgets them, and takes all keys for invalidated.
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

// since says whether the key was invalidated after start returned that time.
func (i *invalidations) since(key string, start uint64) bool {
	if i.now.Load() == start {
		return false // nothing was
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.all > start || i.last[maphash.String(i.seed, key)] > start
}

// undeleted remembers what the store could not delete: it is not used any more, whether it is still there or not. What was
// asked for later is. It is bounded as invalidations are: where there are too many, it takes all for undeleted that
// was asked for until then.
type undeleted struct {
	some atomic.Bool // there are any

	mu   sync.Mutex // guards what follows
	all  time.Time
	keys map[string]deletion
}

type deletion struct{ due, tried time.Time }

// add remembers that a deletion has failed.
func (u *undeleted) add(key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.some.Store(true)
	if _, ok := u.keys[key]; !ok && len(u.keys) >= maxInvalidations {
		u.keys, u.all = nil, now
	}
	if u.keys == nil {
		u.keys = make(map[string]deletion)
	}
	u.keys[key] = deletion{now, now}
}

// forget is told that one has succeeded.
func (u *undeleted) forget(key string) {
	if !u.some.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.keys, key)
	u.some.Store(len(u.keys) > 0 || !u.all.IsZero())
}

// holds says whether what was asked for at a time is among what should have been deleted, and, where the last try was
// longer ago than the pause, whether to try again.
func (u *undeleted) holds(key string, asked, now time.Time, pause time.Duration) (gone, again bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, ok := u.keys[key]
	if !ok || asked.After(d.due) {
		return !u.all.IsZero() && !asked.After(u.all), false
	}
	if again = now.Sub(d.tried) >= pause; again {
		d.tried = now
		u.keys[key] = d
	}
	return true, again
}
