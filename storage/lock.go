package storage

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockSuffix = ".lock"
	bodySuffix = ".body"

	// lockWait bounds the wait for a lock where the context has no deadline.
	lockWait = 10 * time.Second
)

// lock takes the lock of path, PATH.lock, and returns the function that releases it. Python's filelock takes the same
// one, so the two exclude each other. The wait ends with the context, or after lockWait if the context has no
// deadline. A lock that is free is taken even if the context has ended.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	return takeLock(ctx, path+lockSuffix, true)
}

// lockThere is lock if the lock file exists, for tools that only look and so create nothing. If there is none, the error wraps
// fs.ErrNotExist.
func lockThere(ctx context.Context, path string) (unlock func(), err error) {
	return takeLock(ctx, path+lockSuffix, false)
}

func takeLock(ctx context.Context, name string, create bool) (unlock func(), err error) {
	l, err := newLock(name, create)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lockWait)
		defer cancel()
	}
	// Writers hold a lock for a rename or two, so the first looks come quickly.
	for delay := 50 * time.Microsecond; ; delay = min(2*delay, 10*time.Millisecond) {
		ok, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("storage: lock: %w", err)
		}
		if ok {
			if current(l) {
				return func() { l.Unlock() }, nil
			}
			l.Unlock()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("storage: lock %s: %w", name, context.Cause(ctx))
		case <-time.After(delay):
		}
	}
}

// current reports whether the file that l has locked is still the lock file. Some versions of Python's filelock remove
// theirs when they release it, and a lock on a removed file excludes no one.
func current(l *flock.Flock) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	named, err := lstat(l.Path())
	return err == nil && os.SameFile(held, named)
}
