package cachecontrol

import (
	"sync"
	"time"
)

// maxRefreshed is how many keys a refreshed remembers. Where there are more, some expire before they are refreshed.
const maxRefreshed = 4096

// refreshed remembers which responses were refreshed ahead of their end, so that a refresh that brings nothing new is
// not tried again before that end.
type refreshed struct {
	mu    sync.Mutex           // guards what follows
	until map[string]time.Time // the end, by key
}

// claim says whether nobody has claimed the key for a time that holds now. If so, it is claimed until then.
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

// refreshLater has a fresh response that will expire soon validated in the background, once.
func (x *exchange) refreshLater(c *candidate, ttl time.Duration) {
	if x.isHead() {
		return
	}
	now := time.Now()
	if x.refreshed.claim(c.key, now, now.Add(ttl)) && !x.revalidateLater(c) {
		x.refreshed.release(c.key)
	}
}
