package keylock

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const wait = time.Second

func TestLock(t *testing.T) {
	for _, brief := range []bool{false, true} {
		l := New(brief)
		counts := make([]int, 3) // not atomic: the race detector watches
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				h, ok := l.Lock(fmt.Sprint(i%3), wait)
				if !ok {
					t.Error("Lock = false, want true")
				}
				defer h.Unlock()
				counts[i%3]++
			})
		}
		all.Wait()
		for i, n := range counts {
			if n != 100 {
				t.Errorf("brief %v: key %d was locked %d times, want 100", brief, i, n)
			}
		}
		if n := len(l.held); n > 0 {
			t.Errorf("brief %v: %d locks are left, want none", brief, n)
		}
	}
}

// A holder that hangs blocks callers for the same key for a limited time, and no others.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(false)
		hung, _ := l.Lock("a", wait)
		start := time.Now()
		h, ok := l.Lock("a", wait)
		if took := time.Since(start); ok || took != wait {
			t.Errorf("Lock of a held key = %v after %v, want false after %v", ok, took, wait)
		}
		h.Unlock() // no lock
		for key := range 100 {
			if _, ok := l.Lock(fmt.Sprint(key), wait); !ok || time.Since(start) > wait {
				t.Fatalf("Lock of another key = %v, want true at once", ok)
			}
		}
		hung.Unlock()
		if _, ok := l.Lock("a", wait); !ok || time.Since(start) > wait {
			t.Errorf("Lock of a key that was unlocked = %v, want true at once", ok)
		}
	})
}
