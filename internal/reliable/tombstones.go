package reliable

import (
	"sync"
	"sync/atomic"
	"time"

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
}

type tombstone struct{ failed, tried time.Time }

// add records that the deletion of key has failed.
func (t *tombstones) add(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.any.Store(true)
	if _, ok := t.keys[key]; !ok && len(t.keys) >= maxTombstones {
		t.keys, t.all = nil, now
	}
	if t.keys == nil {
		t.keys = make(map[string]tombstone)
	}
	t.keys[key] = tombstone{now, now}
}

// remove records that the deletion of key has succeeded.
func (t *tombstones) remove(key string) {
	if !t.any.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, key)
	t.any.Store(len(t.keys) > 0 || !t.all.IsZero())
}

// cover reports whether the entry under key was requested before a deletion failed.
func (t *tombstones) cover(key string, e *storage.Entry) bool {
	requested := e.RequestTime
	if requested.IsZero() {
		requested = e.ResponseTime
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	until := t.all
	if one, ok := t.keys[key]; ok && one.failed.After(until) {
		until = one.failed
	}
	return !until.IsZero() && !requested.After(until)
}

// retry reports whether the deletion of key should be tried again, because the last attempt is longer ago than pause.
func (t *tombstones) retry(key string, now time.Time, pause time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.keys[key]
	if !ok || now.Sub(one.tried) < pause {
		return false
	}
	one.tried = now
	t.keys[key] = one
	return true
}
