package storage_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// TestEvictions: what is no longer there, though nobody deleted it, was counted.
func TestEvictions(t *testing.T) {
	const entries = 100
	fill := func(t *testing.T, s interface {
		storage.Store
		storage.Describer
	}) {
		t.Helper()
		for i := range entries {
			put(t, s, fmt.Sprint("key", i), strings.Repeat("x", 20<<10))
		}
		left := 0
		for range 2 { // the first hit of an entry may evict others
			left = 0
			for i := range entries {
				if _, _, err := get(t, s, fmt.Sprint("key", i)); err == nil {
					left++
				}
			}
		}
		if n := s.Traits().Evictions; n == 0 || int(n) != entries-left {
			t.Errorf("%d evictions, and %d entries of %d are left", n, left, entries)
		}
		before := s.Traits().Evictions
		for i := range entries {
			if err := s.Delete(t.Context(), fmt.Sprint("key", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Traits().Evictions; n != before {
			t.Errorf("%d evictions by deleting", n-before)
		}
	}
	t.Run("DictCache", func(t *testing.T) { fill(t, &storage.DictCache{MaxBytes: 1 << 20}) })
	t.Run("files", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // where steps take no time
			fill(t, newFileCache(t, t.TempDir(), directory.MaxBytes(1<<20)))
			fill(t, newSeparate(t, t.TempDir(), directory.MaxBytes(1<<20)))
		})
	})
	for _, s := range []storage.Describer{(*storage.DictCache)(nil), (*directory.FileCache)(nil), (*directory.SeparateBodyFileCache)(nil), new(directory.FileCache)} {
		if n := s.Traits().Evictions; n != 0 {
			t.Errorf("%T: %d evictions of nothing", s, n)
		}
	}
}
