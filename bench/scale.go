package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// A FileCache with millions of entries is compared with one that has one entry, and the commands that walk through its
// directory are run. One in a hundred entries has a long body that is a hole in its file, so that ten million entries have
// the sizes of 1 TB but take 46 GB of the disk.

const (
	scaleReserve  = 15 << 30 // bytes of the disk that stay free
	scaleVerified = 20_000   // entries for verify, which reads all bodies
	scaleStores   = 2000
	scaleBlock    = 4 << 10 // bytes of the disk that a short file or a directory takes
)

// scaleSpace returns the bytes and files that n entries take on the disk, with the directories and the temporary file of ls.
func scaleSpace(n int) (bytes, files int64) {
	const leaves = 1 << 20
	dirs := 0.0
	for level := 1; level <= leaves; level *= 16 {
		dirs += float64(level) * (1 - math.Exp(-float64(n)/float64(level))) // those that n random paths need
	}
	files = int64(n) + int64(dirs)
	return (files+int64(n/scaleEvery))*scaleBlock + 512*int64(n), files
}

// scaleSize returns the size of the first n entries, as the bound of a FileCache counts it.
func scaleSize(n int) int64 {
	long := int64(n / scaleEvery)
	return (int64(n)-long)*scaleBlock + long*(scaleLong+scaleBlock)
}

// measureScale measures a FileCache of n entries in dir.
func measureScale(ctx context.Context, command, dir string, n int, progress io.Writer) (blocks, error) {
	need, files := scaleSpace(n)
	fmt.Fprintf(progress, "%d entries of %s take %s of the disk\n", n, gigabytes(scaleSize(n)), gigabytes(need))
	if err := checkSpace(dir, need+scaleReserve, files); err != nil {
		return nil, err
	}
	exe, err := buildProxy(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	entries, figures := filepath.Join(dir, "scale"), []figure(nil)
	for _, step := range []struct {
		name string
		do   func() ([]figure, error)
	}{
		{"making the entries", func() ([]figure, error) {
			figures, _, err := job{Kind: "scaleFill", Dir: entries, Files: n}.run(ctx)
			return figures, err
		}},
		{"hits", func() ([]figure, error) {
			return job{Kind: "scaleHits", Dir: entries, Files: n}.measured(ctx, "start-up and hits")
		}},
		{"stats", func() ([]figure, error) { return scaleCommand(ctx, exe, dir, n, "stats", entries) }},
		{"ls --sort none", func() ([]figure, error) { return scaleCommand(ctx, exe, dir, n, "ls", "--sort", "none", entries) }},
		{"ls", func() ([]figure, error) { return scaleCommand(ctx, exe, dir, n, "ls", entries) }},
		{"verify", func() ([]figure, error) {
			some, n := filepath.Join(dir, "some"), min(n, scaleVerified)
			if _, _, err := (job{Kind: "scaleFill", Dir: some, Files: n}).run(ctx); err != nil {
				return nil, err
			}
			return scaleCommand(ctx, exe, dir, n, "verify", some)
		}},
		{"stores with a bound", func() ([]figure, error) {
			return job{Kind: "scaleBound", Dir: entries, Files: n}.measured(ctx, "stores with a bound")
		}},
		{"prune", func() ([]figure, error) {
			return scaleCommand(ctx, exe, dir, n, "prune", "--max-bytes", strconv.FormatInt(scaleSize(n)*9/10, 10), entries)
		}},
	} {
		fmt.Fprintln(progress, step.name)
		got, err := step.do()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		figures = append(figures, got...)
	}
	about := fmt.Sprintf(" %d entries of %s.", n, gigabytes(scaleSize(n)))
	return blocks{{"scale", measuredBy(command) + about + "\n\n" + sizeTable(figures).String()}}, nil
}

func gigabytes(n int64) string { return significant(float64(n)/1e9) + " GB" }

// measured runs the job, and adds the peak of its memory to its figures.
func (j job) measured(ctx context.Context, name string) ([]figure, error) {
	figures, peak, err := j.run(ctx)
	return append(figures, peakFigure(name, peak)), err
}

func peakFigure(name string, peak int64) figure {
	return figure{Name: name + ": peak memory", Values: []float64{float64(peak) / (1 << 20)}, Unit: "MiB"}
}

// scaleFill makes the entries.
func scaleFill(ctx context.Context, j job) ([]figure, error) {
	work := j.Dir + "-work"
	defer os.RemoveAll(work)
	f, err := newScaleFiller(ctx, j.Dir, work)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	err = f.fill(ctx, j.Files, os.Stderr)
	return []figure{{Name: "making the entries", Values: []float64{perEntry(time.Since(start), j.Files)}, Unit: "us an entry"}}, err
}

func perEntry(d time.Duration, n int) float64 { return float64(d) / float64(n) / 1e3 }

// scaleHits measures the first hit of a cache, and hits.
func scaleHits(ctx context.Context, j job) ([]figure, error) {
	const starts = 100
	looks := min(j.Files, 20_000)
	o := &origin{page: newPage(scaleBody, fresh)}
	one := j.Dir + "-one"
	defer os.RemoveAll(one)
	open := func(dir string) (*caller, error) {
		s, err := directory.NewFileCache(dir)
		return newCaller(&cachecontrol.Transport{Base: o, Store: s}), err
	}
	many, err := open(j.Dir)
	if err != nil {
		return nil, err
	}
	single, err := open(one)
	if err != nil {
		return nil, err
	}
	if err := single.fill(ctx, 1); err != nil {
		return nil, err
	}
	any, same := sample(j.Files, looks)
	any = slices.DeleteFunc(any, func(q string) bool { return isLongQuery(q) })
	start := func(dir string, queries []string) (float64, error) {
		begun := time.Now()
		for _, q := range queries {
			c, err := open(dir)
			if err == nil {
				err = c.expect(q, cachecontrol.Hit)
			}
			if err != nil {
				return 0, err
			}
		}
		return perEntry(time.Since(begun), len(queries)), nil
	}
	var anyRatio, sameRatio, anyTime, first, firstOne []float64
	for i := range manyRounds {
		times, err := timeAll(o, []timed{{many, any}, {single, same}, {many, same}})
		if err != nil {
			return nil, err
		}
		anyRatio, sameRatio = append(anyRatio, times[0]/times[1]), append(sameRatio, times[2]/times[1])
		anyTime = append(anyTime, times[0]/1e3)
		manyStart, err := start(j.Dir, any[i*starts:(i+1)*starts])
		if err != nil {
			return nil, err
		}
		oneStart, err := start(one, same[:starts])
		if err != nil {
			return nil, err
		}
		first, firstOne = append(first, manyStart), append(firstOne, oneStart)
	}
	return []figure{
		{Name: "opening the cache, and the first hit", Values: first, Unit: "us"},
		{Name: "the same in a cache of one entry", Values: firstOne, Unit: "us"},
		{Name: "a hit, always the same", Values: sameRatio, Unit: "x a hit in a cache of one", Bound: manyLimit},
		{Name: "hits in no order", Values: anyRatio, Unit: "x a hit in a cache of one"},
		{Name: "hits in no order", Values: anyTime, Unit: "us"},
	}, nil
}

func isLongQuery(q string) bool {
	var i int
	fmt.Sscanf(q, "n=%d", &i)
	return isLong(i)
}

// scaleBound opens the cache with a bound that it exceeds by a thousandth, and stores responses: the same ones again until all entries have
// been counted, and then new ones, which evict others.
func scaleBound(ctx context.Context, j job) ([]figure, error) {
	o := &origin{page: newPage(scaleBody, fresh)}
	store, err := directory.NewFileCache(j.Dir, directory.MaxBytes(scaleSize(j.Files)/1000*999))
	if err != nil {
		return nil, err
	}
	c := newCaller(&cachecontrol.Transport{Base: o, Store: store})
	next := j.Files
	stores := func() (times []time.Duration, err error) {
		for ; len(times) < scaleStores; next++ {
			begun := time.Now()
			if err := c.expect(query(next), cachecontrol.Miss); err != nil {
				return nil, err
			}
			times = append(times, time.Since(begun))
		}
		return times, ctx.Err()
	}
	begun, rounds := time.Now(), 0
	var counting []time.Duration
	for whole := false; !whole; rounds++ {
		times, err := stores()
		if err != nil {
			return nil, err
		}
		counting = append(counting, times...)
		if whole, err = isCounted(j.Dir); err != nil {
			return nil, err
		}
	}
	counted, before := time.Since(begun), store.Traits().Evictions
	evicting, err := stores()
	if err != nil {
		return nil, err
	}
	evictions := store.Traits().Evictions - before
	if evictions == 0 {
		return nil, errors.New("nothing was evicted")
	}
	c1, c2 := percentilesOf(counting), percentilesOf(evicting)
	return []figure{
		{Name: "stores until all entries are counted", Values: []float64{float64(rounds * scaleStores)}, Unit: "stores"},
		{Name: "the same", Values: []float64{counted.Seconds()}, Unit: "s"},
		{Name: "one of these stores: median", Values: []float64{c1.median / 1e3}, Unit: "us"},
		{Name: "one of these stores: 99 %", Values: []float64{c1.p99 / 1e3}, Unit: "us"},
		{Name: "a store that evicts others: median", Values: []float64{c2.median / 1e3}, Unit: "us"},
		{Name: "a store that evicts others: 99 %", Values: []float64{c2.p99 / 1e3}, Unit: "us"},
		{Name: "evictions of such a store", Values: []float64{float64(evictions) / scaleStores}, Unit: "entries"},
	}, nil
}

// isCounted reports whether the file of the steps in a directory says that every part of it was counted.
func isCounted(dir string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, ".trim"))
	if err != nil {
		return false, err
	}
	var s struct{ Whole bool }
	return s.Whole, json.Unmarshal(text, &s)
}

// scaleCommand runs the command on a directory of n entries, with its temporary files in temp.
func scaleCommand(ctx context.Context, exe, temp string, n int, args ...string) ([]figure, error) {
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, &stderr)
	}
	took := time.Since(begun)
	name := strings.Join(args[:len(args)-1], " ")
	if args[0] == "prune" {
		name = "prune of a tenth"
	} else if args[0] == "verify" {
		name = fmt.Sprintf("verify of %d entries", n)
	}
	processor := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return []figure{
		{Name: name, Values: []float64{took.Seconds()}, Unit: "s"},
		{Name: name + ": time of the processor", Values: []float64{perEntry(processor, n)}, Unit: "us an entry"},
		peakFigure(name, peakMemory(cmd.ProcessState)),
	}, nil
}
