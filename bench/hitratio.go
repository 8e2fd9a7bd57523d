package main

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The eviction policy of a bounded cache decides its hit ratio. Three caches get the same requests and the same
// number of bytes: DictCache, otter (a cache library with an adaptive policy, W-TinyLFU), and a plain list in the
// order of last use.

const (
	tracePages  = 20_000
	traceLength = 500_000
	traceWarmUp = 100_000 // requests that are not counted
	scanLength  = 5_000   // pages in a crawl
)

// trace is a sequence of requests for numbered pages. The pages of crawls have numbers from tracePages on, and are
// requested once each.
type trace struct {
	name  string
	skew  float64 // of Zipf's law: the n-th most popular page is requested 1/n^skew times as often as the first
	scans float64 // the share of requests that belong to crawls
	drift int     // if not 0, the popularity moves on by one page after this number of requests
}

var traces = []trace{
	{name: "Zipf 0.9", skew: 0.9},
	{name: "Zipf 0.9, half of it crawls", skew: 0.9, scans: 0.5},
	{name: "Zipf 0.7, half of it crawls", skew: 0.7, scans: 0.5},
	{name: "Zipf 0.9, popularity moves", skew: 0.9, drift: 50},
	{name: "Zipf 0.9, popularity moves, a third crawls", skew: 0.9, scans: 0.33, drift: 50},
}

func (t trace) requests() []int {
	random := rand.New(rand.NewPCG(1, 2))
	sums, sum := make([]float64, tracePages), 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -t.skew)
		sums[i] = sum
	}
	pages, crawled := random.Perm(tracePages), tracePages
	out := make([]int, 0, traceLength)
	for len(out) < traceLength {
		if random.Float64() < t.scans/(1-t.scans)/scanLength {
			for range scanLength {
				out = append(out, crawled)
				crawled++
			}
			continue
		}
		x := random.Float64() * sum
		low, high := 0, tracePages-1
		for low < high {
			if mid := (low + high) / 2; sums[mid] < x {
				low = mid + 1
			} else {
				high = mid
			}
		}
		if t.drift > 0 {
			low = (low + len(out)/t.drift) % tracePages
		}
		out = append(out, pages[low])
	}
	return out[:traceLength]
}

// pageSize returns the length of the page with this number. Most pages have some KiB, few have up to 256 KiB.
func pageSize(page int) int {
	random := rand.New(rand.NewPCG(uint64(page), 7))
	return int(min(256<<10, 100+math.Exp(random.NormFloat64()*1.5+8)))
}

// mostBehind is how many points the hit ratio of DictCache may be less than that of otter.
const mostBehind = 0.5

// bounded is a cache that is given a request for a page. It reports whether it had the page, and stores it otherwise.
type bounded interface {
	ask(key string, body []byte) bool
}

// overhead is the number of bytes that an entry counts in addition to its body, in each of the caches.
var overhead = sync.OnceValue(func() int {
	const bound = 1 << 20
	c := dict{&storage.DictCache{MaxBytes: bound}}
	for i := range bound / 100 {
		c.ask(pageKey(i), nil)
	}
	return bound / c.Len()
})

func pageKey(page int) string {
	return "http://www.example.com/articles?n=" + fmt.Sprintf("%07d", page)
}

type dict struct{ *storage.DictCache }

func (c dict) ask(key string, body []byte) bool {
	ctx := context.Background()
	if held, _ := c.Lookup([]byte(key)); held.Entry != nil { // as a Transport asks
		return true
	}
	w, err := c.Create(ctx, key, &storage.Entry{Status: 200, Length: int64(len(body))})
	if err == nil {
		w.Write(body)
		w.Commit()
	}
	return false
}

type otterCache struct{ *otter.Cache[string, []byte] }

func newOtter(bytes int) bounded {
	return otterCache{otter.Must(&otter.Options[string, []byte]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ string, body []byte) uint32 { return uint32(len(body) + overhead()) },
		Executor:      func(do func()) { do() }, // so that the time of its maintenance is counted
	})}
}

func (c otterCache) ask(key string, body []byte) bool {
	if _, ok := c.GetIfPresent(key); ok {
		return true
	}
	c.Set(key, append([]byte(nil), body...))
	return false
}

// lastUsed evicts the least recently used page.
type lastUsed struct {
	left    int
	entries map[string]*list.Element
	order   *list.List
}

type usedEntry struct {
	key  string
	body []byte
}

func (c *lastUsed) ask(key string, body []byte) bool {
	if e := c.entries[key]; e != nil {
		c.order.MoveToFront(e)
		return true
	}
	c.entries[key] = c.order.PushFront(usedEntry{key, append([]byte(nil), body...)})
	c.left -= len(body) + overhead()
	for c.left < 0 {
		old := c.order.Remove(c.order.Back()).(usedEntry)
		delete(c.entries, old.key)
		c.left += len(old.body) + overhead()
	}
	return false
}

// measureHitRatios runs every trace with every cache.
func measureHitRatios(ctx context.Context, command string, progress io.Writer) (blocks, error) {
	keys, bodies := make([]string, tracePages+traceLength), make([][]byte, tracePages+traceLength)
	all, total := make([]byte, 256<<10), 0
	for i := range keys {
		keys[i], bodies[i] = pageKey(i), all[:pageSize(i)]
		if i < tracePages {
			total += len(bodies[i]) + overhead()
		}
	}
	caches := []string{"DictCache", "otter", "last used"}
	t := table{slices.Concat([]string{"requests", "room for"}, caches, caches, caches, []string{"met"})}
	for _, trace := range traces {
		fmt.Fprintln(progress, trace.name)
		requests := trace.requests()
		for _, percent := range []int{1, 5, 20} {
			bytes := total * percent / 100
			var ratios, byteRatios, times []string
			var percents []float64
			for _, c := range []bounded{
				dict{&storage.DictCache{MaxBytes: int64(bytes)}},
				newOtter(bytes),
				&lastUsed{bytes, map[string]*list.Element{}, list.New()},
			} {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				runtime.GC()
				hits, hitBytes, allBytes, start := 0, 0, 0, time.Now()
				for i, page := range requests {
					hit := c.ask(keys[page], bodies[page])
					if i < traceWarmUp {
						continue
					}
					allBytes += len(bodies[page])
					if hit {
						hits++
						hitBytes += len(bodies[page])
					}
				}
				times = append(times, duration(float64(time.Since(start))/float64(len(requests))))
				percents = append(percents, percentage(hits, len(requests)-traceWarmUp))
				ratios = append(ratios, share(hits, len(requests)-traceWarmUp))
				byteRatios = append(byteRatios, share(hitBytes, allBytes))
			}
			t = append(t, slices.Concat([]string{trace.name, strconv.Itoa(percent) + " %"}, ratios, byteRatios, times, []string{yesNo(percents[1]-percents[0] <= mostBehind)}))
		}
	}
	about := measuredBy(command) + fmt.Sprintf(" %d requests for %d pages of %s in all.", traceLength, tracePages, mebibytes(total))
	return blocks{{"hitratio", about + "\n\n" + t.String()}}, nil
}

func percentage(n, all int) float64 { return 100 * float64(n) / float64(all) }

func share(n, all int) string { return significant(percentage(n, all)) + " %" }

func mebibytes(n int) string { return strconv.Itoa(n>>20) + " MiB" }
