package cachecontrol

import (
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
)

// refreshed remembers the responses that were refreshed before they expired, so that a refresh that changes nothing is not tried
// again before they expire.
type refreshed struct {
	mu     sync.Mutex          // guards expiry
	expiry lossy.Timed[expiry] // by hash of the key
}

// expiry is the time when a response expires.
type expiry struct{ time.Time }

func (e expiry) End() time.Time { return e.Time }

// claim reports whether the key is not claimed at present. If so, it claims the key until the given time.
func (r *refreshed) claim(key string, now, until time.Time) bool {
	hash := lossy.Hash(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.expiry.Get(hash).Time) {
		return false
	}
	r.expiry.Put(hash, expiry{until})
	return true
}

// release takes a claim back.
func (r *refreshed) release(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expiry.Delete(lossy.Hash(key))
}
