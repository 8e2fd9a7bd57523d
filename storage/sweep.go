package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// strayAge is how old a file must be that belongs to no entry before it is taken for one that a crash left: writers put
// the files of an entry in place within milliseconds. It holds for temporary files of ours, too, which tell whether
// somebody writes them; those of Python do not (tempAge).
const strayAge = time.Hour

// dirAge is how long a directory is empty before it is removed, but by those who have just emptied it.
const dirAge = time.Minute

// sweep walks through a part of a directory and removes what is of no use. What may be removed is said here, and
// nowhere else.
type sweep struct {
	root     string
	now      time.Time
	maxAge   time.Duration // entries not used for longer are removed; 0: none
	separate bool          // bodies have files of their own here
	keepDirs bool          // empty directories stay for dirAge: Python makes one before it uses it
	would    func(*Item)   // called with what would be evicted, instead of removing anything; nil: it is removed
	done     Trimmed
	err      error // the first reason why something could not be looked at or removed, but that somebody uses it
}

// failed keeps an error, if it is the first one, and not that somebody uses something or it is gone.
func (s *sweep) failed(err error) {
	if s.err == nil && !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
	}
}

// removed has something removed, where anything is, and reports whether it is gone.
func (s *sweep) removed(remove func() error) bool {
	if s.would != nil {
		return true
	}
	err := remove()
	if err != nil {
		s.failed(err)
	}
	return err == nil
}

// leaf sweeps a leaf directory, and returns the entries that are left.
func (s *sweep) leaf(n int) []files {
	entries, temps, others, err := readLeaf(s.root, n)
	if err != nil {
		s.failed(fmt.Errorf("storage: %w", err))
		return nil
	}
	dir := leafPath(s.root, n)
	left := len(temps)
	for _, fi := range temps {
		if path := filepath.Join(dir, fi.Name()); abandoned(path, fi, s.now) && s.removed(func() error { return remove(path) }) {
			s.done.Orphans++
			left--
		}
	}
	kept := entries[:0]
	for _, f := range entries {
		s.separate = s.separate || f.head != nil && f.body != nil
		switch {
		case s.stray(&f):
			if s.removed(f.remove) {
				s.done.Orphans++
			}
		case f.head == nil: // not yet, or a writer is between two renames
			left++
		case s.expired(&f) && s.evict(&f):
		default:
			kept = append(kept, f)
			s.done.Entries++
			s.done.Bytes += f.size()
		}
	}
	if len(kept)+left+len(others) == 0 && s.would == nil && (!s.keepDirs || emptyFor(dir, s.now) > dirAge) {
		removeEmpty(s.root, dir)
	}
	return kept
}

// expired reports whether an entry was not used for too long.
func (s *sweep) expired(f *files) bool { return s.maxAge > 0 && s.now.Sub(f.used()) > s.maxAge }

// stray reports whether the files are not an entry's, and never will be.
func (s *sweep) stray(f *files) bool {
	switch {
	case f.head == nil && f.body == nil:
		return s.old(f.headLock) && s.old(f.bodyLock)
	case f.head == nil:
		return s.old(f.body)
	case f.body == nil:
		return s.separate && s.old(f.head) && bodiless(f.path)
	}
	return false
}

// old reports whether a file, if there is one, has not been written to for strayAge.
func (s *sweep) old(fi fs.FileInfo) bool { return fi == nil || s.now.Sub(fi.ModTime()) > strayAge }

// bodiless reports whether the document at path is the head of a body that is missing.
func bodiless(path string) bool {
	f, fi, err := openRegular(path, openQuietly) // to look at it is no use of it
	if err != nil {
		return false
	}
	defer f.Close()
	e, _, length, err := serialize.Decode(f, fi.Size())
	switch {
	case err != nil || length > 0:
		return false
	case e.Foreign:
		return contentLength(e) > 0 && !isRedirect(e)
	}
	return e.Length > 0
}

// isDocument reports whether the file at path begins as the documents of CacheControl do, of whatever version, or is what a power cut
// leaves of one: nothing, or zeros.
func isDocument(path string) bool {
	f, _, err := openRegular(path, openQuietly) // looking at it does not count as use
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 512)
	n, err := f.ReadAt(b, 0)
	if err != nil && !isEOF(err) {
		return false
	}
	b = b[:n]
	if n >= 5 && string(b[:3]) == "cc=" && '0' <= b[3] && b[3] <= '9' && b[4] == ',' {
		return true
	}
	return string(b) == "cc=4,"[:min(n, 5)] || len(bytes.Trim(b, "\x00")) == 0
}

// abandoned reports whether nobody writes the temporary file at path any more.
func abandoned(path string, fi fs.FileInfo, now time.Time) bool {
	age := now.Sub(fi.ModTime())
	if !strings.HasPrefix(fi.Name(), tempPrefix) {
		return age > tempAge
	}
	if age <= strayAge {
		return false
	}
	unlock, err := takeLock(endedContext, path, false) // its writer holds the lock
	if err == nil {
		unlock()
	}
	return err == nil
}

// evict removes an entry, if nobody uses it, and counts it. A file that only has the name of an entry stays.
func (s *sweep) evict(f *files) bool {
	if f.usedSince() || !isDocument(f.path) || !s.removed(f.remove) {
		return false
	}
	s.done.EvictedEntries++
	s.done.EvictedBytes += f.size()
	if s.would != nil {
		s.would((&Directory{path: s.root}).item(*f))
	} else if !s.keepDirs {
		removeEmpty(s.root, filepath.Dir(f.path))
	}
	return true
}

// remove removes the files of an entry and their locks. It leaves them, and returns an error that wraps ErrBusy, where
// somebody holds a lock, or they are no longer as they were.
func (f *files) remove() error {
	release, err := f.lock(endedContext)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: somebody holds its lock", ErrBusy)
	}
	if err != nil {
		return err
	}
	defer release()
	if !unchanged(f.path, f.head) || !unchanged(f.path+bodySuffix, f.body) {
		return fmt.Errorf("%w: it has changed meanwhile", ErrBusy)
	}
	return removePair(f.path)
}

// lock takes the locks that an entry has, to remove it. release removes them, too.
//
// An entry without a lock file needs none to be removed: whole files go, the head first, and whatever a writer does
// meanwhile, nobody can see more of an entry than before. A lock file is removed by the one who holds it. Who waits for
// it looks again whether it is still the lock; filelock before 3.13 does not, and could then write at the same time as
// another: of two whole entries either wins.
func (f *files) lock(ctx context.Context) (release func(), err error) {
	if f.headLock == nil && f.bodyLock == nil {
		return func() {}, nil
	}
	take, held := lockPair, []string{f.path + bodySuffix + lockSuffix, f.path + lockSuffix}
	if f.body == nil && f.bodyLock == nil {
		take, held = lock, held[1:]
	}
	unlock, err := take(ctx, f.path)
	if err != nil {
		return nil, err
	}
	return func() {
		if runtime.GOOS == "windows" { // where nobody can remove a file that is open
			unlock()
		}
		for _, name := range held {
			os.Remove(name)
		}
		unlock()
	}, nil
}

// usedSince reports whether an entry was used since f was made.
func (f *files) usedSince() bool {
	for name, fi := range map[string]fs.FileInfo{f.path: f.head, f.path + bodySuffix: f.body} {
		if now, err := lstat(name); err == nil && fi != nil && lastUse(now).After(lastUse(fi)) {
			return true
		}
	}
	return false
}
