package cachetest

import "syscall"

// The texts of the system's errors, which have no numbers here.
const (
	errRefused = syscall.ErrorString("connection refused")
	errReset   = syscall.ErrorString("connection reset")
)
