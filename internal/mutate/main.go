// Mutate tests the tests. It changes the code of a package in one place, runs the tests that run this place, and reports
// the mutant as a survivor if none of them fails.
//
//	go run ./internal/mutate [-n 200] [-seed 1] [-time 1m] [-slow 5s] [-min 95] [-file path] [directory ...]
//
// All mutants of a package are compiled into one test binary, by an overlay. So the working tree is not changed, and a
// mutant costs only the time of its tests. A coverage profile of each test says which ones these are.
//
// The mutants in equivalent.txt behave like the original. They are not run and do not count.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// options say what to run.
type options struct {
	n    int
	seed uint64
	slow time.Duration
	file string
}

func main() {
	var o options
	flag.IntVar(&o.n, "n", 200, "number of mutants of each package")
	flag.Uint64Var(&o.seed, "seed", 1, "which mutants")
	flag.DurationVar(&o.slow, "slow", 5*time.Second, "tests that keep the processor busy for longer are not used")
	flag.StringVar(&o.file, "file", "", "only mutants of this file")
	limit := flag.Duration("time", 24*time.Hour, "stop after this time")
	least := flag.Float64("min", 0, "fail if fewer than this percentage are killed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	dirs := flag.Args()
	if len(dirs) == 0 {
		dirs = []string{"internal/rules", "rfc9111", "."}
	}
	var s score
	for _, dir := range dirs {
		if err := s.add(ctx, dir, o); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println(s)
	if s.percent() < *least {
		os.Exit(1)
	}
}

// A score counts mutants.
type score struct{ killed, survived, equivalent int }

func (s score) percent() float64 {
	return 100 * float64(s.killed) / float64(max(1, s.killed+s.survived))
}

func (s score) String() string {
	return fmt.Sprintf("%d mutants: %d killed (%.1f %%), %d survived; %d more are equivalent",
		s.killed+s.survived, s.killed, s.percent(), s.survived, s.equivalent)
}

// add runs mutants of the package in dir.
func (s *score) add(ctx context.Context, dir string, o options) error {
	began := time.Now()
	p, err := load(ctx, dir)
	if err != nil {
		return err
	}
	list, err := s.choose(p, o)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	bin := filepath.Join(temp, "mutants.test")
	list, err = weaveIn(ctx, p, list, o.n, temp, bin)
	if err != nil {
		return err
	}
	tests, err := profile(ctx, p, temp, bin, o.slow)
	if err != nil {
		return err
	}
	var here score
	var mu sync.Mutex // guards here and s
	err = forEach(list, func(m *mutant) error {
		killed, err := kills(ctx, p, bin, m, tests)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if killed {
			here.killed, s.killed = here.killed+1, s.killed+1
			return nil
		}
		here.survived, s.survived = here.survived+1, s.survived+1
		fmt.Printf("survived: %v\n", m)
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s: %v, in %v\n", p.ImportPath, here, time.Since(began).Round(time.Second))
	return nil
}

// choose returns the mutants of a package that are not known to be equivalent, in random order.
func (s *score) choose(p *target, o options) ([]*mutant, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	list, err := p.mutants(root)
	if err != nil {
		return nil, err
	}
	reasons, err := equivalent(equivalentText)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(m *mutant) bool {
		if o.file != "" && m.fn.file.path != o.file {
			return true
		}
		_, same := reasons[m.id()]
		if same {
			s.equivalent++
		}
		return same
	})
	random := rand.New(rand.NewPCG(o.seed, 0))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list, nil
}
