package cachecontrol

import (
	"hash/maphash"
	"sync"
	"time"
)

// keyLocks has a lock for each key. It is held while a response is checked and stored, and while a stored response is
// invalidated. A caller waits no longer than a call of the store may take.
//
// A DictCache does not block, so its keys share a few mutexes. For other stores each key has its own lock, so that a store that
// hangs does not block other keys.
type keyLocks struct {
	seed   maphash.Seed
	shared bool
	wait   time.Duration

	few [64]sync.Mutex

	mu   sync.Mutex // guards held
	held map[string]*keyLock
}

type keyLock struct {
	taken chan struct{} // holds one element while the lock is held
	users int           // number of callers that hold the lock or wait for it
}

// lockedKey is a lock that is held. The zero value is no lock.
type lockedKey struct {
	mutex *sync.Mutex
	locks *keyLocks
	key   string
}

// lock locks a key. It reports false if the wait took too long.
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

// leave removes one user of a lock, and the lock if it was the last one.
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
