// Package lease makes one of the processes that share a store ask the origin, while the others wait.
package lease

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
)

// A caller that waits for a lease asks for it again after firstPause, and then after longer pauses up to maxPause. Each is
// shortened at random by up to a half, so that the processes do not ask at the same moments.
const (
	firstPause = 10 * time.Millisecond
	maxPause   = 250 * time.Millisecond
)

// Leases takes the leases of a store. A nil *Leases stands for a store without leases: there is no other holder.
type Leases struct {
	store   *reliable.Store
	limit   time.Duration
	term    time.Duration
	closing chan struct{}

	mu     sync.Mutex // guards the following fields
	closed bool
	held   map[*held]struct{}
}

// held is a lease that was given.
type held struct{ release func() }

// New returns the leases of store, or nil if it is no storage.Leaser. Wait waits for at most limit, or without limit if
// that is negative. A lease ends by itself after term.
func New(store *reliable.Store, limit, term time.Duration) *Leases {
	if !store.HasLeases() {
		return nil
	}
	return &Leases{store: store, limit: limit, term: term, closing: make(chan struct{}), held: make(map[*held]struct{})}
}

// Try takes the lease of key. It returns false if another holder has it. If the store fails, it returns true: the caller
// goes on as if there were no other. release is not nil; only its first call has an effect. It may wait for the store.
func (l *Leases) Try(ctx context.Context, key string) (release func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	given, ok, err := l.store.Lease(ctx, key, l.term)
	if !ok {
		return func() {}, err != nil
	}
	h := &held{given}
	l.mu.Lock()
	l.held[h] = struct{}{}
	closed := l.closed
	l.mu.Unlock()
	release = func() {
		l.mu.Lock()
		delete(l.held, h)
		l.mu.Unlock()
		given()
	}
	if closed {
		release()
	}
	return release, true
}

// Wait is like Try, but waits while another holder has the lease. It returns false after the limit. It returns true, without
// a lease, if ctx ends or l is closed.
func (l *Leases) Wait(ctx context.Context, key string) (release func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	var timeout <-chan time.Time
	if l.limit >= 0 {
		timer := time.NewTimer(l.limit)
		defer timer.Stop()
		timeout = timer.C
	}
	for pause := firstPause; ; pause = min(pause*3/2, maxPause) {
		if release, ok := l.Try(ctx, key); ok {
			return release, true
		}
		next := time.NewTimer(pause - rand.N(pause/2))
		select {
		case <-next.C:
			continue
		case <-timeout:
			next.Stop()
			return func() {}, false
		case <-ctx.Done():
		case <-l.closing:
		}
		next.Stop()
		return func() {}, true
	}
}

// Close releases all leases, and ends all calls of Wait. It may be called more than once.
func (l *Leases) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	all := l.held
	l.held = make(map[*held]struct{})
	l.mu.Unlock()
	if first {
		close(l.closing)
	}
	for h := range all {
		h.release()
	}
}
