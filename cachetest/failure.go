package cachetest

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
)

// A failure is a recorded error of Base. errors.Is and net.Error treat it as the original error.
type failure struct {
	kind string // a key of failures
	text string
}

// failures are the errors that programs test for, by their names in a fixture.
var failures = map[string]error{
	"":                   nil,
	"timeout":            nil,
	"canceled":           context.Canceled,
	"deadline exceeded":  context.DeadlineExceeded,
	"EOF":                io.EOF,
	"unexpected EOF":     io.ErrUnexpectedEOF,
	"connection refused": errRefused,
	"connection reset":   errReset,
}

// source matches the local address of a connection, which differs each time.
var source = regexp.MustCompile(`\S+->`)

func newFailure(err error, r *redaction) *failure {
	f := &failure{text: r.text(source.ReplaceAllString(err.Error(), ""))}
	for _, kind := range []string{"canceled", "deadline exceeded", "unexpected EOF", "EOF", "connection refused", "connection reset"} {
		if errors.Is(err, failures[kind]) {
			f.kind = kind
			return f
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		f.kind = "timeout"
	}
	return f
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() error   { return failures[f.kind] }
func (f *failure) Timeout() bool   { return f.kind == "timeout" || f.kind == "deadline exceeded" }
func (f *failure) Temporary() bool { return f.Timeout() }
