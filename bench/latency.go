package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// The latency of hits is measured while other goroutines store pages, which evicts others, and invalidate some. A store
// that holds a lock for long shows in the highest percentiles, but not in the throughput.

const (
	latencyPages  = 256
	latencyBody   = 1 << 10
	latencyBound  = 16 << 20 // of the caches of this module; those of the others have no bound
	latencyTime   = time.Second
	latencyRounds = 5
	latencyPause  = time.Millisecond // between invalidations
)

// latencySubjects are the caches, those of this module with a bound.
var latencySubjects = []subject{
	{"memory", func(_ string, base http.RoundTripper) (http.RoundTripper, error) {
		return &cachecontrol.Transport{Base: base, Store: &storage.DictCache{MaxBytes: latencyBound}}, nil
	}},
	gregjonesMemory,
	{"file", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := directory.NewFileCache(dir, directory.MaxBytes(latencyBound))
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}},
	{"separate", func(dir string, base http.RoundTripper) (http.RoundTripper, error) {
		s, err := directory.NewSeparateBodyFileCache(dir, directory.MaxBytes(latencyBound))
		return &cachecontrol.Transport{Base: base, Store: s}, err
	}},
	gregjonesDisk,
}

// disturbances are what other goroutines do while hits are timed.
var disturbances = []struct {
	name string
	do   func(ctx context.Context, rt http.RoundTripper) error // until ctx ends; nil: nothing
}{
	{"nothing", nil},
	{"stores and invalidations", disturb},
}

// percentiles of the hits of a round, in nanoseconds.
type percentiles struct{ median, p99, p999, greatest float64 }

// measureLatency measures the latency of hits of each cache. It works in dir.
func measureLatency(ctx context.Context, command, dir string, progress io.Writer) (blocks, error) {
	t := table{{"hits of", "meanwhile", "median", "99 %", "99.9 %", "longest", "hits a second"}}
	for _, s := range latencySubjects {
		for _, meanwhile := range disturbances {
			fmt.Fprintf(progress, "%s, %s\n", s.name, meanwhile.name)
			var median, p99, p999, greatest, rate []float64
			for range latencyRounds {
				sub := filepath.Join(dir, "latency")
				if err := errors.Join(os.RemoveAll(sub), os.Mkdir(sub, 0o700)); err != nil {
					return nil, err
				}
				times, err := timeHits(ctx, s, sub, latencyTime, meanwhile.do)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
				p := percentilesOf(times)
				median, p99, p999, greatest = append(median, p.median), append(p99, p.p99), append(p999, p.p999), append(greatest, p.greatest)
				rate = append(rate, float64(len(times))/latencyTime.Seconds())
			}
			t = append(t, []string{
				s.name, meanwhile.name, duration(newSpread(median).median), "**" + duration(newSpread(p99).median) + "**",
				"**" + duration(newSpread(p999).median) + "**", duration(newSpread(greatest).median), significant(newSpread(rate).median),
			})
		}
	}
	about := measuredBy(command) + fmt.Sprintf(" %d rounds of %s; medians of the rounds.", latencyRounds, latencyTime)
	return blocks{{"latency", about + "\n\n" + t.String()}}, nil
}

// percentilesOf sorts the times.
func percentilesOf(times []time.Duration) percentiles {
	slices.Sort(times)
	at := func(share float64) float64 { return float64(times[min(len(times)-1, int(share*float64(len(times))))]) }
	return percentiles{at(0.5), at(0.99), at(0.999), at(1)}
}

// timeHits returns how long each hit took while meanwhile ran, for the duration d. Requests that the invalidations have
// made a miss do not count.
func timeHits(ctx context.Context, s subject, dir string, d time.Duration, meanwhile func(context.Context, http.RoundTripper) error) ([]time.Duration, error) {
	o := &origin{page: newPage(latencyBody, fresh)}
	rt, err := s.open(dir, o)
	if err != nil {
		return nil, err
	}
	defer closeSubject(rt)
	var requests []*http.Request
	for i := range latencyPages {
		requests = append(requests, numberedRequest(i))
		if _, err := readPage(rt, requests[i]); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	var others sync.WaitGroup
	var failed error
	if meanwhile != nil {
		others.Go(func() { failed = meanwhile(ctx, rt) })
	}
	var times []time.Duration
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Now()
		hit, err := readPage(rt, requests[n%latencyPages])
		if err != nil {
			return nil, err
		}
		if hit {
			times = append(times, time.Since(start))
		}
	}
	others.Wait()
	if failed == nil && len(times) == 0 {
		failed = errors.New("there was no hit")
	}
	return times, failed
}

// readPage makes a request and reads the body. It reports whether it was a hit.
func readPage(rt http.RoundTripper, req *http.Request) (hit bool, err error) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get(cachecontrol.XFromCache) == "1", err
}

// disturb stores new pages, one after another, and invalidates one of the timed ones from time to time.
func disturb(ctx context.Context, rt http.RoundTripper) error {
	last := time.Now()
	for n := latencyPages; ctx.Err() == nil; n++ {
		if _, err := readPage(rt, numberedRequest(n)); err != nil {
			return err
		}
		if time.Since(last) < latencyPause {
			continue
		}
		last = time.Now()
		post := numberedRequest(rand.IntN(latencyPages))
		post.Method = http.MethodPost
		if _, err := readPage(rt, post); err != nil {
			return err
		}
	}
	return nil
}
