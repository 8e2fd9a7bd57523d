package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
)

// env is the environment of a command.
type env struct {
	name           string // the beginning of each message
	stdout, stderr io.Writer
	secrets        []string // texts that are hidden in messages
}

// exit reports err and its hint on stderr, if it is not nil, and returns the exit code.
func (e *env) exit(err error) int {
	if err == nil {
		return exitOK
	}
	p := &problem{code: exitFailed, msg: err.Error()}
	if errors.As(err, &p) && p.msg == "" {
		return p.code
	}
	e.report(e.name + ": " + p.msg)
	if p.hint != "" {
		e.report(p.hint)
	}
	return p.code
}

// print writes text to stdout.
func (e *env) print(text string) error {
	_, err := io.WriteString(e.stdout, text)
	return cannotWrite(err)
}

// printJSON writes v to stdout, on a line for each field.
func (e *env) printJSON(v any) error { return cannotWrite(writeJSON(e.stdout, v, "  ")) }

// printAs writes the result of text to stdout, or object as JSON in one line.
func (e *env) printAs(asJSON bool, text func() string, object any) error {
	if !asJSON {
		return e.print(text())
	}
	return cannotWrite(writeJSON(e.stdout, object, ""))
}

// report writes a line to stderr, without secrets.
func (e *env) report(line string) { fmt.Fprintln(e.stderr, printable(e.hide(line))) }

// hide returns text without the known secrets and without the users and passwords of URLs.
func (e *env) hide(text string) string {
	for _, secret := range e.secrets {
		text = hideSecret(text, secret)
	}
	return userinfo.Hide(text)
}

// logger returns a Logger for the cache that writes to stderr: all decisions if verbose, otherwise only failures.
func (e *env) logger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	hide := func(_ []string, a slog.Attr) slog.Attr {
		if kind := a.Value.Kind(); kind == slog.KindString || kind == slog.KindAny {
			a.Value = slog.StringValue(e.hide(a.Value.String()))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(printableLines{e.stderr}, &slog.HandlerOptions{Level: level, ReplaceAttr: hide}))
}

// printableLines is an io.Writer that passes on printable lines. Each call of Write has one line.
type printableLines struct{ w io.Writer }

func (l printableLines) Write(line []byte) (int, error) {
	_, err := io.WriteString(l.w, printable(strings.TrimSuffix(string(line), "\n"))+"\n")
	return len(line), err
}
