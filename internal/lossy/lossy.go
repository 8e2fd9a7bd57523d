// Package lossy has tables of limited size that forget: a new key replaces an older one. They are for values that can be
// computed, looked up or found out again. The zero values are empty. All methods of Map and Set are safe for concurrent
// use, and none blocks.
package lossy

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// The numbers of slots of the tables, and of entries of a Timed.
const (
	mapSlots   = 1024
	setSlots   = 2048
	timedLimit = 4096
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

// Timed maps keys to values that matter until a time. It holds at most 4096 entries. For another one it forgets the one
// that ends first among a few. Calls must not be concurrent.
type Timed[K comparable, V interface{ End() time.Time }] struct {
	entries map[K]V
}

// Get returns the value of key, or the zero value if there is none.
func (t *Timed[K, V]) Get(key K) V { return t.entries[key] }

// Put sets the value of key.
func (t *Timed[K, V]) Put(key K, value V) {
	if _, known := t.entries[key]; !known && len(t.entries) >= timedLimit {
		t.forget()
	}
	if t.entries == nil {
		t.entries = make(map[K]V)
	}
	t.entries[key] = value
}

// forget deletes an entry.
func (t *Timed[K, V]) forget() {
	var first K
	var end time.Time
	n := 0
	for key, value := range t.entries { // begins anywhere
		if e := value.End(); n == 0 || e.Before(end) {
			first, end = key, e
		}
		if n++; n == 8 {
			break
		}
	}
	delete(t.entries, first)
}

// Delete removes key, if it has a value.
func (t *Timed[K, V]) Delete(key K) { delete(t.entries, key) }

// Len returns the number of entries.
func (t *Timed[K, V]) Len() int { return len(t.entries) }
