package cachedir

import (
	"context"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"time"
)

// Limits are the limits of a cache directory.
type Limits struct {
	// MaxBytes is the maximum size of all entries on disk, with each file rounded up to 4 KiB. Zero means no
	// limit.
	MaxBytes int64

	// MaxAge is the time after which an unused entry is removed. Zero means no limit.
	MaxAge time.Duration

	// Would, if non-nil, is called with each entry that would be evicted. Trim then changes nothing, and
	// returns what it would keep and remove if no program used the directory.
	Would func(*Item)
}

// Trim removes entries from a cache directory until it is within limits. The directory may be one of either
// file cache or of Python's, and other programs may be using it. The least recently used entries are removed
// first. The time of use is the access time of the files, which is exact to an hour at best; entries whose
// ages differ by less than a percent are removed in any order. Entries whose locks are held, or that are used
// meanwhile, are kept. Trim also removes abandoned temporary files, empty directories, bodies, metadata and locks
// that have had no entry for an hour, and files of leases that ended an hour ago. It does not touch files that do not
// belong to a cache.
//
// Memory use does not depend on the size of the directory. If progress is not nil, it is called often with
// the completed fraction of the work, from 0 to 1. When the context ends, Trim returns its error and what it
// has done so far. If a file cannot be read or removed, although it is not in use, Trim continues and returns
// the first such error at the end.
func Trim(ctx context.Context, dir string, limits Limits, progress func(done float64)) (Trimmed, error) {
	root, err := existingDir(dir)
	if err != nil {
		return Trimmed{}, fmt.Errorf("storage: %w", err)
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
		s.evictOldest(&ages, excess, func(n int) bool {
			report(1, n)
			return ctx.Err() == nil
		})
	}
	if err := ctx.Err(); err != nil {
		return s.done, err
	}
	s.leases()
	if s.would == nil {
		forgetState(root)
		if s.done.Entries == 0 {
			os.Remove(filepath.Join(root, rangesName))
		}
	}
	report(passes-1, leaves)
	return s.done, s.err
}

// existingDir returns the absolute path of a directory, without links.
func existingDir(dir string) (string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	root = realDir(root)
	fi, err := os.Stat(root)
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "trim", Path: root, Err: fs.ErrInvalid}
	}
	return root, err
}

// evictOldest evicts the entries with the highest ages until their size exceeds excess. It calls swept after each leaf
// directory, and stops if that returns false.
func (s *sweep) evictOldest(ages *histogram, excess int64, swept func(n int) bool) {
	oldest, between := ages.cut(excess)
	s.eachLeaf(0, func() {}, func(n int) bool {
		entries, _, _, _ := readLeaf(s.root, n)
		before := s.done.EvictedEntries
		for i := range entries {
			f := &entries[i]
			age := ages.bucket(s.now.Sub(f.used()))
			if s.would != nil && (s.stray(f) || s.expired(f)) { // it would have been removed
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
		if s.would == nil && s.done.EvictedEntries > before {
			removeEmpty(s.root, leafPath(s.root, n))
		}
		return swept(n)
	})
}

// hasBodies reports whether bodies are in separate files, according to the first entries.
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

// histogram counts bytes by age, in buckets less than one percent wide.
type histogram [128 * 64]int64

// bucket returns the bucket of an age. Older ages have higher buckets.
func (h *histogram) bucket(age time.Duration) int {
	n := uint64(max(age, 0) / time.Millisecond)
	if n < 128 {
		return int(n)
	}
	shift := bits.Len64(n) - 8
	return shift<<7 + int(n>>shift)
}

func (h *histogram) add(age time.Duration, size int64) { h[h.bucket(age)] += size }

// cut returns the youngest bucket to evict from, and the bytes to evict from it, so that size bytes are
// evicted in total.
func (h *histogram) cut(size int64) (bucket int, most int64) {
	for i := len(h) - 1; i > 0; i-- {
		if h[i] >= size {
			return i, size
		}
		size -= h[i]
	}
	return 0, size
}
