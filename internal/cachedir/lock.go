package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockSuffix = ".lock"
	bodySuffix = ".body"

	// lockWait limits the wait for a lock if the context has no deadline.
	lockWait = 10 * time.Second
)

// lock locks the file path.lock and returns the function that unlocks it. Python's filelock uses the same
// lock. lock waits until the context ends, or for lockWait if the context has no deadline. If the lock is
// free, it is taken even if the context has ended.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	return takeLock(ctx, path+lockSuffix, true)
}

// lockThere is like lock, but does not create the lock file. If the file does not exist, the error wraps
// fs.ErrNotExist. It is for tools that only read.
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
	// Writers hold a lock only for one or two renames, so the first retries are quick.
	for try, delay := 0, 50*time.Microsecond; ; try, delay = try+1, min(2*delay, 10*time.Millisecond) {
		ok, err := l.TryLock()
		// On Windows, a file cannot be opened while another program removes it. It may also be a file that is never to be opened.
		if err != nil && (!isOpen(err) || errors.Is(err, fs.ErrPermission) && try >= 20) {
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

// current reports whether the file that l has locked is still the lock file. Some versions of Python's
// filelock remove the lock file when they release it, and a lock on a removed file has no effect.
func current(l *flock.Flock) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	named, err := lstat(l.Path())
	return err == nil && os.SameFile(held, named)
}

// removeLocked removes files whose locks are held, and then calls unlock, which releases these locks.
func removeLocked(unlock func(), names ...string) {
	if runtime.GOOS == "windows" { // an open file cannot be removed
		unlock()
	}
	for _, name := range names {
		os.Remove(name)
	}
	unlock()
}
