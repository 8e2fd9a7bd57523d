package storage

import (
	"context"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"time"
)

// Limits say what a cache directory may hold.
type Limits struct {
	// MaxBytes is how much space on disk the entries may take, each file rounded up to 4 KiB. 0: no bound.
	MaxBytes int64

	// MaxAge is for how long an entry may stay without being used. 0: no bound.
	MaxAge time.Duration

	// Would, if not nil, is called with each entry that is to be evicted, instead of removing anything: Trim changes
	// nothing then, and returns what it would have left and removed if nobody used the directory.
	Would func(*Item)
}

// Trimmed says what Trim left and what it removed.
type Trimmed struct {
	Entries, Bytes               int64 // left
	EvictedEntries, EvictedBytes int64 // removed
	Orphans                      int64 // removed too: what writers that died have left, locks of entries that are gone
}

// Trim brings a cache directory, of either file cache and of Python's, within its limits, beside programs that use it.
// First go the entries that were used least recently, which is known to an hour at best, and told by the access time
// of their files; entries of equal age, within a percent, go in any order. An entry whose lock is held, or that is used
// meanwhile, stays. With it go what belongs to no entry: temporary files that nobody writes, and bodies, heads of bodies
// and locks left alone for an hour, and empty directories. Files that are none of a cache's are not touched.
//
// The memory that it takes does not depend on the size of the directory. progress, if not nil, is called often, with
// the part of the work that is done, from 0 to 1. When the context ends, Trim returns its error and what was done. What
// could not be looked at or removed, though nobody uses it, stays; all else is done, and the error is the first of these.
func Trim(ctx context.Context, dir string, limits Limits, progress func(done float64)) (Trimmed, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return Trimmed{}, fmt.Errorf("storage: %w", err)
	}
	root = realDir(root)
	if fi, err := os.Stat(root); err != nil {
		return Trimmed{}, fmt.Errorf("storage: %w", err)
	} else if !fi.IsDir() {
		return Trimmed{}, fmt.Errorf("storage: %w", &fs.PathError{Op: "trim", Path: root, Err: fs.ErrInvalid})
	}
	s := sweep{root: root, now: time.Now(), maxAge: limits.MaxAge, would: limits.Would}
	s.separate = s.hasBodies()
	passes := 1.0
	if limits.MaxBytes > 0 {
		passes = 2
	}
	report := func(pass float64, n int) {
		if progress != nil {
			progress((pass + float64(n)/leaves) / passes)
		}
	}
	var ages histogram
	s.eachLeaf(0, func() {}, func(n int) bool {
		for _, f := range s.leaf(n) {
			ages.add(s.now.Sub(f.used()), f.size())
		}
		report(0, n)
		return ctx.Err() == nil
	})
	if excess := s.done.Bytes - limits.MaxBytes; limits.MaxBytes > 0 && excess > 0 && ctx.Err() == nil {
		oldest, between := ages.cut(excess)
		s.eachLeaf(0, func() {}, func(n int) bool {
			entries, _, _, _ := readLeaf(root, n)
			for i := range entries {
				f := &entries[i]
				age := ages.bucket(s.now.Sub(f.used()))
				if s.would != nil && (s.stray(f) || s.expired(f)) { // it would be gone by now
					continue
				}
				if f.head == nil || age < oldest || age == oldest && between <= 0 || !s.evict(f) {
					continue
				}
				if age == oldest {
					between -= f.size()
				}
				s.done.Entries--
				s.done.Bytes -= f.size()
			}
			report(1, n)
			return ctx.Err() == nil
		})
	}
	if err := ctx.Err(); err != nil {
		return s.done, err
	}
	if s.would == nil {
		forgetState(root)
		if s.done.Entries == 0 {
			os.Remove(filepath.Join(root, rangesName))
		}
	}
	report(passes-1, leaves)
	return s.done, s.err
}

// hasBodies reports whether bodies have files of their own, as far as the first entries show.
func (s *sweep) hasBodies() (yes bool) {
	looked := 0
	s.eachLeaf(0, func() {}, func(n int) bool {
		entries, _, _, _ := readLeaf(s.root, n)
		for _, f := range entries {
			yes = yes || f.body != nil
		}
		looked += len(entries)
		return !yes && looked < 16
	})
	return yes
}

// histogram counts bytes by age, in buckets that are less than one percent of their age wide.
type histogram [128 * 64]int64

// bucket returns the number of the bucket for an age; older ones have higher numbers.
func (h *histogram) bucket(age time.Duration) int {
	n := uint64(max(age, 0) / time.Millisecond)
	if n < 128 {
		return int(n)
	}
	shift := bits.Len64(n) - 8
	return shift<<7 + int(n>>shift)
}

func (h *histogram) add(age time.Duration, size int64) { h[h.bucket(age)] += size }

// cut returns the youngest bucket of which something must go so that size bytes go in all, and how much of it.
func (h *histogram) cut(size int64) (bucket int, most int64) {
	for i := len(h) - 1; i > 0; i-- {
		if h[i] >= size {
			return i, size
		}
		size -= h[i]
	}
	return 0, size
}
