package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// measurement is the result of one case in one round.
type measurement struct {
	ns            float64 // per operation
	bytes, allocs int64
}

// round holds the measurements of one round by case.
type round map[string]measurement

// ratio returns the time of one case as a multiple of the total time of others. It reports false if one of them was not
// measured.
func (r round) ratio(of string, to []string) (float64, bool) {
	m, ok := r[of]
	sum := 0.0
	for _, name := range to {
		other, measured := r[name]
		ok = ok && measured
		sum += other.ns
	}
	return m.ns / sum, ok && sum > 0
}

// added returns the difference between two cases. It reports false if one of them was not measured.
func (r round) added(of, over string) (time, allocs float64, ok bool) {
	m, ok := r[of]
	other, measured := r[over]
	return m.ns - other.ns, float64(m.allocs - other.allocs), ok && measured
}

// measureTimes measures all cases whose names match, in each of the rounds. The cases of a group are measured in
// succession, so that times that are compared are close to each other. The order of the groups and the order within
// each differ from round to round. Each case uses a separate directory in dir.
func measureTimes(ctx context.Context, command, dir string, rounds int, each time.Duration, match *regexp.Regexp, progress io.Writer) (blocks, error) {
	var selected [][]benchCase
	for _, group := range groups() {
		var some []benchCase
		for _, c := range group {
			if match.MatchString(c.name) && c.procs <= runtime.NumCPU() {
				some = append(some, c)
			}
		}
		if some != nil {
			selected = append(selected, some)
		}
	}
	if selected == nil {
		return nil, errors.New("no case has such a name")
	}
	var measured []round
	for i := range rounds {
		fmt.Fprintf(progress, "round %d of %d\n", i+1, rounds)
		r := round{}
		for _, g := range rand.Perm(len(selected)) {
			for _, j := range rand.Perm(len(selected[g])) {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				c := selected[g][j]
				m, err := c.measure(dir, each)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				r[c.name] = m
			}
		}
		measured = append(measured, r)
	}
	return timeBlocks(command, selected, measured), nil
}

// measure opens the case in a new directory below dir, checks that it does what it says, and times it for this long.
// A case that stores files is timed for a third of that, because the files are left until the end.
func (c *benchCase) measure(dir string, each time.Duration) (m measurement, err error) {
	if c.storesFiles {
		each /= 3
	}
	if err := flag.Set("test.benchtime", each.String()); err != nil {
		return m, err
	}
	if dir, err = os.MkdirTemp(dir, ""); err != nil {
		return m, err
	}
	l, err := c.open(dir)
	if err != nil {
		return m, err
	}
	defer l.close()
	if err := l.verify(); err != nil {
		return m, err
	}
	result, err := timeLoad(c.procs, l.do)
	if err != nil {
		return m, err
	}
	return measurement{nanoseconds(result), result.AllocedBytesPerOp(), result.AllocsPerOp()}, nil
}

// timeLoad times an operation on this number of processors. If it is 0, there is one goroutine.
func timeLoad(procs int, do func() error) (testing.BenchmarkResult, error) {
	var err error
	result := testing.Benchmark(func(b *testing.B) {
		if failed := benchmark(b, procs, do); failed != nil {
			err = failed
			b.FailNow()
		}
	})
	if err == nil && result.N == 0 {
		err = errors.New("nothing was measured")
	}
	return result, err
}

// benchmark is the measured loop of this command and of go test.
func benchmark(b *testing.B, procs int, do func() error) error {
	b.ReportAllocs()
	if procs == 0 {
		for b.Loop() {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	failed := make(chan error, procs)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(); err != nil {
				failed <- err
				return
			}
		}
	})
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// nanoseconds returns the time of an operation with the fraction that BenchmarkResult.NsPerOp drops.
func nanoseconds(r testing.BenchmarkResult) float64 {
	return float64(r.T.Nanoseconds()) / float64(r.N)
}
