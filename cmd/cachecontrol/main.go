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

func unknownCommand(name string) error {
	return usageErrorf("there is no command %q", name, "Write one of: "+strings.Join(names(), ", ")+".")
}

// overview returns the text of "cachecontrol help".
func overview() string {
	var b strings.Builder
	b.WriteString(`cachecontrol is an HTTP cache that follows RFC 9111, as a command.

Usage:
    cachecontrol COMMAND [flags] [arguments]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "    %-9s %s\n", c.name, c.short)
	}
	b.WriteString(`    help      say more about a command: cachecontrol help COMMAND

Exit codes:
    0         success
    1         the operation failed
    2         the command line is wrong
    3         get -f: the origin answered with status 400 or above
    130       interrupted
`)
	return b.String()
}

func help(e *env, args []string) error {
	switch len(args) {
	case 0:
		return e.print(overview())
	case 1:
		for _, c := range commands() {
			if c.name == args[0] {
				return e.print(c.usage)
			}
		}
		return unknownCommand(args[0])
	}
	return usageErrorf("unexpected argument %q", args[1], "Ask for help with one command at a time.")
}
