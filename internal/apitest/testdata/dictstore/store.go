// Package dictstore is a Store that adds something to a DictCache and keeps all that a DictCache can do.
package dictstore

import (
	"context"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Store counts the entries that are asked for, and the hits of pages that were not found.
type Store struct {
	*storage.DictCache
	Gets    atomic.Int64
	Missing atomic.Int64
}

// New returns an empty Store.
func New() *Store { return &Store{DictCache: &storage.DictCache{MaxBytes: 64 << 20}} }

// Lookup is called before Get.
func (s *Store) Lookup(key []byte) (storage.Held, bool) {
	s.Gets.Add(1)
	h, known := s.DictCache.Lookup(key)
	if h.Entry != nil && isMissing(h.Entry) {
		s.Missing.Add(1)
	}
	return h, known
}

func isMissing(e storage.HeldEntry) bool { return e.Unpack().Status == 404 }

func (s *Store) Get(ctx context.Context, key string) (*storage.Response, error) {
	s.Gets.Add(1)
	return s.DictCache.Get(ctx, key)
}

// Reset removes everything if there is anything.
func (s *Store) Reset() (evicted uint64) {
	if s.Len() > 0 || !s.Traits().NoRanges {
		s.Clear()
	}
	return s.Traits().Evictions
}
