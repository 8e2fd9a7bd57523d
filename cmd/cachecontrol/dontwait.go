//go:build unix

package main

import "syscall"

// dontWait is the flag with which the opening of a pipe does not wait for its other end.
const dontWait = syscall.O_NONBLOCK
