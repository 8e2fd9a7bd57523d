package storage

import (
	"sync"
	"time"
)

// leases are the leases of a DictCache.
type leases struct {
	mu   sync.Mutex             // guards held
	held map[string]*time.Timer // ends the lease of each key
}

// take is described at Leaser.
func (l *leases) take(key string, d time.Duration) (release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] != nil {
		return nil, false
	}
	if l.held == nil {
		l.held = make(map[string]*time.Timer)
	}
	var timer *time.Timer
	release = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[key] == timer {
			timer.Stop()
			delete(l.held, key)
		}
	}
	timer = time.AfterFunc(d, release)
	l.held[key] = timer
	return release, true
}
