package backoff_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
)

const (
	first = 5 * time.Second
	most  = 15 * time.Minute
)

// clock is a table with a time.
type clock struct {
	*backoff.Table
	now time.Time
}

func newClock() *clock { return &clock{backoff.New(first, most), time.Now()} }

// target returns a URL of an origin.
func target(origin, path string) backoff.Target {
	return backoff.TargetOf("http://" + origin + "/" + path)
}

// fail records a failure that takes no time.
func (c *clock) fail(x backoff.Target, pause time.Duration) { c.Failed(x, c.now, c.now, pause) }

// held reports whether requests are held back.
func (c *clock) held(x backoff.Target) bool {
	claim, ok := c.Claim(x, c.now)
	claim.End()
	return !ok
}

// wants fails the test unless the target is held back for a time between the limits.
func (c *clock) wants(t *testing.T, what string, x backoff.Target, atLeast, atMost time.Duration) {
	t.Helper()
	start := c.now
	defer func() { c.now = start }()
	if c.now = start.Add(atLeast - 1); atLeast > 0 && !c.held(x) {
		t.Errorf("%s: not held back after %v, want it for that long", what, atLeast-1)
	}
	if c.now = start.Add(atMost); c.held(x) {
		t.Errorf("%s: held back after %v, want it free", what, atMost)
	}
}

func quarterMore(d time.Duration) time.Duration { return d + d/4 }

func TestWaitsTriple(t *testing.T) {
	c := newClock()
	x := target("a.example", "x")
	for _, wait := range []time.Duration{5, 15, 45, 135, 405, 900, 900, 900} {
		wait *= time.Second
		c.fail(x, 0)
		c.wants(t, fmt.Sprint("after a wait of ", wait/3), x, wait, quarterMore(wait))
		c.wants(t, "another URL", target("a.example", "y"), 0, 0)
		c.now = c.now.Add(quarterMore(wait))
	}
	c.Succeeded(x, c.now)
	c.wants(t, "after a success", x, 0, 0)
	if !c.Empty() {
		t.Error("Empty() = false after a success, want true")
	}
	c.fail(x, 0)
	c.wants(t, "a new failure", x, first, quarterMore(first))
}

// What has failed is failing until it succeeds, also after the wait.
func TestFailing(t *testing.T) {
	c := newClock()
	x, other := target("a", "/"), target("b", "/")
	wants := func(what string, want bool) {
		t.Helper()
		if got := c.Failing(x); got != want {
			t.Errorf("%s: Failing = %v, want %v", what, got, want)
		}
	}
	wants("at first", false)
	c.fail(x, 0)
	wants("after a failure", true)
	c.now = c.now.Add(24 * time.Hour)
	wants("a day later", true)
	if c.Failing(other) {
		t.Error("another origin: Failing = true, want false")
	}
	c.Succeeded(x, c.now)
	wants("after a success", false)
	var none *backoff.Table
	if none.Failing(x) {
		t.Error("a nil Table: Failing = true, want false")
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		first, most time.Duration
		want        []time.Duration
	}{
		{1, 1, []time.Duration{1, 1}},
		{2 * time.Second, time.Second, []time.Duration{time.Second, time.Second}},
		{time.Second, 2 * time.Second, []time.Duration{time.Second, 2 * time.Second, 2 * time.Second}},
		{math.MaxInt64, math.MaxInt64, []time.Duration{math.MaxInt64 / 2, math.MaxInt64 / 2}},
		{math.MaxInt64 / 8, math.MaxInt64, []time.Duration{math.MaxInt64 / 8, math.MaxInt64 / 8 * 3, math.MaxInt64 / 2}},
	} {
		c := &clock{backoff.New(tt.first, tt.most), time.Now()}
		x := target("a.example", "x")
		for i, want := range tt.want {
			start := c.now
			c.fail(x, 0)
			for limit := time.Duration(1); c.held(x) && limit > 0; limit *= 2 {
				c.now = c.now.Add(limit) // in steps, so that the sum does not overflow
			}
			if d := c.now.Sub(start); d < want {
				t.Errorf("New(%v, %v), failure %d: a wait of %v at most, want %v at least", tt.first, tt.most, i+1, d, want)
			}
		}
	}
}

func TestOrigin(t *testing.T) {
	x, y, z := target("a.example", "x"), target("a.example", "y"), target("a.example", "z")
	other := target("b.example", "x")
	t.Run("two URLs", func(t *testing.T) {
		c := newClock()
		c.fail(x, 0)
		c.wants(t, "after one", z, 0, 0)
		c.fail(y, 0)
		c.wants(t, "after two", z, first, quarterMore(first))
		c.wants(t, "another origin", other, 0, 0)
		c.now = c.now.Add(quarterMore(first))
		c.fail(z, 0)
		c.wants(t, "after the third", target("a.example", "w"), 3*first, quarterMore(3*first))
		c.Succeeded(x, c.now)
		c.wants(t, "after a success", target("a.example", "w"), 0, 0)
		c.wants(t, "after a success of another", y, 0, 0)
		c.wants(t, "after a success of another, the last one", z, first, quarterMore(first))
	})
	t.Run("one URL", func(t *testing.T) {
		c := newClock()
		for range 10 {
			c.fail(x, 0)
			c.wants(t, "a good one", z, 0, 0)
			c.now = c.now.Add(time.Hour)
		}
	})
	t.Run("a success in between", func(t *testing.T) {
		c := newClock()
		c.fail(x, 0)
		c.now = c.now.Add(time.Second)
		c.Succeeded(z, c.now)
		c.fail(y, 0)
		c.wants(t, "a good one", z, 0, 0)
		c.wants(t, "the first", x, first-time.Second, quarterMore(first))
	})
	t.Run("a pause", func(t *testing.T) {
		c := newClock()
		c.fail(x, time.Hour)
		c.wants(t, "the URL", x, time.Hour, time.Hour)
		c.wants(t, "another", z, time.Hour, time.Hour)
		c.fail(y, time.Minute)
		c.wants(t, "a shorter pause", z, time.Hour, time.Hour)
		c.fail(y, 2*time.Hour)
		c.wants(t, "a longer pause", z, 2*time.Hour, 2*time.Hour)
		c.wants(t, "another origin", other, 0, 0)
	})
	t.Run("a short pause", func(t *testing.T) {
		c := newClock()
		c.fail(x, time.Second)
		c.wants(t, "the URL", x, first, quarterMore(first))
	})
	// The URL that failed last waits for longer than the others, so that it does not hold them back for ever.
	t.Run("the last one comes last", func(t *testing.T) {
		for range 1000 {
			c := newClock()
			c.fail(y, 0)
			c.fail(x, 0)
			for c.held(z) {
				c.now = c.now.Add(first / 64)
			}
			if c.now = c.now.Add(-first / 64); !c.held(x) {
				t.Fatal("the URL that failed last may be asked before another one, want it later")
			}
		}
	})
}

func TestTargetOf(t *testing.T) {
	const key = "http://a.example/x"
	plain := backoff.TargetOf(key)
	via := backoff.TargetOf(key + "#via=one")
	for _, suffix := range []string{"", "#user=0", "#partition=0", "#method=0-0", "#user=0#partition=0#method=0-0"} {
		if got := backoff.TargetOf(key + suffix); got != plain {
			t.Errorf("TargetOf(%q) = %v, want %v as without the suffix", key+suffix, got, plain)
		}
	}
	for _, suffix := range []string{"#user=0#via=one", "#via=one#partition=0", "#user=0#via=one#partition=0#method=0-0"} {
		if got := backoff.TargetOf(key + suffix); got != via {
			t.Errorf("TargetOf(%q) = %v, want %v as with the server alone", key+suffix, got, via)
		}
	}
	c := newClock()
	c.fail(via, time.Minute)
	c.wants(t, "the same server", backoff.TargetOf("http://a.example/y#via=one"), time.Minute, time.Minute)
	c.wants(t, "another server", backoff.TargetOf(key+"#via=two"), 0, 0)
	c.wants(t, "the authority", plain, 0, 0)
	c.wants(t, "another scheme", backoff.TargetOf("https://a.example/x#via=one"), 0, 0)
}

// Failures of requests that were sent before the end of the wait do not make the next one longer.
func TestFailuresTogether(t *testing.T) {
	c := newClock()
	x := target("a.example", "x")
	sent := c.now
	for range 100 {
		c.now = c.now.Add(time.Millisecond)
		c.Failed(x, sent, c.now, 0)
	}
	c.wants(t, "after 100 failures", x, first-100*time.Millisecond, quarterMore(first))
	for range 100 { // a program that sends requests all the time
		c.now = c.now.Add(first / 100)
		c.fail(x, 0)
	}
	c.now = c.now.Add(first / 4)
	c.wants(t, "after 100 more", x, 0, 0)
	c.now = c.now.Add(time.Minute)
	c.Failed(x, sent, c.now, 0) // a slow one
	c.wants(t, "after the slow one", x, first, quarterMore(first))
}

// A success ends the wait, but not for a pause that was asked for after its request was sent.
func TestSuccessOfEarlierRequest(t *testing.T) {
	c := newClock()
	x, y := target("a.example", "x"), target("a.example", "y")
	sent := c.now
	c.now = c.now.Add(time.Second)
	c.fail(x, time.Minute)
	c.Succeeded(x, sent)
	c.wants(t, "the URL", x, time.Minute, time.Minute)
	c.wants(t, "another", y, time.Minute, time.Minute)
	c.Succeeded(y, c.now)
	c.wants(t, "another, after its success", y, 0, 0)
	c.wants(t, "the URL, after another one's success", x, time.Minute, time.Minute)
	c.Succeeded(x, c.now)
	c.wants(t, "the URL, after its success", x, 0, 0)
	c.fail(x, 0)
	c.fail(y, 0)
	c.Succeeded(x, sent)
	c.wants(t, "without a pause", x, 0, 0)
	c.wants(t, "without a pause, another", target("a.example", "z"), 0, 0)
}

// Two URLs that fail all the time, however often and slowly, do not keep the others from being asked.
func TestFailuresAllTheTime(t *testing.T) {
	c := newClock()
	x, y, good := target("a.example", "x"), target("a.example", "y"), target("a.example", "good")
	const latency = 100 * time.Millisecond
	held, all := 0, 0
	for i := range 600_000 { // ten minutes
		c.now = c.now.Add(time.Millisecond)
		c.Failed([]backoff.Target{x, y}[i%2], c.now.Add(-latency), c.now, 0)
		if i%2000 == 0 {
			all++
			claim, ok := c.Claim(good, c.now)
			if !ok {
				held++
				continue
			}
			c.Succeeded(good, c.now.Add(-latency))
			claim.End()
		}
	}
	if held > 5 {
		t.Errorf("a good URL is held back %d times of %d, want 5 at most", held, all)
	}
	if !c.held(x) || !c.held(y) {
		t.Error("the URLs that fail are not held back, want them to be")
	}
}

func TestClaim(t *testing.T) {
	c := newClock()
	x, y := target("a.example", "x"), target("a.example", "y")
	claim, ok := c.Claim(x, c.now)
	if !ok || claim.Held() {
		t.Errorf("Claim before a failure = %v, %v, want none, true", claim, ok)
	}
	claim.End()
	again := func(what string, end func(backoff.Claim), x backoff.Target, want bool) {
		t.Helper()
		claim, ok := c.Claim(x, c.now)
		if !ok || !claim.Held() {
			t.Fatalf("%s: Claim after the wait = %v, %v, want one", what, claim.Held(), ok)
		}
		if !c.held(x) {
			t.Errorf("%s: a second claim, want one at a time", what)
		}
		end(claim)
		if got := c.held(x); got != want {
			t.Errorf("%s: held back %v, want %v", what, got, want)
		}
		claim.End()
		claim.End()
		if got := c.held(x); got != want {
			t.Errorf("%s, and End: held back %v, want %v", what, got, want)
		}
	}
	c.fail(x, 0)
	c.now = c.now.Add(quarterMore(first))
	again("End", backoff.Claim.End, x, false)
	again("a failure", func(backoff.Claim) { c.fail(x, 0) }, x, true)
	c.now = c.now.Add(quarterMore(3 * first))
	again("a success", func(backoff.Claim) { c.Succeeded(x, c.now) }, x, false)

	c.fail(x, 0)
	c.fail(y, 0)
	c.now = c.now.Add(quarterMore(first))
	again("of the origin, End", backoff.Claim.End, target("a.example", "z"), false)
	claim, _ = c.Claim(x, c.now)
	if !c.held(y) || !c.held(target("a.example", "z")) {
		t.Error("a claim of one URL does not hold back the others of an ill origin, want one attempt")
	}

	// An attempt that never ends holds the others back as long as a failure.
	c.now = c.now.Add(time.Minute)
	late, ok := c.Claim(x, c.now)
	if !ok || !late.Held() {
		t.Errorf("Claim after the end of another = %v, %v, want one", late.Held(), ok)
	}
	claim.End() // not its own
	if !c.held(x) {
		t.Error("End of an old claim ends the new one, want it to do nothing")
	}
}

func TestNil(t *testing.T) {
	var none *backoff.Table
	x := target("a.example", "x")
	none.Failed(x, time.Now(), time.Now(), time.Hour)
	if claim, ok := none.Claim(x, time.Now()); !ok || claim.Held() || !none.Empty() {
		t.Errorf("a nil Table holds back: %v, %v, want nothing", claim, ok)
	}
	none.Succeeded(x, time.Now())
}

func TestOneClaimOfMany(t *testing.T) {
	c := newClock()
	x := target("a.example", "x")
	c.fail(x, 0)
	c.now = c.now.Add(quarterMore(first))
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, ok := c.Claim(x, c.now); ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 1000 got the claim, want 1", n)
	}
}

// A million URLs and origins that fail take no more memory than a few thousand, and the last ones are known.
func TestBounded(t *testing.T) {
	hosts := 1_000_000
	if testing.Short() {
		hosts = 50_000
	}
	c := newClock()
	for i := range hosts {
		c.now = c.now.Add(time.Millisecond)
		c.fail(target(fmt.Sprint(i, ".example"), "x"), 0)
	}
	if got, most := c.Size(), 2*4096; got > most {
		t.Errorf("%d records, want %d at most", got, most)
	}
	held := 0
	for i := hosts - 1000; i < hosts; i++ {
		if c.held(target(fmt.Sprint(i, ".example"), "x")) {
			held++
		}
	}
	if held < 500 {
		t.Errorf("%d of the last 1000 are held back, want at least half", held)
	}
}
