package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The exit codes, as "cachecontrol help" documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitHTTPError   = 3   // get -f: a status of 400 or more
	exitNotes       = 4   // explain --fail-on: there is such a note
	exitInterrupted = 130 // the code that a shell reports after Ctrl-C
)

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

// failed returns a problem with the operation, or nil if err is nil. hint may be empty.
func failed(err error, what, hint string) error {
	if err == nil {
		return nil
	}
	return &problem{code: exitFailed, msg: what + ": " + err.Error(), hint: hint, err: err}
}

// cannotWrite returns the error of a command that cannot write to stdout.
func cannotWrite(err error) error { return failed(err, "cannot write to stdout", "") }

var interrupted = &problem{code: exitInterrupted, msg: "interrupted"}

// pathless returns err without its path, for messages that contain the path already.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// reason returns the message of an error without the names of the packages storage and serialize, and of ErrUnreadable.
func reason(err error) string {
	s := err.Error()
	for _, prefix := range []string{storage.ErrUnreadable.Error() + ": ", "storage: ", "serialize: "} {
		s = strings.ReplaceAll(s, prefix, "")
	}
	return s
}
