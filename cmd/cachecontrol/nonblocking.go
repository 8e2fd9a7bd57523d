//go:build unix

package main

import "syscall"

// nonBlocking is the flag with which the opening of a pipe does not wait for its other end.
const nonBlocking = syscall.O_NONBLOCK
