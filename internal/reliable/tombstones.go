package reliable

import (
	"context"
	"errors"
	"hash/maphash"
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

// leastRetry and mostRetry are the first and the longest pause before failed deletions are tried again.
const (
	leastRetry = 500 * time.Millisecond
	mostRetry  = 5 * time.Second
)

// retryDeletions tries failed deletions again until they succeed, or the Store is closed, when it tries them once more.
func (s *Store) retryDeletions() {
	pause := leastRetry
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		last := false
		select {
		case <-timer.C:
		case <-s.stop:
			last = true
		}
		for {
			key, again := s.tombstones.next()
			if again == nil {
				return
			}
			if s.retry(key, again) != nil {
				break
			}
			pause = leastRetry
		}
		if last {
			return
		}
		timer.Reset(pause)
		pause = min(2*pause, mostRetry)
	}
}

func (s *Store) retry(key string, again func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	began := time.Now()
	err := again(ctx)
	if err != nil && !errors.Is(err, storage.ErrClosed) {
		s.Failed(ctx, "delete", key, err)
		return err
	}
	s.tombstones.remove(key, began)
	return nil
}

// invalidated remembers when keys were invalidated by this process, so that the responses are not used that were requested
// before, even if the store has lost the invalidation: a replica that is behind has taken the place of its server. It has
// a fixed size; a key replaces another one.
type invalidated struct {
	seed  maphash.Seed
	slots [4096]atomic.Pointer[invalidatedKey]
}

type invalidatedKey struct {
	hash uint64
	at   time.Time
}

func (v *invalidated) add(key string, at time.Time) {
	hash := maphash.String(v.seed, key)
	v.slots[hash%uint64(len(v.slots))].Store(&invalidatedKey{hash, at})
}

// covers reports whether an entry under key was requested before key was invalidated.
func (v *invalidated) covers(key string, e *storage.Entry) bool {
	hash := maphash.String(v.seed, key)
	k := v.slots[hash%uint64(len(v.slots))].Load()
	return k != nil && k.hash == hash && requested(e).Before(k.at)
}

// Invalidated records that a key was invalidated. Entries that were requested before are not returned any more.
func (s *Store) Invalidated(key string, at time.Time) {
	if s.traits.Local { // nothing that was deleted comes back
		return
	}
	v := s.invalidated.Load()
	if v == nil {
		s.invalidated.CompareAndSwap(nil, &invalidated{seed: maphash.MakeSeed()})
		v = s.invalidated.Load()
	}
	v.add(key, at)
}

// Stored records that e was stored under key in place of what should have been deleted. e is current even if it was requested
// before key was invalidated: it is the response to the request that invalidated it.
func (s *Store) Stored(key string, e *storage.Entry) {
	s.tombstones.remove(key, requested(e))
	if v := s.invalidated.Load(); v != nil && v.covers(key, e) {
		v.add(key, requested(e))
	}
}
