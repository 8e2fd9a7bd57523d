// Package breaker keeps a store from waiting, one call after the other, for a server that does not answer.
package breaker

import (
	"sync"
	"time"
)

// Breaker stands before the calls of one server. Its rule: after a call that got no answer, calls fail at once for the
// length of a pause; then one call is let through, and the others only once that one was answered.
//
// The zero value lets calls through. All methods are safe for concurrent use.
type Breaker struct {
	mu    sync.Mutex // guards until
	until time.Time  // calls fail before; zero: the last call was answered
}

// Allow says whether a call may be made.
func (b *Breaker) Allow(now time.Time, pause time.Duration) bool {
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

// Suspended says whether calls fail at present.
func (b *Breaker) Suspended(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// Answered and Failed say how a call ended.
func (b *Breaker) Answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
}

func (b *Breaker) Failed(now time.Time, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = now.Add(pause)
}
