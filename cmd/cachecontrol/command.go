package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"regexp"
)

// command is one of the subcommands.
type command struct {
	name  string
	short string // one line for the overview
	usage string // the text of "cachecontrol help NAME"

	// setup declares the flags and returns the function that runs the command with the arguments after them.
	setup func(*flag.FlagSet) func(ctx context.Context, e *env, args []string) error
}

// call parses the arguments, runs the command and returns its exit code.
func (c *command) call(ctx context.Context, e *env, args []string) int {
	sub := *e
	sub.name += " " + c.name
	fs := flag.NewFlagSet(sub.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are reported below, in the same form as all others
	do := c.setup(fs)
	rest, err := parseFlags(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return sub.exit(sub.print(c.usage))
	case err != nil:
		msg := secretValue.ReplaceAllString(err.Error(), "invalid value for flag -$1")
		msg = flagName.ReplaceAllString(msg, "$1 --$2")
		return sub.fail(&problem{code: exitUsage, msg: msg, hint: "See 'cachecontrol help " + c.name + "'."})
	}
	return sub.exit(do(ctx, &sub, rest))
}

// flagName matches flag names in the messages of package flag that are documented with two dashes.
var flagName = regexp.MustCompile(`(flag|for|defined:|argument:) -([a-z][a-z-]+)`)

// secretValue matches values of flags that may contain a secret in the messages of package flag.
var secretValue = regexp.MustCompile(`(?s)invalid value ".*" for flag -(H|store|upstream)\b`)

// parseFlags parses args and returns the arguments that are not flags. Flags may stand before, between and after them.
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
