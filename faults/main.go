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
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	if role := os.Getenv(childEnv); role != "" {
		if err := runChild(role); err != nil {
			fmt.Fprintln(os.Stderr, "faults:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

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
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	long := flags.Bool("long", false, "the storms of long bodies and of ranges instead of the others")
	short := flags.Bool("short", false, "a twentieth of the counts, or less")
	only := flags.String("only", "", "only the storms whose names match this regular `expression`")
	write := flags.String("write", "", "put the table between the markers of this `page`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil || flags.NArg() > 0 {
		return errors.New("usage: go run ./faults [-long] [-short] [-only regexp] [-write page]")
	}
	if *write != "" && (*only != "" || *short) {
		return errors.New("-write is for whole runs")
	}
	less := 1
	if *short {
		less = 20
	}
	start := time.Now()
	rows, err := runStorms(ctx, *long, match, less, stderr)
	if err != nil {
		return err
	}
	text := table(rows) + fmt.Sprintf("\nMade by `%s` on %s, %s/%s with %d processors, in %.0f s.\n",
		strings.TrimSpace("go run ./faults "+strings.Join(args, " ")), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		time.Since(start).Seconds())
	fmt.Fprint(stdout, text)
	if *write != "" {
		if err := replaceBlock(*write, text, *long); err != nil {
			return err
		}
	}
	var broken []string
	for _, r := range rows {
		if why := r.verdict(); why != "" {
			broken = append(broken, r.broken+": "+why)
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("promises were broken:\n  %s", strings.Join(broken, "\n  "))
	}
	return nil
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

// replaceBlock replaces the text between the markers of a page. The long storms have markers of their own.
func replaceBlock(page, text string, long bool) error {
	name := "faults"
	if long {
		name = "long faults"
	}
	begin, end := "<!-- begin: "+name+" -->\n", "<!-- end: "+name+" -->\n"
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no block %q", page, strings.TrimSpace(begin))
	}
	return os.WriteFile(page, []byte(before+begin+text+end+after), 0o644)
}
