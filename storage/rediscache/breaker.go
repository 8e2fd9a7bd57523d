package rediscache

import (
	"sync"
	"time"
)

// breaker keeps calls from waiting, one after the other, for a server that does not answer. Its rule: after a call that
// got no answer, calls fail at once for the length of a pause; then one call is let through, and the others only once
// that one was answered.
type breaker struct {
	mu    sync.Mutex // guards until
	until time.Time  // calls fail before; zero: the last call was answered
}

// allow says whether a call may be made.
func (b *breaker) allow(now time.Time, pause time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(pause) // for the others
	return true
}

// suspended says whether calls fail at present.
func (b *breaker) suspended(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// answered and failed say how a call ended.
func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
}

func (b *breaker) failed(now time.Time, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = now.Add(pause)
}
