// Command bench measures the cache in comparison with a floor, with a raw read, and with other caches. It also
// measures the middleware of package origin in comparison with a bare handler.
//
// It is a module of its own, so that the other caches are not in the go.sum of programs that use this one.
//
// Times differ between machines, and on one machine from hour to hour. Ratios of two times that are measured in
// succession differ less. So all cases are measured in several rounds, in a different order each time, and ratios are
// taken within a round. The command reports their median, minimum and maximum.
//
//	go run . [-write ../docs/benchmarks.md]
//	go run . -times [-rounds 7] [-time 300ms] [-only regexp]
//	go run . -hitratio
//	go run . -profile
//	go run . -nginx
//	go run . -size
//	go run . -scale -entries 10000000
//	go run . -draw ../docs/benchmarks.md
//	go test -bench Hit/1KiB/memory -cpuprofile cpu.out
//
// The first makes all tables, in some minutes. The next ones make some of them: times; the hit ratio of a bounded
// cache; a profile of a hit; the command's proxy in comparison with nginx, which needs nginx and wrk; the memory
// that a cache uses for long bodies and for many entries; and a FileCache with millions of entries, which is not in
// the first one. With -write, the tables replace the text between the
// markers of that page, and its charts are drawn; -draw only draws them. The last command runs the same
// cases as ordinary benchmarks, for profiles.
//
// Each case is checked before it is timed. For example, a hit must be a hit and must not reach the origin. If a case
// does not do what it says, the run fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
)

func main() { measure.Main("bench", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if child := os.Getenv(childEnv); child != "" {
		return runChild(ctx, child)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 7, "how many times all cases are measured")
	each := flags.Duration("time", 300*time.Millisecond, "how long one measurement takes; a third where files are stored")
	files := flags.Int("files", manyFilesCount, "the number of files of the large FileCache of -size; each takes 8 KiB of the disk")
	entries := flags.Int("entries", 1_000_000, "the number of entries of the FileCache of -scale")
	large := flags.Float64("large", 1, "the size of the large DictCache of -size, in `GiB`; the process takes up to a third more")
	only := flags.String("only", "", "measure only the times of the cases whose names match this regular `expression`")
	write := flags.String("write", "", "put the tables between the markers of this `page`, and draw its charts")
	draw := flags.String("draw", "", "only draw the charts of this `page` again, from its tables")
	var match *regexp.Regexp
	var dir string
	command := "go run . " + strings.Join(args, " ")
	const times = 1
	parts := []part{
		// First, while this process is small: the kernel counts the memory of the parent for a child.
		{name: "size", about: "memory, and large caches", do: func() (blocks, error) {
			return measureSize(ctx, command, dir, *files, int64(*large*(1<<30)), stderr)
		}},
		{name: "times", about: "times, and their ratios", do: func() (blocks, error) {
			return measureTimes(ctx, command, dir, *rounds, *each, match, stderr)
		}},
		{name: "hitratio", about: "how much of what is asked for a bounded cache has", do: func() (blocks, error) {
			return measureHitRatios(ctx, command, stderr)
		}},
		{name: "latency", about: "the latency of hits while others store and invalidate", do: func() (blocks, error) {
			return measureLatency(ctx, command, dir, stderr)
		}},
		{name: "profile", about: "what the time of a hit is spent on", do: func() (blocks, error) {
			return measureProfile(ctx, command)
		}},
		{name: "nginx", about: "the command's proxy beside nginx", do: func() (blocks, error) {
			return measureProxies(ctx, command, stderr)
		}},
		{name: "scale", about: "a FileCache with millions of entries", alone: true, do: func() (blocks, error) {
			return measureScale(ctx, command, dir, *entries, stderr)
		}},
	}
	for i := range parts {
		flags.BoolVar(&parts[i].chosen, parts[i].name, false, "measure "+parts[i].about)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *draw != "" && flags.NArg() == 0 {
		return drawCharts(*draw)
	}
	if flags.NArg() > 0 || *rounds < 1 || *each <= 0 || *files < 1000 || *entries < 1000 || *large <= 0 {
		return errors.New("usage: go run . [-times] [-hitratio] [-latency] [-profile] [-nginx] [-scale] [-entries n] [-size] [-files n] [-large GiB] [-rounds n] [-time d] [-only regexp] [-write page]")
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

	testing.Init() // defines the flags of go test; testing.Benchmark reads its duration from one

	// The cases leave their files until the end, each case in its own region of the disk. The reason is that ext4
	// without a journal avoids reusing recently freed inode numbers for minutes, and scans them all whenever a file
	// is created in the same block group. After the removal of some thousand files this takes 0.1 ms instead of
	// 0.005.
	if dir, err = os.MkdirTemp("", "cachecontrol-bench-"); err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(stderr, "removing files, which may take minutes")
		os.RemoveAll(dir)
	}()
	setApart(dir)

	all := !slices.ContainsFunc(parts, func(p part) bool { return p.chosen })
	for _, p := range parts {
		if !p.chosen && (!all || p.alone) {
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
			for _, b := range page {
				if err := measure.ReplaceIn(*write, b.name, "\n"+strings.TrimSpace(b.text)+"\n\n"); err != nil {
					return err
				}
			}
		}
	}
	if *write != "" {
		return drawCharts(*write)
	}
	return nil
}

// part is one of the parts of a run.
type part struct {
	name, about string
	chosen      bool
	alone       bool // whether it is measured only if it is chosen
	do          func() (blocks, error)
}
