package storagetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// leaser returns the store as a Leaser, and skips the test if it is none.
func (t *tester) leaser() storage.Leaser {
	t.Helper()
	l, ok := t.store.(storage.Leaser)
	if !ok {
		t.Skip("the store does not implement Leaser")
	}
	return l
}

// take calls Lease, which must return no error, and checks that it returns the given ok.
func (t *tester) take(rule, key string, d time.Duration, want bool) (release func()) {
	t.Helper()
	release, ok, err := t.leaser().Lease(t.Context(), key, d)
	switch {
	case err != nil:
		t.Fatalf("%s: Lease(%s) = %v, want no error", rule, short(key), err)
	case ok != want:
		t.Errorf("%s: Lease(%s) = %t, want %t", rule, short(key), ok, want)
	case ok != (release != nil):
		t.Errorf("Lease must return a function if it returns true, and nil otherwise: Lease(%s) = %t, release is nil: %t",
			short(key), ok, release == nil)
	}
	if release == nil {
		return func() {}
	}
	return release
}

func lease(t *tester) {
	first := t.take("Lease must give a lease that nothing holds", url, time.Hour, true)
	t.take("Lease must not give a lease that is held", url, time.Hour, false)
	other := t.take("leases of different keys must be independent", "other", time.Hour, true)
	first()
	t.take("release must not end the lease of another key", "other", time.Hour, false)
	second := t.take("a released lease must be free", url, time.Hour, true)
	first()
	t.take("a second call of release must not end the lease of another holder", url, time.Hour, false)
	second()
	third := t.take("a lease must be free again after every release", url, time.Hour, true)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(third)
	}
	calls.Wait()
	last := t.take("release must work if it is called by several goroutines", url, time.Hour, true)
	last()
	other()
}

func leaseEnds(t *tester) {
	const d = 50 * time.Millisecond
	begin := time.Now()
	first := t.take("Lease must give a lease that nothing holds", url, d, true)
	second := t.waitForLease("a lease must end when its time has passed", time.Hour)
	if took := time.Since(begin); took < d {
		t.Errorf("a lease must not end before its time has passed: it ended after %v, want at least %v", took, d)
	}
	first()
	t.take("release of a lease that has ended must not end the lease of another holder", url, time.Hour, false)
	second()
	t.take("a released lease must be free", url, time.Hour, true)()
}

// waitForLease calls Lease until it returns true.
func (t *tester) waitForLease(rule string, d time.Duration) (release func()) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		release, ok, err := t.leaser().Lease(t.Context(), url, d)
		switch {
		case err != nil:
			t.Fatalf("Lease = %v, want no error", err)
		case ok:
			return release
		case time.Since(begin) > watchWait:
			t.Fatalf("%s: Lease = false after %v, want true", rule, watchWait)
		}
	}
}

func leaseProtectsNothing(t *tester) {
	release := t.take("Lease must give a lease that nothing holds", url, time.Hour, true)
	held := func() {
		t.Helper()
		t.take("only release may end a lease before its time", url, time.Hour, false)
	}
	t.hasNot("Lease must not create an entry", url)
	t.put(url, Entry(), "body")
	held()
	e := t.has("an entry must be stored while its lease is held", url, Entry(), "body").Clone()
	e.Status = 404
	if err := t.store.Update(t.Context(), url, e); err != nil {
		t.Errorf("Update must work while the lease is held: Update(%q) = %v, want nil", url, err)
	}
	held()
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Errorf("Delete must work while the lease is held: Delete(%q) = %v, want nil", url, err)
	}
	t.hasNot("Delete must remove the entry while its lease is held", url)
	held()
	t.put(url, Entry(), "after")
	release()
	t.has("release must not change the entry", url, Entry(), "after")
	t.take("a released lease must be free", url, time.Hour, true)()
	t.has("Lease must not change the entry", url, Entry(), "after")
}

func leaseKeys(t *tester) {
	t.leaser()
	var all []func()
	for _, key := range oddKeys() {
		all = append(all, t.take("different keys must have different leases", key, time.Hour, true))
	}
	for i, key := range oddKeys() {
		t.take("every key must have a lease that is exclusive", key, time.Hour, false)
		all[i]()
		t.take("a released lease must be free", key, time.Hour, true)()
	}
}

func leaseContext(t *tester) {
	l := t.leaser()
	ctx, cancel := context.WithCancel(t.Context())
	release, ok, err := l.Lease(ctx, url, time.Hour)
	if !ok || err != nil {
		t.Fatalf("Lease must give a lease that nothing holds: Lease(%q) = %t, %v, want true, nil", url, ok, err)
	}
	cancel()
	t.take("a lease must not end with its context", url, time.Hour, false)
	if _, ok, _ := l.Lease(ctx, url, time.Hour); ok {
		t.Error("Lease must not give a lease that is held: Lease = true with a context that has ended, want false")
	}
	release()
	// Lease may give up, but then nothing holds the lease.
	if release, ok, err := l.Lease(ctx, url, time.Hour); ok && err == nil {
		release()
	}
	t.take("Lease must not hold a lease after an error", url, time.Hour, true)()
}

// leaseConcurrently checks that goroutines never hold a lease at the same time.
func leaseConcurrently(t *tester) {
	l := t.leaser()
	var failures failures
	var holders, given atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 50 {
				release, ok, err := l.Lease(t.Context(), url, time.Hour)
				// A store may limit how long it waits for the others, and a busy machine may let one stand.
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					failures.add("Lease = %v while others call it, want no error", err)
				}
				if !ok || err != nil {
					continue
				}
				if n := holders.Add(1); n > 1 {
					failures.add("a lease must have one holder: it has %d", n)
				}
				given.Add(1)
				holders.Add(-1)
				release()
			}
		})
	}
	work.Wait()
	failures.report(t)
	if given.Load() == 0 {
		t.Error("Lease must give a lease that nothing holds: 400 calls returned false, want one true")
	}
	t.take("a lease must be free after every release", url, time.Hour, true)()
}
