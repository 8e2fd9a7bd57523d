// Command cachecontrol shows, uses and explains the HTTP cache of this module.
//
// See "cachecontrol help" for its commands and exit codes.
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
	"strings"
	"syscall"
)

// The exit codes, as "cachecontrol help" documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitHTTPError   = 3   // get -f: a status of 400 or more
	exitInterrupted = 130 // the code that a shell reports after Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the command that args name and returns its exit code. It stops early if ctx is canceled.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{name: "cachecontrol", stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	if name == "help" {
		return e.exit(help(e, args))
	}
	for _, c := range commands() {
		if c.name == name {
			return c.call(ctx, e, args)
		}
	}
	return e.fail(unknownCommand(name))
}

// env is the environment of a command: its input and output, and the name for its messages.
type env struct {
	name           string // the beginning of each message
	stdin          io.Reader
	stdout, stderr io.Writer
	secrets        []string // texts that are hidden in messages
}

// command is one of the subcommands.
type command struct {
	name  string
	short string // one line for the overview
	usage string // the text of "cachecontrol help NAME"

	// setup declares the flags and returns the function that runs the command with the arguments after them.
	setup func(*flag.FlagSet) func(ctx context.Context, e *env, args []string) error
}

func commands() []command {
	return []command{
		demoCommand, getCommand, explainCommand, proxyCommand, serveCommand,
		lsCommand, showCommand, rmCommand, pruneCommand, verifyCommand, statsCommand, versionCommand,
	}
}

func names() []string {
	var list []string
	for _, c := range commands() {
		list = append(list, c.name)
	}
	return append(list, "help")
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

// problem is an error with an exit code and a hint for the user.
type problem struct {
	code int    // the exit code
	msg  string // what went wrong; empty if it has been reported already
	hint string // what the user can do; may be empty
	err  error
}

func (p *problem) Error() string { return p.msg }
func (p *problem) Unwrap() error { return p.err }

// usageErrorf returns a problem with the command line. The last argument is the hint, not an argument of the format.
func usageErrorf(format string, args ...any) error {
	last := len(args) - 1
	return &problem{code: exitUsage, msg: fmt.Sprintf(format, args[:last]...), hint: args[last].(string)}
}

// failed returns a problem with the operation. hint may be empty.
func failed(err error, what, hint string) error {
	return &problem{code: exitFailed, msg: what + ": " + err.Error(), hint: hint, err: err}
}

// exit returns the exit code for err. It reports err on stderr if it is not nil.
func (e *env) exit(err error) int {
	if err == nil {
		return exitOK
	}
	return e.fail(err)
}

// print writes text to stdout.
func (e *env) print(text string) error {
	if _, err := io.WriteString(e.stdout, text); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// printAs writes the result of text to stdout, or object as JSON in one line.
func (e *env) printAs(asJSON bool, text func() string, object any) error {
	if !asJSON {
		return e.print(text())
	}
	if err := writeJSON(e.stdout, object, ""); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// cannotWrite returns the error of a command that cannot write to stdout.
func cannotWrite(err error) error { return failed(err, "cannot write to stdout", "") }

// tell writes a line to stderr, without secrets.
func (e *env) tell(line string) { fmt.Fprintln(e.stderr, printable(e.hide(line))) }

// hide returns text without the known secrets and without the users and passwords of URLs.
func (e *env) hide(text string) string {
	for _, secret := range e.secrets {
		text = strings.ReplaceAll(text, secret, "xxxxx")
	}
	return withoutUserinfo(text)
}

// fail reports err and its hint on stderr and returns the exit code.
func (e *env) fail(err error) int {
	p := &problem{code: exitFailed, msg: err.Error()}
	if errors.As(err, &p) && p.msg == "" {
		return p.code
	}
	e.tell(e.name + ": " + p.msg)
	if p.hint != "" {
		e.tell(p.hint)
	}
	return p.code
}
