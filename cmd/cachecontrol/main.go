// Command cachecontrol shows, uses and explains the HTTP cache of this module.
//
// See "cachecontrol help" for its commands and exit codes.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-cachecontrol/cachecontrol/internal/similar"
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
		text, _ := helpTexts.ReadFile("help/help.txt")
		stderr.Write(text)
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
	hint := "The commands are " + strings.Join(names, ", ") + " and help."
	if likely := similar.Word(name, append(names, "help")); likely != "" {
		hint = "Did you mean " + likely + "? " + hint
	}
	return e.exit(usageErrorf("there is no command %q", name, hint))
}

func commands() []command {
	return []command{
		{"demo", demoCommand}, {"get", getCommand}, {"explain", explainCommand}, {"proxy", proxyCommand}, {"serve", serveCommand},
		{"ls", lsCommand}, {"show", showCommand}, {"rm", rmCommand}, {"prune", pruneCommand}, {"clear", clearCommand}, {"invalidate", invalidateCommand}, {"verify", verifyCommand}, {"stats", statsCommand},
		{"import", importCommand}, {"completion", completionCommand}, {"man", manCommand}, {"version", versionCommand},
	}
}

func help(e *env, args []string) error {
	switch len(args) {
	case 0:
		return e.printHelp("help")
	case 1:
		return e.printHelp(args[0])
	}
	return usageErrorf("unexpected argument %q", args[1], "Name one command at a time.")
}
