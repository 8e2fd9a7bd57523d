package cachecontrol

import (
	"sync"
	"time"
)

// maxRefreshed limits the keys that a refreshed remembers. Beyond it, some responses expire before they are refreshed.
const maxRefreshed = 4096

// refreshed remembers the responses that were refreshed before they expired, so that a refresh that changes nothing is not tried
// again before they expire.
type refreshed struct {
	mu    sync.Mutex           // guards until
	until map[string]time.Time // time of expiry, by key
}

// claim reports whether the key is not claimed at present. If so, it claims the key until the given time.
func (r *refreshed) claim(key string, now, until time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.until[key]) {
		return false
	}
	if len(r.until) >= maxRefreshed {
		for k, end := range r.until {
			if !now.Before(end) {
				delete(r.until, k)
			}
		}
		if len(r.until) >= maxRefreshed {
			return false
		}
	}
	if r.until == nil {
		r.until = make(map[string]time.Time)
	}
	r.until[key] = until
	return true
}

// release takes a claim back.
func (r *refreshed) release(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.until, key)
}
