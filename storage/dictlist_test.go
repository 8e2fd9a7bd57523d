package storage

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

func fill(tb testing.TB, c *DictCache, from, to int) {
	for n := from; n < to; n++ {
		w, err := c.Create(context.Background(), "http://example.com/"+strconv.Itoa(n), &Entry{Status: 200, Version: 11, Length: -1})
		if err == nil {
			_, err = w.Write([]byte("a body of some bytes"))
		}
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// The index grows to sixteen times its size while it is listed: what was stored before is listed once.
func TestListWhileGrowing(t *testing.T) {
	c := &DictCache{MaxBytes: -1}
	const before, after = 2_000, 40_000
	fill(t, c, 0, before)
	times := make(map[string]int)
	n := before
	for l, err := range c.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		times[l.Key]++
		if n < after {
			fill(t, c, n, n+20)
			n += 20
		}
	}
	for n := range before {
		if key := "http://example.com/" + strconv.Itoa(n); times[key] != 1 {
			t.Errorf("%s is listed %d times, want 1", key, times[key])
		}
	}
	for key, n := range times {
		if n > 1 {
			t.Errorf("%s is listed %d times, want at most 1", key, n)
		}
	}
}

// Nothing that is unpacked to be listed stays in memory.
func TestListMemory(t *testing.T) {
	c := &DictCache{MaxBytes: -1}
	fill(t, c, 0, 50_000)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	first, n := heap(), 0
	for range c.List(t.Context()) {
		if n++; n%10_000 == 0 {
			if more := heap() - first; more > 256<<10 {
				t.Errorf("after %d entries, %d more bytes are in use, want at most 256 KiB", n, more)
			}
		}
	}
	runtime.KeepAlive(c)
}

// BenchmarkList lists a million entries while a goroutine stores others as fast as it can. It reports how long a store
// took at most, alone and during the listing.
func BenchmarkList(b *testing.B) {
	const total = 1_000_000
	c := &DictCache{MaxBytes: -1}
	fill(b, c, 0, total)
	write := func(more func() bool) (n int, longest time.Duration) {
		for more() {
			start := time.Now()
			fill(b, c, total+n%1000, total+n%1000+1)
			longest = max(longest, time.Since(start))
			n++
		}
		return n, longest
	}
	alone := 0
	_, before := write(func() bool { alone++; return alone < 100_000 })
	for b.Loop() {
		var listing atomic.Bool
		listing.Store(true)
		type result struct {
			n       int
			longest time.Duration
		}
		done := make(chan result)
		go func() {
			n, longest := write(listing.Load)
			done <- result{n, longest}
		}()
		start, n := time.Now(), 0
		for _, err := range c.List(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		took := time.Since(start)
		listing.Store(false)
		w := <-done
		if n < total {
			b.Fatalf("%d entries are listed, want at least %d", n, total)
		}
		b.ReportMetric(float64(n)/took.Seconds(), "entries/s")
		b.ReportMetric(float64(w.n)/took.Seconds(), "writes/s")
		b.ReportMetric(float64(w.longest.Microseconds()), "µs-longest-write")
		b.ReportMetric(float64(before.Microseconds()), "µs-longest-write-alone")
	}
}
