package cachetest

import "syscall"

// The numbers of Winsock. syscall.ECONNREFUSED and ECONNRESET are numbers of Go, which Windows never returns.
const (
	errRefused = syscall.Errno(10061)
	errReset   = syscall.WSAECONNRESET
)
