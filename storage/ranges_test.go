package storage_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
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

func TestHasRanges(t *testing.T) {
	for _, s := range stores {
		first, ok := s.open(t).(rangesStore)
		if !ok {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			putRange(t, first, "whole", nil)
			if !first.Traits().NoRanges {
				t.Error("there is no part")
			}
			putRange(t, first, "part", &storage.Range{Start: 1, Total: 2})
			if first.Traits().NoRanges {
				t.Error("there is a part")
			}

			c := s.open(t).(rangesStore)
			putRange(t, c, "updated", nil)
			e := entryOf(t, c, "updated").Clone()
			e.Range = &storage.Range{Start: 0, Total: -1}
			if err := c.Update(t.Context(), "updated", e); err != nil || c.Traits().NoRanges {
				t.Errorf("after an update: %v, %v", !c.Traits().NoRanges, err)
			}
		})
	}
	for _, c := range []rangesStore{(*storage.DictCache)(nil), (*directory.FileCache)(nil), (*directory.SeparateBodyFileCache)(nil)} {
		if !c.Traits().NoRanges {
			t.Errorf("%T: nil has no part", c)
		}
	}
}
