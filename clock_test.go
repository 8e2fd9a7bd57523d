package cachecontrol

import (
	"testing"
	"testing/synctest"
	"time"
)

// The clock says what time.Now says, however much time passes between two looks at it.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		for _, pause := range []time.Duration{0, 0, 1, clockStep - 2, 1, 1, clockStep, clockStep + 1, time.Hour, 0, 17 * time.Microsecond} {
			time.Sleep(pause)
			if got, want := c.now(), time.Now(); got != want {
				t.Errorf("after %v: now() = %v, want %v", pause, got, want)
			}
		}
	})
}

// A look at the clock that was long ago, or in another time, does not count.
func TestClockReadsAnew(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, -clockStep, time.Minute, time.Hour} {
		var c clock
		read := time.Now().Add(ahead)
		c.read.Store(&read)
		before := time.Now()
		if got := c.now(); got.Before(before) || got.After(time.Now()) {
			t.Errorf("%v ahead: now() = %v, want at least %v", ahead, got, before)
		}
	}
}
