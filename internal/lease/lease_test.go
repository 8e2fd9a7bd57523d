package lease_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lease"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	limit = 10 * time.Second
	term  = 5 * time.Second
	key   = "http://example.com/"
)

func leasesOf(s storage.Store) *lease.Leases {
	return lease.New(reliable.New(reliable.Config{Store: s, Timeout: time.Second}), limit, term)
}

// One holder at a time has the lease, until it is released, runs out, or its Leases are closed.
func TestHolders(t *testing.T) {
	for name, end := range map[string]func(l *lease.Leases, release func()){
		"released":       func(_ *lease.Leases, release func()) { release() },
		"released twice": func(_ *lease.Leases, release func()) { release(); release() },
		"run out":        func(*lease.Leases, func()) { time.Sleep(term) },
		"closed":         func(l *lease.Leases, _ func()) { l.Close() },
		"closed twice":   func(l *lease.Leases, release func()) { l.Close(); l.Close(); release() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storage.NewDictCache()
				first, second := leasesOf(store), leasesOf(store)
				release, ok := first.Try(t.Context(), key)
				if !ok {
					t.Fatal("Try = false, want true")
				}
				if none, ok := second.Try(t.Context(), key); ok || none == nil {
					t.Errorf("Try while it is held = %v, want false and a function", ok)
				}
				if other, ok := second.Try(t.Context(), key+"other"); !ok {
					t.Error("Try of another key = false, want true")
				} else {
					other()
				}
				end(first, release)
				synctest.Wait()
				if release, ok := second.Try(t.Context(), key); !ok {
					t.Error("Try afterwards = false, want true")
				} else {
					release()
				}
			})
		})
	}
}

// Wait ends when the lease is free, at the limit, and when the context or the Leases end.
func TestWait(t *testing.T) {
	for name, test := range map[string]struct {
		end     func(release func(), second *lease.Leases, cancel func()) // after a second
		ok      bool
		atLeast time.Duration
		atMost  time.Duration
	}{
		"released":  {func(release func(), _ *lease.Leases, _ func()) { release() }, true, time.Second, 1250 * time.Millisecond},
		"run out":   {func(func(), *lease.Leases, func()) {}, true, term, term + 250*time.Millisecond},
		"canceled":  {func(_ func(), _ *lease.Leases, cancel func()) { cancel() }, true, time.Second, time.Second},
		"closed":    {func(_ func(), second *lease.Leases, _ func()) { second.Close() }, true, time.Second, time.Second},
		"the limit": {nil, false, limit, limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storage.NewDictCache()
				first, second := leasesOf(store), leasesOf(store)
				release, _ := first.Try(t.Context(), key)
				if test.end == nil {
					release()
					store.Lease(t.Context(), key, time.Hour)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() {
					if test.end != nil {
						test.end(release, second, cancel)
					}
				})
				start := time.Now()
				mine, ok := second.Wait(ctx, key)
				if took := time.Since(start); ok != test.ok || took < test.atLeast || took > test.atMost {
					t.Errorf("Wait = %v after %v, want %v after %v to %v", ok, took, test.ok, test.atLeast, test.atMost)
				}
				mine()
				time.Sleep(time.Hour) // for the timers of the store
			})
		})
	}
}

// broken is a store whose leases fail.
type broken struct {
	*storage.DictCache
	lease func() (func(), bool, error)
}

func (b broken) Lease(context.Context, string, time.Duration) (func(), bool, error) { return b.lease() }

func (broken) Traits() storage.Traits { return storage.Traits{} }

// With a store that has no leases or fails to give them, no one waits.
func TestNoLeases(t *testing.T) {
	for name, store := range map[string]storage.Store{
		"none":      struct{ storage.Store }{storage.NewDictCache()},
		"an error":  broken{storage.NewDictCache(), func() (func(), bool, error) { return nil, false, errors.New("broken") }},
		"a panic":   broken{storage.NewDictCache(), func() (func(), bool, error) { panic("bang") }},
		"invalid":   broken{storage.NewDictCache(), func() (func(), bool, error) { return nil, true, nil }},
		"both":      broken{storage.NewDictCache(), func() (func(), bool, error) { return func() {}, true, errors.New("broken") }},
		"it closes": broken{storage.NewDictCache(), func() (func(), bool, error) { return nil, false, storage.ErrClosed }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := leasesOf(store)
				start := time.Now()
				for range 2 {
					release, ok := l.Wait(t.Context(), key)
					if took := time.Since(start); !ok || took > 0 {
						t.Errorf("Wait = %v after %v, want true at once", ok, took)
					}
					release()
					release, ok = l.Try(t.Context(), key)
					if !ok {
						t.Error("Try = false, want true")
					}
					release()
				}
				l.Close()
			})
		})
	}
}

// Of many that wait, one at a time has the lease, and all get it in time.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		var all sync.WaitGroup
		var mu sync.Mutex
		holders := 0
		for range 20 {
			l := leasesOf(store)
			all.Go(func() {
				release, ok := l.Wait(t.Context(), key)
				if !ok {
					t.Error("Wait = false, want true")
				}
				mu.Lock()
				if holders++; holders != 1 {
					t.Errorf("%d holders, want 1", holders)
				}
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
				mu.Lock()
				holders--
				mu.Unlock()
				release()
			})
		}
		all.Wait()
	})
}
