// Package breaker prevents a store from waiting in every call for a server that does not answer.
package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// leastFailures is the number of calls without an answer, one after the other, after which a server is given up. They
	// must extend over leastTimeouts timeouts, because several calls fail at once if a server stalls for a moment.
	leastFailures = 3
	leastTimeouts = 2

	// mostTimeouts is the longest pause between two attempts to reach a server that was given up. The first pause is one
	// timeout, and each is twice as long as the one before.
	mostTimeouts = 10
)

// Breaker decides whether a server may be called. It opens, so that calls fail at once, if several calls in a row got no
// answer. After a pause, the next caller makes it probe the server in the background. It closes when the server answers.
//
// The zero value is closed. All methods are safe for concurrent use.
type Breaker struct {
	troubled atomic.Bool // the fields below are not all zero

	mu       sync.Mutex // guards the following fields
	failures int        // calls without an answer since the last answer
	since    time.Time  // the first of them
	open     bool
	until    time.Time     // the end of the pause
	pause    time.Duration // the last one; it is reset by a call that was answered, and not by a probe
	probing  bool
}

// Allow reports whether a call may be made. timeout is that of a call. If the breaker is open and the pause is over, Allow
// calls probe in the background, which reports whether the server answers.
func (b *Breaker) Allow(timeout time.Duration, probe func() bool) bool {
	if !b.troubled.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && !b.probing && !time.Now().Before(b.until) {
		b.probing = true
		go func() {
			answered := false
			defer func() { b.probed(answered, timeout) }()
			answered = probe()
		}()
	}
	return !b.open
}

func (b *Breaker) probed(answered bool, timeout time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch {
	case !b.open: // another call was answered meanwhile
	case answered:
		b.open, b.failures = false, 0
	default:
		b.rest(timeout)
	}
}

// rest opens the breaker for a pause.
func (b *Breaker) rest(timeout time.Duration) {
	b.pause = max(timeout, min(2*b.pause, mostTimeouts*timeout))
	b.open, b.until = true, time.Now().Add(b.pause)
}

// Open reports whether the server is given up.
func (b *Breaker) Open() bool {
	if !b.troubled.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// Answered and Failed report the result of a call with a timeout.
func (b *Breaker) Answered() {
	if !b.troubled.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.open, b.pause = 0, false, 0
	b.troubled.Store(b.probing)
}

func (b *Breaker) Failed(timeout time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubled.Store(true)
	if b.failures++; b.failures == 1 {
		b.since = time.Now()
	}
	if !b.open && b.failures >= leastFailures && time.Since(b.since) >= leastTimeouts*timeout {
		b.rest(timeout)
	}
}
