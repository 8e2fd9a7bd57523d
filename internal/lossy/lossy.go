// Package lossy has tables of fixed size that forget: a new key replaces an older one in its slot. They are for values
// that can be computed or looked up again. The zero values are empty. All methods are safe for concurrent use, and none
// blocks.
package lossy

import (
	"hash/maphash"
	"sync/atomic"
)

// The numbers of slots of the tables.
const (
	mapSlots = 1024
	setSlots = 2048
)

var seed = maphash.MakeSeed()

// Hash returns a hash of s for a table. It differs between processes.
func Hash(s string) uint64 { return maphash.String(seed, s) }

// Map maps keys to values. The caller passes a hash of each key, since it knows the cheapest one.
type Map[K comparable, V any] struct {
	slots [mapSlots]atomic.Pointer[pair[K, V]]
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

// Get returns the value of key, which must not be modified, or nil if there is none.
func (m *Map[K, V]) Get(hash uint64, key K) *V {
	if p := m.slots[hash%mapSlots].Load(); p != nil && p.key == key {
		return &p.value
	}
	return nil
}

// Put sets the value of key, and returns it as Get does.
func (m *Map[K, V]) Put(hash uint64, key K, value V) *V {
	p := &pair[K, V]{key, value}
	m.slots[hash%mapSlots].Store(p)
	return &p.value
}

// Set is a set of hashes. A hash that is equal to another but for its lowest bit is taken for that one.
type Set struct {
	slots [setSlots]atomic.Uint64 // 0 if empty
}

// Has reports whether hash is in the set.
func (s *Set) Has(hash uint64) bool { return s.slot(hash).Load() == hash|1 }

// Add adds hash.
func (s *Set) Add(hash uint64) { s.slot(hash).Store(hash | 1) }

// Remove removes hash, if it is in the set.
func (s *Set) Remove(hash uint64) { s.slot(hash).CompareAndSwap(hash|1, 0) }

func (s *Set) slot(hash uint64) *atomic.Uint64 { return &s.slots[hash>>1%setSlots] }
