package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	largeBody   = 8 << 10
	largeRounds = 5
	// largeGCPercent limits the garbage of the process to a fifth of the cache.
	largeGCPercent = 20
)

// largeDict fills a DictCache with j.Bytes, half of it with entries that were hit, and measures the garbage collector
// and the hits during its cycles.
func largeDict(ctx context.Context, j job) ([]figure, error) {
	debug.SetGCPercent(largeGCPercent)
	o := &origin{page: newPage(largeBody, fresh)}
	store := &storage.DictCache{MaxBytes: j.Bytes}
	c := newCaller(&cachecontrol.Transport{Base: ownStrings{o}, Store: store})
	n := 0
	for ; store.Traits().Evictions == 0; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := c.get(query(n)); err != nil {
			return nil, err
		}
		if n%2 == 1 { // the pages in between
			if _, err := c.get(query(n)); err != nil {
				return nil, err
			}
		}
	}
	var cycles, pauses, longest, p999 []float64
	for range largeRounds {
		times, cycle, err := hitsDuringGC(c, n)
		if err != nil {
			return nil, err
		}
		p := percentilesOf(times)
		cycles, longest, p999 = append(cycles, float64(cycle)/1e6), append(longest, p.greatest/1e3), append(p999, p.p999/1e3)
		pauses = append(pauses, longestPause()*1e6)
	}
	name := fmt.Sprintf("DictCache of %.3g GiB: ", float64(j.Bytes)/(1<<30))
	return []figure{
		{Name: name + "entries of 8 KiB", Values: []float64{float64(store.Len())}, Unit: "entries"},
		{Name: name + "a cycle of the garbage collector", Values: cycles, Unit: "ms"},
		{Name: name + "longest pause of the garbage collector", Values: pauses, Unit: "us"},
		{Name: name + "hits during a cycle, 99.9 %", Values: p999, Unit: "us"},
		{Name: name + "hits during a cycle, the longest", Values: longest, Unit: "us"},
	}, nil
}

// hitsDuringGC runs a cycle of the garbage collector, and returns how long it and each hit in the meantime took. Every
// second page of n was hit before.
func hitsDuringGC(c *caller, n int) (times []time.Duration, cycle time.Duration, err error) {
	var ended atomic.Bool
	go func() {
		start := time.Now()
		runtime.GC()
		cycle = time.Since(start)
		ended.Store(true)
	}()
	for i := n/2 | 1; !ended.Load(); i = (i+2)%n | 1 {
		start := time.Now()
		if hit, err := c.get(query(i)); err != nil {
			return nil, 0, err
		} else if cachecontrol.FromCache(hit) {
			times = append(times, time.Since(start))
		}
	}
	if len(times) == 0 {
		err = errors.New("there was no hit")
	}
	return times, cycle, err
}

// longestPause returns the upper bound, in seconds, of the longest pause of the garbage collector so far.
func longestPause() float64 {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > 0 {
			return min(h.Buckets[i+1], 1)
		}
	}
	return 0
}
