// Command faults injects faults around the cache and counts the results. Several processes, including Python, use one
// directory; writers are killed; disks are full, gone or damaged; stores fail at any call; origins cut responses short;
// callers leave.
//
//	go run ./faults [-long] [-short] [-only regexp] [-write docs/reliability.md]
//
// It prints one table: the fault, how often it was injected, how many responses were read, how many of them were
// wrong, and how many requests failed although the origin answered. A response is wrong if its header and body do not
// belong together, or if its body has bytes that were never sent or is cut short without an error. If one is wrong or
// has failed, the exit code is 1. With -long, the storms of long bodies and of ranges are run instead of the others. With
// -short, the counts are those of continuous integration. With -write, the table replaces the text between the markers of
// that page. Some storms need Python with cachecontrol.
//
// FuzzTransport, in the tests of this package, compares a Transport with a model of RFC 9111.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
)

func main() { measure.Main("faults", run) }

// A storm injects one kind of fault. It divides the counts of a full run by less.
type storm struct {
	name   string
	run    func(ctx context.Context, less int) ([]row, error)
	python bool // the storm needs Python
	long   bool // it is run with -long
}

var storms = []storm{
	{name: "processes", run: manyProcesses, python: true},
	{name: "kills", run: kills},
	{name: "herds", run: herds},
	{name: "disks", run: disks},
	{name: "stores", run: stores},
	{name: "origins", run: origins},
	{name: "collapsed", run: collapsed},
	{name: "bounds", run: bounds, python: true},
	{name: "downloads", run: downloads, long: true},
	{name: "ranges", run: ranges, long: true},
	{name: "sparse", run: sparse, long: true},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if role := os.Getenv(childEnv); role != "" {
		return runChild(role)
	}
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	long := flags.Bool("long", false, "the storms of long bodies and of ranges instead of the others")
	asked, err := measure.ParseStorms("faults", flags, args)
	if err != nil {
		return err
	}
	less := 1
	if asked.Short {
		less = 20
	}
	rows, err := runStorms(ctx, *long, asked.Only, less, stderr)
	if err != nil {
		return err
	}
	var broken []string
	for _, r := range rows {
		if why := r.verdict(); why != "" {
			broken = append(broken, r.broken+": "+why)
		}
	}
	block := "faults"
	if *long {
		block = "long faults"
	}
	return asked.Finish(stdout, block, table(rows), broken)
}

// runStorms runs the long storms, or the others, whose names match, and returns their rows. The counts are divided by less.
func runStorms(ctx context.Context, long bool, match *regexp.Regexp, less int, progress io.Writer) ([]row, error) {
	var rows []row
	for _, s := range storms {
		if s.long != long || !match.MatchString(s.name) {
			continue
		}
		begin := time.Now()
		more, err := s.run(ctx, less)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(progress, "%s: %.1f s\n", s.name, time.Since(begin).Seconds())
		rows = append(rows, more...)
	}
	return rows, nil
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| broken | how often | read | from the cache | wrong | failed | else |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d %s | %d | %d | %d | %d | %s |\n", r.broken, r.times, r.unit, r.Reads, r.Hits, r.Wrong, r.Failed, r.notes)
	}
	return b.String()
}
