package storage

import (
	"context"
	"sync"
	"time"
)

// leases are the leases of a DictCache.
type leases struct {
	mu   sync.Mutex             // guards held
	held map[string]*time.Timer // ends the lease of each key
}

// Lease implements Leaser, for Transports that share a DictCache.
func (c *DictCache) Lease(_ context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if c == nil {
		return nil, false, ErrClosed
	}
	release, ok = c.leases.take(key, d)
	return release, ok, nil
}

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
