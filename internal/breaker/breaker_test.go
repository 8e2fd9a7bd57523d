package breaker_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
)

// TestBreaker goes through what happens to one breaker, whose pause is 10 seconds.
func TestBreaker(t *testing.T) {
	const pause = 10 * time.Second
	start := time.Unix(1_700_000_000, 0)
	var b breaker.Breaker
	for _, step := range []struct {
		at        time.Duration
		do        string // what happens then: a call ended so
		allow     bool   // afterwards
		suspended bool   // after that
	}{
		{at: 0, allow: true},
		{at: 1 * time.Second, do: "answered", allow: true},
		{at: 2 * time.Second, do: "failed", allow: false, suspended: true},
		{at: 11999 * time.Millisecond, allow: false, suspended: true},
		{at: 12 * time.Second, allow: true, suspended: true}, // one, and no other
		{at: 13 * time.Second, allow: false, suspended: true},
		{at: 14 * time.Second, do: "failed", allow: false, suspended: true},
		{at: 23 * time.Second, allow: false, suspended: true},
		{at: 24 * time.Second, allow: true, suspended: true},
		{at: 33 * time.Second, allow: false, suspended: true},
		{at: 34 * time.Second, allow: true, suspended: true}, // the result of the last one was not reported
		{at: 35 * time.Second, do: "answered", allow: true},
		{at: 35 * time.Second, allow: true},
	} {
		now := start.Add(step.at)
		switch step.do {
		case "answered":
			b.Answered()
		case "failed":
			b.Failed(now, pause)
		}
		if got := b.Allow(now, pause); got != step.allow {
			t.Errorf("after %v, %s: Allow: %v", step.at, step.do, got)
		}
		if got := b.Suspended(now); got != step.suspended {
			t.Errorf("after %v, %s: Suspended: %v", step.at, step.do, got)
		}
	}
}

// TestBreakerLetsOneThrough: of many that come at once after the pause, one is let through.
func TestBreakerLetsOneThrough(t *testing.T) {
	var b breaker.Breaker
	now := time.Now()
	b.Failed(now, time.Second)
	var through atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if b.Allow(now.Add(2*time.Second), time.Second) {
				through.Add(1)
			}
		})
	}
	all.Wait()
	if n := through.Load(); n != 1 {
		t.Errorf("%d were let through", n)
	}
}
