package cachecontrol

import (
	"sync/atomic"
	"time"
)

// clock is time.Now for what is asked very often. Half of what that costs is the wall clock, which is read anew once in
// clockStep only; in between the monotonic clock says how much time has passed. So a step of the wall clock is noticed
// that much later at most. The zero value is ready.
type clock struct{ read atomic.Pointer[time.Time] }

const clockStep = time.Millisecond

func (c *clock) now() time.Time {
	if last := c.read.Load(); last != nil {
		if passed := time.Since(*last); uint64(passed) < uint64(clockStep) {
			return last.Add(passed)
		}
	}
	now := time.Now()
	c.read.Store(&now)
	return now
}
