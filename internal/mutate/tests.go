package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// least is how much time of the processor the tests of a mutant may take in any case.
const least = 10 * time.Second

// patience is how much longer tests may take on a busy machine than they use the processor.
const patience = 10

// memory is how much address space a test may have, in KiB. A mutant may allocate without end.
const memory = 4 << 20

// A test is a test of a package.
type test struct {
	name   string
	took   time.Duration // of the processor
	blocks []block
}

// A block is a part of a file, in a coverage profile of a test.
type block struct {
	file               string
	line, column       int
	endLine, endColumn int
	runs               bool // the test runs it
}

// contains reports whether the byte at line and column of the file is in the block.
func (b block) contains(line, column int) bool {
	return (line > b.line || line == b.line && column >= b.column) &&
		(line < b.endLine || line == b.endLine && column < b.endColumn)
}

// profile runs every test of a package alone. It returns those that pass and are not slow, the fastest first. They also pass
// in the program with the mutants, mutants, if none is active.
func profile(ctx context.Context, p *target, dir, mutants string, slow time.Duration) ([]*test, error) {
	bin := filepath.Join(dir, "cover.test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-cover", "-o", bin, ".")
	cmd.Dir = p.Dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", p.ImportPath, err, text)
	}
	cmd = exec.CommandContext(ctx, bin, "-test.list", "^(Test|Fuzz|Example)")
	cmd.Dir = p.Dir
	names, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	disturbed := disturbed(ctx, p, mutants)
	var mu sync.Mutex // guards list
	var list []*test
	err = forEach(strings.Fields(string(names)), func(name string) error {
		if slices.Contains(disturbed, name) {
			fmt.Fprintf(os.Stderr, "%s: %s is not used: it fails without a mutant\n", p.ImportPath, name)
			return nil
		}
		t, out := &test{name: name}, filepath.Join(dir, name+".cover")
		var err error
		t.took, err = run(ctx, p, bin, 0, slow, "^"+name+"$", "-test.coverprofile="+out)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s is not used: %v\n", p.ImportPath, name, err)
			return nil
		}
		data, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		t.blocks = blocks(string(data))
		mu.Lock()
		defer mu.Unlock()
		list = append(list, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b *test) int { return int(a.took - b.took) })
	return list, nil
}

// failure matches the line of a test that fails.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// disturbed returns the tests of allocations that fail although no mutant is active. Functions with mutants are not inlined.
func disturbed(ctx context.Context, p *target, mutants string) []string {
	cmd := exec.CommandContext(ctx, mutants, "-test.short", "-test.run", "Alloc")
	cmd.Dir = p.Dir
	out, _ := cmd.CombinedOutput()
	var names []string
	for _, m := range failure.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	return names
}

// profileLine matches a line of a coverage profile.
var profileLine = regexp.MustCompile(`(?m)^.*/(.+\.go):(\d+)\.(\d+),(\d+)\.(\d+) \d+ (\d+)$`)

func blocks(profile string) []block {
	var list []block
	for _, m := range profileLine.FindAllStringSubmatch(profile, -1) {
		var n [5]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[2+i])
		}
		list = append(list, block{m[1], n[0], n[1], n[2], n[3], n[4] > 0})
	}
	return list
}

var errTime = errors.New("takes too long")

// run runs the tests of a program that match a pattern, with one mutant. It returns the time of the processor that they took, which
// may be at most limit.
func run(ctx context.Context, p *target, bin string, mutant int, limit time.Duration, pattern string, args ...string) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience*limit, errTime)
	defer cancel()
	seconds := int(limit.Seconds() + 1)
	args = append([]string{"-c", fmt.Sprintf(`ulimit -v %d; ulimit -t %d; exec "$0" "$@"`, memory, seconds), bin,
		"-test.short", "-test.failfast", "-test.run", pattern}, args...)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(mutant))
	out, err := cmd.CombinedOutput()
	var took time.Duration
	if cmd.ProcessState != nil {
		took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if took > limit || errors.Is(context.Cause(ctx), errTime) {
		return took, errTime
	}
	if err != nil {
		return took, fmt.Errorf("%w\n%s", err, out)
	}
	return took, nil
}

// runs reports whether the test runs the place of a mutant. The profile says nothing about the expressions of a case; a test
// runs them if it runs any part of their function.
func (t *test) runs(m *mutant) bool {
	f := m.fn.file
	file := filepath.Base(f.path)
	line, column := f.position(m.start)
	first, _ := f.position(m.fn.open)
	last, _ := f.position(m.fn.close)
	inFunction := false
	for _, b := range t.blocks {
		if b.file != file {
			continue
		}
		if b.contains(line, column) {
			return b.runs
		}
		inFunction = inFunction || b.runs && first <= b.line && b.line <= last
	}
	return inFunction
}

// kills reports whether a test that runs the mutant's place fails.
func kills(ctx context.Context, p *target, bin string, m *mutant, tests []*test) (bool, error) {
	var names []string
	var took time.Duration
	for i, t := range tests {
		if t.runs(m) {
			names = append(names, t.name)
			took += t.took
		}
		// The fast ones run first.
		if len(names) > 0 && (i == len(tests)-1 || took > time.Second) {
			_, err := run(ctx, p, bin, m.number, least+5*took, "^("+strings.Join(names, "|")+")$")
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			if err != nil {
				return true, nil
			}
			names, took = nil, 0
		}
	}
	return false, nil
}

// forEach calls f for all elements of a list, two at a time. It stops at the first error.
func forEach[T any](list []T, f func(T) error) error {
	var next atomic.Int64
	errs := make(chan error)
	for range 2 {
		go func() {
			var err error
			for err == nil {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					break
				}
				err = f(list[i])
			}
			next.Add(int64(len(list))) // the other stops, too
			errs <- err
		}()
	}
	return cmp.Or(<-errs, <-errs)
}
