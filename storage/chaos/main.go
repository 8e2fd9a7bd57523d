package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
)

func main() { measure.Main("chaos", run) }

// A whole run makes at least 100,000 requests.
var (
	whole   = counts{before: 2000, during: 2400, after: 2000, each: true}
	shorter = counts{before: 1200, during: 600, after: 800}
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if role := os.Getenv(memberEnv); role != "" {
		return runMember(role, os.Stdin, os.Stdout)
	}
	asked, err := measure.ParseStorms("storage/chaos", flag.NewFlagSet("chaos", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	n := whole
	if asked.Short {
		n = shorter
	}
	var all []fault
	for _, f := range faults {
		if asked.Only.MatchString(f.name) {
			all = append(all, f)
		}
	}
	start := time.Now()
	var rows []row
	var broken []string
	err = withServer(func(server *redistest.Server) error {
		return runStorm(ctx, server, all, n, func(r row) {
			rows = append(rows, r)
			if why := r.verdict(); why != "" {
				broken = append(broken, r.fault+": "+why)
			}
			fmt.Fprintf(stderr, "%s: after %.0f s\n", r.fault, time.Since(start).Seconds())
		})
	})
	if err != nil {
		return err
	}
	return asked.Finish(stdout, "chaos", table(rows), broken)
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
		sum.ended += r.ended
		sum.torn += r.torn
		sum.tooOld += r.tooOld
		sum.late += r.late
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | %d | %d | | | | | | |\n", sum.requests, sum.failed, sum.torn, sum.tooOld, sum.late)
	fmt.Fprintf(&b, "\n%d bodies ended early: the server lost them while they were read, and the origin had another page by then.\n", sum.ended)
	return b.String()
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
