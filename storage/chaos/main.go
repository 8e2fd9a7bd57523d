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
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
)

func main() {
	if role := os.Getenv(memberEnv); role != "" {
		if err := runMember(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// A whole run makes at least 100,000 requests.
var (
	whole   = counts{before: 2000, during: 2400, after: 2000, each: true}
	shorter = counts{before: 1200, during: 600, after: 800}
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("short", false, "fewer requests")
	only := flags.String("only", "", "only the faults whose names match this regular `expression`")
	write := flags.String("write", "", "put the table between the markers of this `page`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil || flags.NArg() > 0 {
		return errors.New("usage: go run ./storage/chaos [-short] [-only regexp] [-write page]")
	}
	if *write != "" && (*only != "" || *short) {
		return errors.New("-write is for whole runs")
	}
	n := whole
	if *short {
		n = shorter
	}
	var all []fault
	for _, f := range faults {
		if match.MatchString(f.name) {
			all = append(all, f)
		}
	}
	start := time.Now()
	var rows []row
	err = withServer(func(server *redistest.Server) error {
		return runStorm(ctx, server, all, n, func(r row) {
			rows = append(rows, r)
			fmt.Fprintf(stderr, "%s: after %.0f s\n", r.fault, time.Since(start).Seconds())
		})
	})
	if err != nil {
		return err
	}
	text := table(rows) + fmt.Sprintf("\nMade by `%s` on %s, %s/%s with %d processors, in %.0f s.\n",
		strings.TrimSpace("go run ./storage/chaos "+strings.Join(args, " ")), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		time.Since(start).Seconds())
	fmt.Fprint(stdout, text)
	if *write != "" {
		if err := replaceBlock(*write, text); err != nil {
			return err
		}
	}
	var broken []string
	for _, r := range rows {
		if why := r.verdict(); why != "" {
			broken = append(broken, r.fault+": "+why)
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("promises were broken:\n  %s", strings.Join(broken, "\n  "))
	}
	return nil
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| fault | requests | failed | torn | too old | out of date, as allowed | until, after the end | hits before | during | after | longest request | hits are back after |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var sum row
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %v | %.1f %% | %.1f %% | %.1f %% | %v | %v |\n", r.fault, r.requests, r.failed, r.torn, r.tooOld, r.late, r.noticed.Round(100*time.Millisecond),
			100*r.before, 100*r.during, 100*r.after, r.longest.Round(time.Millisecond), r.back.Round(100*time.Millisecond))
		sum.requests += r.requests
		sum.failed += r.failed
		sum.torn += r.torn
		sum.tooOld += r.tooOld
		sum.late += r.late
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | %d | %d | | | | | | |\n", sum.requests, sum.failed, sum.torn, sum.tooOld, sum.late)
	return b.String()
}

// replaceBlock replaces the text between the markers of a page.
func replaceBlock(page, text string) error {
	const begin, end = "<!-- begin: chaos -->\n", "<!-- end: chaos -->\n"
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

// withServer calls f with a Redis server that was started as for a test.
func withServer(f func(*redistest.Server) error) (err error) {
	t := new(program)
	defer func() {
		for i := len(t.cleanups) - 1; i >= 0; i-- {
			t.cleanups[i]()
		}
		if v := recover(); v != nil {
			if v != any(t) {
				panic(v)
			}
			err = t.err
		}
	}()
	return f(redistest.Start(t))
}

// program is the testing.TB of a program that starts servers. A failure is a panic with the program.
type program struct {
	testing.TB
	cleanups []func()
	err      error
}

func (p *program) Helper()                           {}
func (p *program) Failed() bool                      { return p.err != nil }
func (p *program) Cleanup(f func())                  { p.cleanups = append(p.cleanups, f) }
func (p *program) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (p *program) Errorf(format string, args ...any) { p.err = fmt.Errorf(format, args...) }
func (p *program) Skipf(format string, args ...any)  { p.Fatalf(format, args...) }
func (p *program) Fatal(args ...any)                 { p.Fatalf("%s", fmt.Sprint(args...)) }

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	panic(p)
}
