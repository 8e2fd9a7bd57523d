package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// leasesName is the name of the directory in the cache directory that holds the files of leases. They are not next to
// the entries, because the directory of an entry that is never stored would have to be created and removed.
//
// The file of a lease has the name of its entry. Its holder keeps it locked, so that others notice if the holder dies,
// and removes it. Its modification time is the time at which the lease ends. A file is only created or removed under
// another lock, its guard. So no file is removed that has just replaced the one that was looked at.
const leasesName = ".leases"

// maxLease is the longest lease, whose end can still be expressed as the time of a file.
const maxLease = 100 * 365 * 24 * time.Hour

// guardWait limits the wait for a guard, which is held only for a few system calls.
const guardWait = time.Second

// Lease implements storage.Leaser. The lease also ends when this process does, however it ends. If Lease cannot lock a
// file or create it, it returns an error.
func (c *FileCache) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	return c.opened().lease(ctx, key, d)
}

// Lease implements storage.Leaser as the Lease of a FileCache does.
func (c *SeparateBodyFileCache) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	return c.opened().lease(ctx, key, d)
}

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

// guard takes the guard of the lease file at path. The guard has a file only while it is held or waited for.
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
	return true, remove(path)
}

// holdLease creates the file at path, which does not exist, and locks it. The caller has the guard. end releases the
// lease. If the lease has ended before, the file may be that of another holder by then, and stays.
func holdLease(path string, until time.Time) (end func(), err error) {
	// A new file is not a link to a file with another purpose, whose time would be changed.
	if err := writeNew(path, nil, defaultFileMode, until); err != nil {
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

// leases removes the files of leases that ended long ago, and the guards that dead processes have left.
func (s *sweep) leases() {
	dir := filepath.Join(s.root, leasesName)
	if fi, err := lstat(dir); err != nil || !fi.IsDir() {
		return
	}
	list, err := readDir(dir)
	if err != nil {
		s.failed(fmt.Errorf("storage: %w", err))
		return
	}
	for _, e := range list {
		fi, err := entryInfo(dir, e)
		hash := strings.TrimSuffix(e.Name(), lockSuffix)
		if err != nil || !fi.Mode().IsRegular() || len(hash) != hashLen || !isHex(hash) || !s.old(fi) {
			continue
		}
		if s.removed(func() error { return removeLease(filepath.Join(dir, hash)) }) {
			s.done.Orphans++
		}
	}
	if s.would == nil && !s.keepDirs {
		os.Remove(dir) // fails if a lease is held
	}
}

// removeLease removes the file of a lease, unless something holds the lease or its guard.
func removeLease(path string) error {
	unguard, err := guard(endedContext, path)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: another process holds its lock", ErrBusy)
	}
	if err != nil {
		return err
	}
	defer unguard()
	free, err := clearLease(path)
	if err == nil && !free {
		err = fmt.Errorf("%w: another process holds the lease", ErrBusy)
	}
	return err
}
