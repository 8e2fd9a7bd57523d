package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/similar"
)

// command is one of the subcommands.
type command struct {
	name string

	// setup declares the flags and returns the function that runs the command.
	setup func(*flag.FlagSet) runFunc
}

// runFunc runs a command with the arguments that are not flags.
type runFunc func(ctx context.Context, e *env, args []string) error

//go:embed help/*.txt
var helpTexts embed.FS

// printHelp prints the help on a command or a topic.
func (e *env) printHelp(name string) error {
	text, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		return usageErrorf("there is no help on %q", name, "'cachecontrol help' lists the commands and the topics.")
	}
	return e.print(string(text))
}

// call parses the arguments, runs the command and returns its exit code.
func (c *command) call(ctx context.Context, e *env, args []string) int {
	sub := *e
	sub.name += " " + c.name
	fs := flag.NewFlagSet(sub.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are reported below, in the same form as all others
	run := c.setup(fs)
	rest, err := parseFlags(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return sub.exit(sub.printHelp(c.name))
	case err != nil:
		msg := secretValue.ReplaceAllString(err.Error(), "invalid value for flag -$1")
		msg = flagName.ReplaceAllString(msg, "$1 --$2")
		return sub.exit(usageErrorf("%s", msg, didYouMean(fs, msg)+"See 'cachecontrol help "+c.name+"'."))
	}
	return sub.exit(run(ctx, &sub, rest))
}

// didYouMean returns a question about the flag that an unknown flag in a message of package flag is meant to be, or "".
func didYouMean(fs *flag.FlagSet, msg string) string {
	_, name, ok := strings.Cut(msg, "not defined: ")
	if !ok {
		return ""
	}
	var names []string
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 {
			names = append(names, f.Name)
		}
	})
	likely := similar.Word(strings.TrimLeft(name, "-"), append(names, "help"))
	if likely == "" {
		return ""
	}
	return "Did you mean --" + likely + "? "
}

// flagName matches flag names in the messages of package flag that are documented with two dashes.
var flagName = regexp.MustCompile(`(flag|for|defined:|argument:) -([a-z][a-z-]+)`)

// secretValue matches values of flags that may contain a secret in the messages of package flag.
var secretValue = regexp.MustCompile(`(?s)invalid value ".*" for flag -(H|d|u|store|upstream)\b`)

// parseFlags parses args and returns the arguments that are not flags. Flags may come before, between and after them.
// Everything after "--" is an argument.
func parseFlags(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		left := fs.Args()
		if n := len(args) - len(left); len(left) == 0 || n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// noArguments checks the arguments of a command that takes none.
func noArguments(args []string) error {
	if len(args) > 0 {
		return usageErrorf("unexpected argument %q", args[0], "The command takes no arguments.")
	}
	return nil
}

// onlyDirectory returns the argument of a command that takes only a directory. example is a correct command line.
func onlyDirectory(args []string, example string) (string, error) {
	switch {
	case len(args) == 0:
		return "", usageErrorf("DIR is missing", "For example: cachecontrol "+example)
	case len(args) > 1:
		return "", usageErrorf("unexpected argument %q", args[1], "Name one directory at a time.")
	}
	return args[0], nil
}
