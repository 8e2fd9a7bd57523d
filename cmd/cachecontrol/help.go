package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

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

func unknownCommand(name string) error {
	return usageErrorf("there is no command %q", name, "Write one of: "+strings.Join(names(), ", ")+".")
}

var versionCommand = command{
	name:  "version",
	short: "print the version",
	usage: `Usage:
    cachecontrol version

Prints the version of the module, of Go, and the revision where it is known.
`,
	setup: func(*flag.FlagSet) func(context.Context, *env, []string) error {
		return func(_ context.Context, e *env, args []string) error {
			if len(args) > 0 {
				return usageErrorf("unexpected argument %q", args[0], "Write 'cachecontrol version' alone.")
			}
			return e.print(version() + "\n")
		}
	},
}

func version() string {
	v, details := "(unknown)", []string{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		set := map[string]string{}
		for _, s := range info.Settings {
			set[s.Key] = s.Value
		}
		if rev := set["vcs.revision"]; rev != "" {
			if set["vcs.modified"] == "true" {
				rev += ", modified"
			}
			details = append(details, rev)
		}
	}
	return "cachecontrol " + v + " (" + strings.Join(details, ", ") + ")"
}
