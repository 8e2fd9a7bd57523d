package measure

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

// Main runs a command until it ends or is interrupted. If it returns an error, the exit code is 1.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Storms are the flags of a command that injects faults, and its measure.
type Storms struct {
	Short bool           // fewer requests
	Only  *regexp.Regexp // for the names of the storms

	page, command string
	begun         time.Time
}

// ParseStorms parses the arguments of a command, which is run by "go run ./dir". flags may have other flags.
func ParseStorms(dir string, flags *flag.FlagSet, args []string) (*Storms, error) {
	s := &Storms{command: strings.TrimSpace("go run ./" + dir + " " + strings.Join(args, " ")), begun: time.Now()}
	flags.BoolVar(&s.Short, "short", false, "fewer requests")
	only := flags.String("only", "", "only the storms whose names match this regular `expression`")
	flags.StringVar(&s.page, "write", "", "put the table between the markers of this `page`")
	err := flags.Parse(args)
	if err != nil {
		return nil, err
	}
	if s.Only, err = regexp.Compile(*only); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.page != "" && (*only != "" || s.Short):
		return nil, errors.New("-write is for whole runs")
	}
	return s, nil
}

// Finish prints the table and how it was made. With -write, it also puts them into the block of the page. If promises
// were broken, it returns an error that lists them.
func (s *Storms) Finish(stdout io.Writer, block, table string, broken []string) error {
	text := table + fmt.Sprintf("\nMade by `%s` on %s, %s/%s with %d processors, in %.0f s.\n",
		s.command, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Since(s.begun).Seconds())
	fmt.Fprint(stdout, text)
	if s.page != "" {
		if err := ReplaceIn(s.page, block, text); err != nil {
			return err
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("promises were broken:\n  %s", strings.Join(broken, "\n  "))
	}
	return nil
}
