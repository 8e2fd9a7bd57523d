package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// maxLease is the longest lease. Its end is the time of a file, which on some systems has 32 bits and thus ends in 2038.
const maxLease = 365 * 24 * time.Hour

// guardWait limits the wait for a guard, which is held only for a few system calls.
const guardWait = time.Second

// leaseTries is how often the file of a lease that has ended is tried to be removed while its holder has it open, on Windows.
const leaseTries = 100

// lease takes the lease of key. The file of a lease is named like its entry, in a directory of its own. Its holder
// keeps it locked, so that others notice if the holder dies, and removes it. Its modification time is the time at which
// the lease ends. A file is only created or removed under another lock, its guard. So no file is removed that has just
// replaced the one that was looked at.
func (t *tree) lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if err := t.check(ctx); err != nil {
		return nil, false, err
	}
	dir := filepath.Join(t.dir, leasesName)
	if fi, err := lstat(dir); err == nil && !fi.IsDir() {
		return nil, false, fmt.Errorf("storage: %s: %w", dir, errIrregular)
	}
	path := filepath.Join(dir, Hash(key))
	var unguard func()
	if _, err = t.within(dir, false, func() (err error) {
		unguard, err = guard(ctx, path)
		return err
	}); err != nil {
		return nil, false, err
	}
	defer unguard()
	if free, err := clearLease(path); !free || err != nil {
		return nil, false, err
	}
	end, err := holdLease(path, time.Now().Add(min(d, maxLease)))
	if err != nil {
		return nil, false, fmt.Errorf("storage: lease: %w", err)
	}
	end = sync.OnceFunc(end)
	timer := time.AfterFunc(d, end)
	return func() { timer.Stop(); end() }, true, nil
}

// guard takes the guard of the lease file at path. The file of the guard exists only while the guard is held or waited for.
func guard(ctx context.Context, path string) (unguard func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, guardWait)
	defer cancel()
	unlock, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	return func() { removeLocked(unlock, path+lockSuffix) }, nil
}

// clearLease reports whether nothing holds the lease whose file is at path. It removes the file if its holder has died or
// the lease has ended. The caller has the guard.
func clearLease(path string) (free bool, err error) {
	fi, err := lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("storage: lease: %w", err)
	case !fi.Mode().IsRegular():
		return false, fmt.Errorf("storage: lease: %s: %w", path, errIrregular)
	}
	if time.Now().Before(fi.ModTime()) {
		unlock, err := takeLock(endedContext, path, false)
		switch {
		case errors.Is(err, context.Canceled): // its holder lives
			return false, nil
		case errors.Is(err, fs.ErrNotExist):
			return true, nil
		case err != nil:
			return false, err
		}
		unlock()
	}
	return true, removeClosed(path, leaseTries)
}

// holdLease creates the file at path, which does not exist, and locks it. The caller has the guard. end releases the
// lease. If the lease has ended before, the file may be that of another holder by then, and stays.
func holdLease(path string, until time.Time) (end func(), err error) {
	// A new file is not a link to a file with another purpose, whose time would be changed.
	if err := untilClosed(leaseTries, func() error { return writeNew(path, nil, defaultFileMode, until) }); err != nil {
		return nil, err
	}
	unlock, err := takeLock(endedContext, path, false)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	fi, err := lstat(path)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		defer unlock()
		if runtime.GOOS == "windows" { // whoever takes the lease next cannot remove a file that is open
			unlock()
		}
		unguard, err := guard(context.Background(), path)
		if err != nil { // the next Lease or a sweep removes the file
			return
		}
		defer unguard()
		if stillAt(path, fi) {
			removeLocked(unlock, path)
		}
	}, nil
}
