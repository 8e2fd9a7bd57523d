package cachecontrol

import (
	"hash/maphash"
	"sync"
	"time"
)

// keyLocks has a lock for each key, under which is decided whether a response is stored, and under which what is stored is
// invalidated. A caller does not wait for longer than the store may take for a call.
//
// A DictCache waits for nothing, so that keys can share a few mutexes. For other stores each key has a lock of its own: a store
// that hangs holds up no other key.
type keyLocks struct {
	seed   maphash.Seed
	shared bool
	wait   time.Duration

	few [64]sync.Mutex

	mu   sync.Mutex // guards what follows
	held map[string]*keyLock
}

type keyLock struct {
	taken chan struct{} // holds one while somebody has the lock
	users int           // who has it, and who waits for it
}

// lockedKey is a lock that is held. The zero value is none.
type lockedKey struct {
	mutex *sync.Mutex
	locks *keyLocks
	key   string
}

// lock takes the lock of a key. It reports false if it has waited for too long.
func (l *keyLocks) lock(key string) (lockedKey, bool) {
	if l.shared {
		m := &l.few[maphash.String(l.seed, key)%uint64(len(l.few))]
		m.Lock()
		return lockedKey{mutex: m}, true
	}
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		k = &keyLock{taken: make(chan struct{}, 1)}
		if l.held == nil {
			l.held = make(map[string]*keyLock)
		}
		l.held[key] = k
	}
	k.users++
	l.mu.Unlock()
	select {
	case k.taken <- struct{}{}:
		return lockedKey{locks: l, key: key}, true
	default:
	}
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case k.taken <- struct{}{}:
		return lockedKey{locks: l, key: key}, true
	case <-timer.C:
		l.leave(key)
		return lockedKey{}, false
	}
}

// leave forgets a lock that has no more users.
func (l *keyLocks) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}

func (k lockedKey) unlock() {
	switch {
	case k.mutex != nil:
		k.mutex.Unlock()
	case k.locks != nil:
		k.locks.mu.Lock()
		taken := k.locks.held[k.key].taken
		k.locks.mu.Unlock()
		<-taken
		k.locks.leave(k.key)
	}
}
