// Package breaker prevents a store from waiting in every call for a server that does not answer.
package breaker

import (
	"sync"
	"time"
)

// Breaker decides whether a server may be called. After a call without an answer, calls fail at once for the
// length of a pause. Then one call is allowed, and the others only after that call was answered.
//
// The zero value allows all calls. All methods are safe for concurrent use.
type Breaker struct {
	mu    sync.Mutex // guards until
	until time.Time  // calls fail before; zero if the last call was answered
}

// Allow reports whether a call may be made.
func (b *Breaker) Allow(now time.Time, pause time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(pause) // for other callers
	return true
}

// Suspended reports whether calls fail at present.
func (b *Breaker) Suspended(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// Answered and Failed report the result of a call.
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
