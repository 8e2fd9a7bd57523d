package cachedir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// strayAge is the minimum age of a file without an entry before it is considered left by a crash. Writers
// create all files of an entry within milliseconds. It also applies to our temporary files, whose lock shows
// whether they are being written. Python's have none; see tempAge.
const strayAge = time.Hour

// dirAge is the time for which a directory must have been empty before it is removed. A caller that has just
// emptied the directory removes it at once.
const dirAge = time.Minute

// tempAge is the minimum age of an abandoned temporary file if the file has no lock that shows whether it is being
// written. It is longer than any download.
const tempAge = 24 * time.Hour

// sweep walks through a part of a directory and removes useless files. All decisions on what to remove are
// here.
type sweep struct {
	root     string
	now      time.Time
	maxAge   time.Duration // entries not used for longer are removed; zero means no limit
	separate bool          // whether bodies are in separate files
	keepDirs bool          // keep empty directories for dirAge, because Python creates one before it uses it
	would    func(*Item)   // if not nil, called for entries to be evicted; then nothing is removed
	done     Trimmed
	err      error // the first error, except ErrBusy and fs.ErrNotExist
}

// failed records err if it is the first one, unless a file was in use or no longer exists.
func (s *sweep) failed(err error) {
	if s.err == nil && !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
	}
}

// removed calls remove, unless nothing is to be removed, and reports whether it succeeded.
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

// leaf sweeps a leaf directory and returns the remaining entries.
func (s *sweep) leaf(n int) []files {
	entries, temps, others, err := readLeaf(s.root, n)
	if err != nil {
		s.failed(fmt.Errorf("storage: %w", err))
		return nil
	}
	dir := leafPath(s.root, n)
	left := s.temps(dir, temps)
	kept := entries[:0]
	for _, f := range entries {
		s.separate = s.separate || f.head != nil && f.body != nil
		switch {
		case s.stray(&f):
			if s.removed(f.remove) {
				s.done.Orphans++
			}
		case isMarks(&f): // it must outlive the entries that are older
			left++
		case f.head == nil: // the metadata is not there yet, or a writer is between two renames
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

// temps removes the abandoned ones of the temporary files in a leaf directory and returns the number of the others.
func (s *sweep) temps(dir string, temps []fs.FileInfo) int {
	left := len(temps)
	for _, fi := range temps {
		if path := filepath.Join(dir, fi.Name()); abandoned(path, fi, s.now) && s.removed(func() error { return remove(path) }) {
			s.done.Orphans++
			left--
		}
	}
	return left
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

// expired reports whether the entry has not been used for longer than maxAge.
func (s *sweep) expired(f *files) bool { return s.maxAge > 0 && s.now.Sub(f.used()) > s.maxAge }

// isMarks reports whether the files are those of the entry under storage.MarksKey, which is neither evicted nor counted.
func isMarks(f *files) bool { return f.head != nil && filepath.Base(f.path) == marksHash }

// marksHash is the name of the file of the entry under storage.MarksKey.
var marksHash = Hash(storage.MarksKey)

// stray reports whether the files do not form an entry and are too old to become one.
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

// old reports whether a file does not exist or has not been written to for strayAge.
func (s *sweep) old(fi fs.FileInfo) bool { return fi == nil || s.now.Sub(fi.ModTime()) > strayAge }

// bodiless reports whether the document at path has no body but must have one.
func bodiless(path string) bool {
	f, fi, err := openRegular(path, openQuietly) // does not count as use
	if err != nil {
		return false
	}
	defer f.Close()
	e, _, length, err := document.Decode(f, fi.Size())
	switch {
	case err != nil || length > 0:
		return false
	case e.Foreign:
		return rules.ContentLength(e.Header) > 0 && !document.IsRedirect(e)
	}
	return e.Length > 0
}

// isDocument reports whether the file at path begins like a document of CacheControl, of any version, or is
// what a power failure leaves of one: empty, or only zeros.
func isDocument(path string) bool {
	f, _, err := openRegular(path, openQuietly) // does not count as use
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

// abandoned reports whether no program is writing the temporary file at path any more.
func abandoned(path string, fi fs.FileInfo, now time.Time) bool {
	if age := now.Sub(fi.ModTime()); !strings.HasPrefix(fi.Name(), tempPrefix) || age <= strayAge {
		return age > tempAge
	}
	return unheld(path)
}

// unheld reports whether one of our temporary files is not locked. Its writer holds the lock.
func unheld(path string) bool {
	unlock, err := takeLock(endedContext, path, false)
	if err == nil {
		unlock()
	}
	return err == nil
}

// evict removes an entry and counts it, unless it is in use or only its name is that of an entry. The caller removes its directory.
func (s *sweep) evict(f *files) bool {
	if isMarks(f) || f.usedSince() || !isDocument(f.path) || !s.removed(f.remove) {
		return false
	}
	s.done.EvictedEntries++
	s.done.EvictedBytes += f.size()
	if s.would != nil {
		s.would((&Directory{path: s.root}).item(*f))
	}
	return true
}

// remove removes the files and locks of an entry. If a lock is held or a file has changed, it removes nothing
// and returns an error that wraps ErrBusy.
func (f *files) remove() error {
	release, err := f.lock(endedContext)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: another process holds its lock", ErrBusy)
	}
	if err != nil {
		return err
	}
	defer release()
	if !unchanged(f.path, f.head) || !unchanged(f.path+bodySuffix, f.body) {
		return fmt.Errorf("%w: it has changed in the meantime", ErrBusy)
	}
	return removePair(f.path)
}

// lock takes the locks of an entry that is to be removed. release also removes the lock files.
//
// An entry without a lock file can be removed without one: whole files are removed, the metadata first, so a
// reader never sees more of an entry than before. The holder of a lock removes its file. Programs that wait
// for the lock check afterwards that it is still the lock file. filelock before 3.13 does not, so that it
// could write at the same time as another writer; then one of two complete entries is kept.
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
	return func() { removeLocked(unlock, held...) }, nil
}

// usedSince reports whether the entry has been used since f was read.
func (f *files) usedSince() bool {
	for name, fi := range map[string]fs.FileInfo{f.path: f.head, f.path + bodySuffix: f.body} {
		if now, err := lstat(name); err == nil && fi != nil && lastUse(now).After(lastUse(fi)) {
			return true
		}
	}
	return false
}

// eachLeaf calls visit for each existing leaf directory in order, beginning with from, until visit returns
// false; then it returns false, too. It calls read for each directory that it reads.
func (s *sweep) eachLeaf(from int, read func(), visit func(n int) bool) bool {
	var level func(dir string, depth, prefix int) bool
	level = func(dir string, depth, prefix int) bool {
		if depth == levels {
			return visit(prefix)
		}
		list, err := readDir(dir)
		if err != nil {
			s.failed(fmt.Errorf("storage: %w", err))
			return true
		}
		read()
		first := from >> (4 * (levels - 1 - depth))
		for _, e := range list {
			if !isDigit(e) {
				continue
			}
			if n := prefix<<4 | digit(e.Name()); n >= first && !level(filepath.Join(dir, e.Name()), depth+1, n) {
				return false
			}
		}
		return true
	}
	return level(s.root, 0, 0)
}

// Trimmed is the result of Trim.
type Trimmed struct {
	Entries, Bytes               int64 // kept
	EvictedEntries, EvictedBytes int64 // evicted
	Orphans                      int64 // removed files left by writers that died, and locks of removed entries
}
