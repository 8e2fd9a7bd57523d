package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

const (
	manyEntriesCount = 1_000_000
	manyFilesCount   = 200_000
	manyBody         = 256 // bytes; short, because the overhead is measured
	manyRounds       = 7

	// manyLimit is the limit for a hit in a large cache, as a multiple of one in a cache with one entry: 1.0, and the error of
	// the measurement.
	manyLimit = 1.05
)

// ownStrings is an origin that allocates new strings for each response, as if it had come over a connection.
type ownStrings struct{ *origin }

func (o ownStrings) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.origin.RoundTrip(req)
	if err == nil {
		ownValues(resp.Header)
	}
	return resp, err
}

func ownValues(h http.Header) {
	for _, values := range h {
		for i := range values {
			values[i] = strings.Clone(values[i])
		}
	}
}

// caller makes successive requests that differ in their query. It allocates nothing itself.
type caller struct {
	rt  http.RoundTripper
	req *http.Request
}

func newCaller(rt http.RoundTripper) *caller {
	return &caller{rt, &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Scheme: "http", Host: "www.example.com", Path: "/articles"},
		Header: http.Header{}, Host: "www.example.com",
	}}
}

func (c *caller) get(query string) (*http.Response, error) {
	c.req.URL.RawQuery = query
	resp, err := c.rt.RoundTrip(c.req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// time returns the mean time of a request, in nanoseconds. All must be hits.
func (c *caller) time(o *origin, queries []string) (float64, error) {
	before := o.requests.Load()
	runtime.GC()
	start := time.Now()
	for _, q := range queries {
		if _, err := c.get(q); err != nil {
			return 0, err
		}
	}
	elapsed := time.Since(start)
	if o.requests.Load() != before {
		return 0, errors.New("not every look-up was a hit")
	}
	return float64(elapsed) / float64(len(queries)), nil
}

func query(i int) string { return fmt.Sprintf("n=%07d", i) }

// sample returns a random sample of the first n queries, and the same number of copies of one query. Using either list
// reads the same amount of memory.
func sample(n, size int) (any, one []string) {
	for range size {
		any = append(any, query(rand.IntN(n)))
		one = append(one, query(0))
	}
	return any, one
}

// fill stores the first n pages.
func (c *caller) fill(ctx context.Context, n int) error {
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		resp, err := c.get(query(i))
		if err != nil {
			return err
		}
		if s := cachecontrol.StatusOf(resp); i == 0 && !s.Stored {
			return errors.New("a response was not stored")
		}
	}
	return nil
}

func heap() float64 {
	runtime.GC()
	runtime.GC() // the first one may have been in progress already
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// manyEntries compares a DictCache with many entries with one that has one entry, and likewise the floor.
func manyEntries(ctx context.Context, _ job) ([]figure, error) {
	const n, looks = manyEntriesCount, 200_000
	o := &origin{page: newPage(manyBody, fresh)}
	open := func(n int) (*caller, *storage.DictCache, error) {
		s := &storage.DictCache{MaxBytes: 16 << 30}
		c := newCaller(&cachecontrol.Transport{Base: ownStrings{o}, Store: s})
		return c, s, c.fill(ctx, n)
	}

	before := heap()
	many, store, err := open(n)
	if err != nil {
		return nil, err
	}
	if store.Len() != n {
		return nil, fmt.Errorf("of %d entries the cache keeps %d", n, store.Len())
	}
	filled := heap() - before
	for i := range n {
		if _, err := many.get(query(i)); err != nil {
			return nil, err
		}
	}
	used := heap() - before
	if got := o.requests.Load(); got != n {
		return nil, fmt.Errorf("the origin has seen %d requests for %d pages", got, n)
	}

	bytes := float64(manyBody + len("http://www.example.com/articles?"+query(0)))
	for name, values := range o.header {
		bytes += float64(len(name) + len(values[0]))
	}
	one, _, err := open(1)
	if err != nil {
		return nil, err
	}
	manyFloor, oneFloor := newCaller(fullFloor(o.page, n)), newCaller(fullFloor(o.page, 1))

	any, same := sample(n, looks)
	var anyRatio, sameRatio, floorRatio []float64
	for range manyRounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		times, err := timeAll(o, []timed{{many, any}, {one, same}, {many, same}, {manyFloor, any}, {oneFloor, same}})
		if err != nil {
			return nil, err
		}
		anyRatio = append(anyRatio, times[0]/times[1])
		sameRatio = append(sameRatio, times[2]/times[1])
		floorRatio = append(floorRatio, times[3]/times[4])
	}
	runtime.KeepAlive(store)
	return []figure{
		{Name: "DictCache, 1 million entries: a hit, always the same", Values: sameRatio, Unit: "x a hit in a cache of one", Bound: manyLimit},
		{Name: "DictCache, 1 million entries: hits in no order", Values: anyRatio, Unit: "x a hit in a cache of one"},
		{Name: "floor, 1 million entries: hits in no order", Values: floorRatio, Unit: "x a hit in a floor of one"},
		{Name: "DictCache: memory beyond an entry's own bytes, stored", Values: []float64{filled/n - bytes}, Unit: "bytes an entry"},
		{Name: "DictCache: the same, once it was hit", Values: []float64{used/n - bytes}, Unit: "bytes an entry", Bound: 700},
		{Name: "DictCache: memory that a hit adds to an entry", Values: []float64{(used - filled) / n}, Unit: "bytes"},
		{Name: "an entry's own bytes: URL, header, body", Values: []float64{bytes}, Unit: "bytes an entry"},
	}, nil
}

// fullFloor returns a floor with n pages that share no strings.
func fullFloor(p page, n int) *floor {
	f := &floor{make(map[string]page, n)}
	for i := range n {
		own := page{header: p.header.Clone(), body: append([]byte(nil), p.body...)}
		ownValues(own.header)
		f.pages["http://www.example.com/articles?"+query(i)] = own
	}
	return f
}

// timed is a measurement to make.
type timed struct {
	c       *caller
	queries []string
}

// timeAll makes the measurements in random order.
func timeAll(o *origin, all []timed) ([]float64, error) {
	times := make([]float64, len(all))
	for _, i := range rand.Perm(len(all)) {
		var err error
		if times[i], err = all[i].c.time(o, all[i].queries); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// manyFiles compares a FileCache with many entries with one that has one entry.
func manyFiles(ctx context.Context, j job) ([]figure, error) {
	const looks, starts = 20_000, 200
	n := j.Files
	o := &origin{page: newPage(manyBody, fresh)}
	dirs := map[string]string{}
	for _, name := range []string{"many", "one", "empty"} {
		dirs[name] = filepath.Join(j.Dir, name)
		if err := os.Mkdir(dirs[name], 0o700); err != nil {
			return nil, err
		}
	}
	open := func(dir string) (*caller, error) {
		s, err := directory.NewFileCache(dir)
		return newCaller(&cachecontrol.Transport{Base: o, Store: s}), err
	}
	many, err := open(dirs["many"])
	if err != nil {
		return nil, err
	}
	if err := many.fill(ctx, n); err != nil {
		return nil, err
	}
	one, err := open(dirs["one"])
	if err != nil {
		return nil, err
	}
	if err := one.fill(ctx, 1); err != nil {
		return nil, err
	}

	any, same := sample(n, looks)
	var anyRatio, sameRatio, startRatio, startTime []float64
	for range manyRounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		times, err := timeAll(o, []timed{{many, any}, {one, same}, {many, same}})
		if err != nil {
			return nil, err
		}
		anyRatio = append(anyRatio, times[0]/times[1])
		sameRatio = append(sameRatio, times[2]/times[1])
		full, err := timeStart(dirs["many"], starts)
		if err != nil {
			return nil, err
		}
		empty, err := timeStart(dirs["empty"], starts)
		if err != nil {
			return nil, err
		}
		startRatio, startTime = append(startRatio, full/empty), append(startTime, full/1e3)
	}
	listed, evicted, err := timeScans(ctx, dirs["many"], n)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("FileCache, %d thousand files: ", n/1000)
	return []figure{
		{Name: name + "a hit, always the same", Values: sameRatio, Unit: "x a hit in a cache of one", Bound: manyLimit},
		{Name: name + "hits in no order", Values: anyRatio, Unit: "x a hit in a cache of one"},
		{Name: name + "start-up", Values: startRatio, Unit: "x that in an empty directory"},
		{Name: name + "start-up", Values: startTime, Unit: "us"},
		{Name: name + "listing all", Values: []float64{float64(listed) / float64(n) / 1e3}, Unit: "us an entry"},
		{Name: name + "evicting half", Values: []float64{float64(evicted) / float64(n) / 1e3}, Unit: "us an entry of all"},
	}, nil
}

// timeScans returns how long it takes to list all entries in a directory, and then to evict half of them.
func timeScans(ctx context.Context, dir string, n int) (listed, evicted time.Duration, err error) {
	s, err := directory.NewFileCache(dir)
	if err != nil {
		return 0, 0, err
	}
	start, found, size := time.Now(), 0, int64(0)
	for l, err := range s.List(ctx) {
		if err != nil {
			return 0, 0, err
		}
		found++
		size += l.Size
	}
	if listed = time.Since(start); found != n {
		return 0, 0, fmt.Errorf("of %d entries %d are listed", n, found)
	}
	start = time.Now()
	left, err := directory.Trim(ctx, dir, size/2, 0)
	if err == nil && (left > size/2 || left < size/4) {
		err = fmt.Errorf("of %d bytes %d are left, not half of them", size, left)
	}
	return listed, time.Since(start), err
}

// timeStart returns the time to open a FileCache in a directory.
func timeStart(dir string, times int) (float64, error) {
	start := time.Now()
	for range times {
		if _, err := directory.NewFileCache(dir); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start)) / float64(times), nil
}
