// Command cachecontrol shows, uses and explains the HTTP cache of this module.
//
// See "cachecontrol help" for its commands and exit codes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command that args name and returns its exit code. It stops early if ctx is canceled.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	e := &env{name: "cachecontrol", stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return e.exit(help(e, args))
	case "-version", "--version":
		name = "version"
	}
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c.call(ctx, e, args)
		}
		names = append(names, c.name)
	}
	return e.exit(usageErrorf("there is no command %q", name, "The commands are "+strings.Join(names, ", ")+" and help."))
}

func commands() []command {
	return []command{
		demoCommand, getCommand, explainCommand, proxyCommand, serveCommand,
		lsCommand, showCommand, rmCommand, pruneCommand, verifyCommand, statsCommand, versionCommand,
	}
}

// overview returns the text of "cachecontrol help".
func overview() string {
	var b strings.Builder
	b.WriteString(`cachecontrol is an HTTP cache that follows RFC 9111. For example:

    cachecontrol get -i https://example.com/

Usage:
    cachecontrol COMMAND [flags] [arguments]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "    %-9s %s\n", c.name, c.short)
	}
	b.WriteString(`    help      print the help on a command or a topic

Topics:
    directory cache directories, DIR
    store     stores, STORE

Exit codes:
    0         success
    1         the operation failed
    2         the command line is wrong
    3         get -f: the status was 400 or more
    130       interrupted
`)
	return b.String()
}

func help(e *env, args []string) error {
	switch len(args) {
	case 0:
		return e.print(overview())
	case 1:
		if text, ok := helpOn(args[0]); ok {
			return e.print(text)
		}
		return usageErrorf("there is no help on %q", args[0], "'cachecontrol help' lists the commands and the topics.")
	}
	return usageErrorf("unexpected argument %q", args[1], "Name one command at a time.")
}
