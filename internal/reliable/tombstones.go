package reliable

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// maxTombstones limits the keys that a tombstones remembers.
const maxTombstones = 4096

// tombstones remembers the keys whose entries the store failed to delete. Such an entry is not used, unless it was
// requested after the failure. If there are too many keys, tombstones forgets them, and every entry that was requested
// until then counts as deleted.
type tombstones struct {
	any atomic.Bool // there is at least one

	mu   sync.Mutex // guards the following fields
	all  time.Time  // entries requested until then count as deleted
	keys map[string]tombstone
	busy bool // a goroutine tries the deletions again
}

type tombstone struct {
	failed time.Time
	again  func(context.Context) error // tries the deletion again
}

// add records that the deletion of key has failed. It reports whether the caller must start a goroutine that tries all
// deletions again.
func (t *tombstones) add(key string, now time.Time, again func(context.Context) error) (start bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.any.Store(true)
	if _, ok := t.keys[key]; !ok && len(t.keys) >= maxTombstones {
		t.keys, t.all = nil, now
	}
	if t.keys == nil {
		t.keys = make(map[string]tombstone)
	}
	t.keys[key] = tombstone{now, again}
	start, t.busy = !t.busy, true
	return start
}

// remove records that a deletion of key, which began at this time, has succeeded.
func (t *tombstones) remove(key string, began time.Time) {
	if !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.keys[key]; ok && !one.failed.After(began) {
		delete(t.keys, key)
	}
	t.any.Store(len(t.keys) > 0 || !t.all.IsZero())
}

// next returns one of the deletions that are to be tried again. If there is none, the goroutine that tries them ends.
func (t *tombstones) next() (key string, again func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, one := range t.keys {
		return key, one.again
	}
	t.busy = false
	return "", nil
}

// cover reports whether the entry under key was requested before a deletion failed.
func (t *tombstones) cover(key string, e *storage.Entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	until := t.all
	if one, ok := t.keys[key]; ok && one.failed.After(until) {
		until = one.failed
	}
	return !until.IsZero() && !requested(e).After(until)
}

// requested returns the time at which an entry was requested.
func requested(e *storage.Entry) time.Time {
	if e.RequestTime.IsZero() {
		return e.ResponseTime
	}
	return e.RequestTime
}

// invalidated remembers when keys were invalidated by this process, so that the responses are not used that were requested
// before, even if the store has lost the invalidation: a replica that is behind has taken the place of its server. If there
// are too many keys, it forgets those that were invalidated first. The zero value is empty.
type invalidated struct {
	mu   sync.Mutex
	keys lossy.Timed[invalidatedAt] // by hash of the key
}

type invalidatedAt time.Time

// End returns the time, for lossy.Timed.
func (t invalidatedAt) End() time.Time { return time.Time(t) }

func (v *invalidated) add(key string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys.Put(lossy.Hash(key), invalidatedAt(at))
}

// covers reports whether an entry under key was requested before key was invalidated.
func (v *invalidated) covers(key string, e *storage.Entry) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keys.Len() > 0 && requested(e).Before(v.keys.Get(lossy.Hash(key)).End())
}
