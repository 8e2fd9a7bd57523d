// Package keylock locks keys.
package keylock

import (
	"hash/maphash"
	"sync"
	"time"
)

// Locks is a set of locks, one for each key.
type Locks struct {
	seed maphash.Seed
	few  []sync.Mutex // if not nil, these are shared by all keys

	mu   sync.Mutex // guards held
	held map[string]*lock
}

type lock struct {
	taken chan struct{} // holds one element while the lock is held
	users int           // number of callers that hold the lock or wait for it
}

// Held is a lock that is held. The zero value is no lock.
type Held struct {
	mutex *sync.Mutex
	locks *Locks
	key   string
	lock  *lock
}

// New returns Locks. If brief is true, no holder of a lock blocks. The keys then share a few mutexes. Otherwise each key
// has its own lock, so that a holder that hangs does not block other keys.
func New(brief bool) *Locks {
	l := &Locks{seed: maphash.MakeSeed(), held: make(map[string]*lock)}
	if brief {
		l.few = make([]sync.Mutex, 64)
	}
	return l
}

// Lock locks a key. It reports false if another holder has kept the lock for d.
func (l *Locks) Lock(key string, d time.Duration) (Held, bool) {
	if l.few != nil {
		m := &l.few[maphash.String(l.seed, key)%uint64(len(l.few))]
		m.Lock()
		return Held{mutex: m}, true
	}
	h := Held{locks: l, key: key, lock: l.use(key)}
	select {
	case h.lock.taken <- struct{}{}:
		return h, true
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case h.lock.taken <- struct{}{}:
		return h, true
	case <-timer.C:
		l.leave(key, h.lock)
		return Held{}, false
	}
}

// use returns the lock of a key, with one more user.
func (l *Locks) use(key string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	if k == nil {
		k = &lock{taken: make(chan struct{}, 1)}
		l.held[key] = k
	}
	k.users++
	return k
}

// leave removes one user of a lock, and the lock if it was the last one.
func (l *Locks) leave(key string, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}

// Unlock releases the lock.
func (h Held) Unlock() {
	switch {
	case h.mutex != nil:
		h.mutex.Unlock()
	case h.lock != nil:
		<-h.lock.taken
		h.locks.leave(h.key, h.lock)
	}
}
