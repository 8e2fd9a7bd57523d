// Package lossy has tables of limited size that forget: a new key replaces an older one. They are for values that can be
// computed, looked up or found out again. The zero values are empty. All methods of Map and Set are safe for concurrent
// use, and none blocks.
package lossy

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"
)

// The numbers of slots of the tables. A Timed has 4096.
const (
	mapSlots  = 1024
	setSlots  = 2048
	timedSets = 512
	timedWays = 8
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

// Timed maps hashes to values that matter until a time. If there is no room for another one, it forgets the one of a
// few that ends first. Calls must not be concurrent.
type Timed[V interface{ End() time.Time }] struct {
	sets [][]timed[V] // of timedWays entries at most, by hash; nil before the first Put
	n    int          // of entries
}

type timed[V any] struct {
	hash  uint64
	value V
}

// Get returns the value of hash, or the zero value if there is none.
func (t *Timed[V]) Get(hash uint64) (value V) {
	if i := t.index(hash); i >= 0 {
		value = t.set(hash)[i].value
	}
	return value
}

// Put sets the value of hash.
func (t *Timed[V]) Put(hash uint64, value V) {
	if t.sets == nil {
		t.sets = make([][]timed[V], timedSets)
	}
	i, set := t.index(hash), t.set(hash)
	switch {
	case i >= 0:
	case len(set) < timedWays:
		t.n++
		t.sets[hash%timedSets] = append(set, timed[V]{hash, value})
		return
	default:
		for j := range set {
			if i < 0 || set[j].value.End().Before(set[i].value.End()) {
				i = j
			}
		}
	}
	set[i] = timed[V]{hash, value}
}

// Delete removes hash, if it has a value.
func (t *Timed[V]) Delete(hash uint64) {
	if i := t.index(hash); i >= 0 {
		t.n--
		t.sets[hash%timedSets] = slices.Delete(t.set(hash), i, i+1)
	}
}

// Len returns the number of values.
func (t *Timed[V]) Len() int { return t.n }

func (t *Timed[V]) set(hash uint64) []timed[V] {
	if t.sets == nil {
		return nil
	}
	return t.sets[hash%timedSets]
}

// index returns the index of hash in its set, or -1.
func (t *Timed[V]) index(hash uint64) int {
	for i, e := range t.set(hash) {
		if e.hash == hash {
			return i
		}
	}
	return -1
}
