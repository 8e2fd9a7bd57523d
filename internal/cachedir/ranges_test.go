package cachedir_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// rangesStore is a store that can tell whether entries with a Range were stored.
type rangesStore interface {
	storage.Store
	storage.Describer
}

// putRange stores an entry with that Range.
func putRange(t *testing.T, c storage.Store, key string, r *storage.Range) {
	t.Helper()
	e := storagetest.Entry()
	e.Range = r
	w, err := c.Create(t.Context(), key, e)
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHasRangesInDirectory: what one stores all know a second later, also where the directory was removed meanwhile.
func TestHasRangesInDirectory(t *testing.T) {
	eachFileStore(t, func(t *testing.T, open func(dir string, opts ...cachedir.Option) storage.Store) {
		synctest.Test(t, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			before, other := open(dir).(rangesStore), open(dir)
			part := &storage.Range{Start: 1, Total: 2}
			for range 2 {
				after := open(dir).(rangesStore)
				putRange(t, other, "whole", nil)
				if !after.Traits().NoRanges {
					t.Error("there is no part")
				}
				putRange(t, other, "part", part)
				time.Sleep(time.Second)
				if before.Traits().NoRanges || after.Traits().NoRanges || open(dir).(rangesStore).Traits().NoRanges {
					t.Error("there is a part")
				}
				for _, it := range items(t, openDirectory(t, dir, cachedir.AnyLayout)) {
					if it.Kind != cachedir.EntryFile {
						t.Errorf("%+v is no entry", it)
					}
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			putRange(t, other, "part", part)
			if open(dir).(rangesStore).Traits().NoRanges {
				t.Error("there is a part in the new directory")
			}
			if _, err := cachedir.Trim(t.Context(), dir, cachedir.Limits{MaxBytes: 1}, nil); err != nil {
				t.Fatal(err)
			}
			if list := items(t, openDirectory(t, dir, cachedir.AnyLayout)); len(list) > 0 {
				t.Errorf("%d items are left", len(list))
			}
		})
	})
}
