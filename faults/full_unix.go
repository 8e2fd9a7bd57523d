//go:build unix

package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"
)

// limitFiles makes writes beyond the first 2 KiB of a file fail for half of the time, as on a full disk. It sends the
// number of such periods to times.
func limitFiles(ctx context.Context, times chan<- int64) {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	var n int64
	defer func() { times <- n }()
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old) != nil {
		return
	}
	limited := old
	limited.Cur = 2 << 10
	for ctx.Err() == nil {
		if syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited) == nil {
			n++
		}
		time.Sleep(10 * time.Millisecond)
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
		time.Sleep(10 * time.Millisecond)
	}
}
