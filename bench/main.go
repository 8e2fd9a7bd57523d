// Command bench measures the cache side by side with a floor, with a raw read, and with peers; and the middleware of
// package origin beside the bare handler.
//
// It is a module of its own, so that what it measures against never reaches the go.sum of those who use the cache.
//
// A time says little: another machine, or the same one an hour later, has another. What lasts is a ratio of two times
// that were measured next to each other. So all cases are measured in turn, in several rounds, each time in another
// order; ratios are taken within a round; and what is reported is their median, with the least and the greatest.
//
//	go run . [-write ../docs/benchmarks.md]
//	go run . -times [-rounds 7] [-time 300ms] [-only regexp]
//	go run . -hitratio
//	go run . -profile
//	go run . -nginx
//	go run . -size
//	go test -bench Hit/1KiB/memory -cpuprofile cpu.out
//
// The first makes all tables, in some minutes; the next ones make some: times; how much of what is asked for a
// bounded cache has; what the time of a hit is spent on; the command's proxy beside nginx, which needs nginx and wrk; and
// what a cache takes when bodies are long or entries are many. With -write the
// tables go between the markers of that page, and the words around them stay. The last is for profiles: the
// same cases, as ordinary benchmarks.
//
// Before a case is timed it is checked: that what is called a hit is one, without a request to the origin, and so on.
// A case that does not do what it says ends the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if child := os.Getenv(childEnv); child != "" {
		return runChild(ctx, child)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 7, "how many times all cases are measured")
	each := flags.Duration("time", 300*time.Millisecond, "how long one measurement takes; a third where files are stored")
	only := flags.String("only", "", "measure only the times of the cases whose names match this regular `expression`")
	write := flags.String("write", "", "put the tables between the markers of this `page`")
	var match *regexp.Regexp
	var dir string
	command := "go run . " + strings.Join(args, " ")
	const times = 1
	parts := []part{
		// First, while this process is small: the kernel counts a child's memory from its parent's on.
		{name: "size", about: "memory, and large caches", do: func() (blocks, error) {
			return measureSize(ctx, command, dir, stderr)
		}},
		{name: "times", about: "times, and their ratios", do: func() (blocks, error) {
			return measureTimes(ctx, command, dir, *rounds, *each, match, stderr)
		}},
		{name: "hitratio", about: "how much of what is asked for a bounded cache has", do: func() (blocks, error) {
			return measureHitRatios(ctx, command, stderr)
		}},
		{name: "profile", about: "what the time of a hit is spent on", do: func() (blocks, error) {
			return measureProfile(ctx, command)
		}},
		{name: "nginx", about: "the command's proxy beside nginx", do: func() (blocks, error) {
			return measureProxies(ctx, command, stderr)
		}},
	}
	for i := range parts {
		flags.BoolVar(&parts[i].chosen, parts[i].name, false, "measure "+parts[i].about)
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *each <= 0 {
		return errors.New("usage: go run . [-times] [-hitratio] [-profile] [-nginx] [-size] [-rounds n] [-time d] [-only regexp] [-write page]")
	}
	if *only != "" {
		parts[times].chosen = true
	}
	var err error
	if match, err = regexp.Compile(*only); err != nil {
		return err
	}
	if *write != "" && *only != "" {
		return errors.New("-write is for whole runs, -only for looking closer")
	}
	if *write != "" {
		if _, err := os.Stat(*write); err != nil {
			return err
		}
	}

	testing.Init() // for the flags of go test, from which testing.Benchmark takes its duration

	// What is measured leaves its files until the end, each in a region of its own: ext4 without a journal does not use the number of
	// a removed file again for minutes, and looks at all such numbers of a region whenever a file or directory is made there. After
	// the removal of some thousand files that takes 0.1 ms instead of 0.005.
	if dir, err = os.MkdirTemp("", "cachecontrol-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	setApart(dir)

	all := !slices.ContainsFunc(parts, func(p part) bool { return p.chosen })
	for _, p := range parts {
		if !all && !p.chosen {
			continue
		}
		page, err := p.do()
		if errors.Is(err, errNoPeer) && all {
			fmt.Fprintf(stderr, "%s is left out: %v\n", p.name, err)
			continue
		}
		if err != nil {
			return err
		}
		for _, b := range page {
			fmt.Fprintf(stdout, "%s\n", b.text)
		}
		if *write != "" {
			if err := page.writeTo(*write); err != nil {
				return err
			}
		}
	}
	return nil
}

// part is one of the things that the command measures.
type part struct {
	name, about string
	chosen      bool
	do          func() (blocks, error)
}
