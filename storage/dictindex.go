package storage

import (
	"hash/maphash"
	"sync/atomic"
)

// dictIndex finds records by key. It is read by many while one, who holds the cache's lock, changes it.
//
// A reader follows a chain whose links may change under it. Every link leads to a record that is, or was a moment ago,
// in the cache, and no change makes a ring; so a reader comes to an end, and what it finds it could have found a
// moment ago. What it does not find may still be there, where a table grew meanwhile or a record took the place of
// another: while that goes on, moves is odd, and afterwards it is another number. Then only who holds the lock knows
// that a key is not stored.
//
// The index is split, so that growing stops others for a short while only: each part grows on its own.
type dictIndex struct {
	seed  atomic.Pointer[maphash.Seed]
	moves atomic.Uint64
	parts [64]dictPart
}

type dictPart struct {
	table atomic.Pointer[dictTable]
	count int // of records; guarded by the cache's lock
}

// dictTable is a hash table with chains. The number of its buckets is a power of two, and at least that of its records.
type dictTable struct {
	buckets []atomic.Pointer[record]
	gone    []uint32 // what is remembered of records that have left, until others take the places; guarded by the cache's lock
}

// hash returns the hash of a key. It is the same as long as the cache lives.
func (x *dictIndex) hash(key string) uint64 {
	seed := x.seed.Load()
	if seed == nil {
		s := maphash.MakeSeed()
		x.seed.CompareAndSwap(nil, &s)
		seed = x.seed.Load()
	}
	return maphash.String(*seed, key)
}

func (x *dictIndex) part(hash uint64) *dictPart { return &x.parts[hash>>58] }

func (t *dictTable) bucket(hash uint64) int { return int(hash) & (len(t.buckets) - 1) }

func (x *dictIndex) find(key string) *record { return x.findHash(x.hash(key), key) }

func (x *dictIndex) findHash(hash uint64, key string) *record {
	t := x.part(hash).table.Load()
	if t == nil {
		return nil
	}
	r := t.buckets[t.bucket(hash)].Load()
	for r != nil && (r.hash != hash || r.key() != key) {
		r = r.next.Load()
	}
	return r
}

// add adds a record whose key is not there.
func (x *dictIndex) add(r *record) {
	p := x.part(r.hash)
	t := p.table.Load()
	if t == nil {
		t = p.grow(nil)
	} else if p.count == len(t.buckets) {
		x.moves.Add(1)
		t = p.grow(t)
		x.moves.Add(1)
	}
	p.count++
	t.add(r)
}

func (t *dictTable) add(r *record) {
	b := &t.buckets[t.bucket(r.hash)]
	r.next.Store(b.Load())
	b.Store(r)
}

// grow gives the part a table of twice the size. Readers of the old one may follow its records into the new one.
func (p *dictPart) grow(old *dictTable) *dictTable {
	n := 4
	if old != nil {
		n = 2 * len(old.buckets)
	}
	t := &dictTable{make([]atomic.Pointer[record], n), make([]uint32, n)}
	if old != nil {
		for i := range old.buckets {
			for r := old.buckets[i].Load(); r != nil; {
				next := r.next.Load()
				t.add(r)
				r = next
			}
		}
	}
	p.table.Store(t)
	return t
}

// remove removes a record that is there. It keeps its own link, for those who have come as far as it.
func (x *dictIndex) remove(r *record) {
	p := x.part(r.hash)
	t := p.table.Load()
	link := &t.buckets[t.bucket(r.hash)]
	for link.Load() != r {
		link = &link.Load().next
	}
	link.Store(r.next.Load())
	p.count--
}

// leave remembers a record that was evicted before anybody asked for it, about as long as there are records.
func (x *dictIndex) leave(hash uint64) {
	t := x.part(hash).table.Load()
	t.gone[t.bucket(hash)] = leftover(hash)
}

// left reports whether such a record is remembered, and forgets it.
func (x *dictIndex) left(hash uint64) bool {
	t := x.part(hash).table.Load()
	if t == nil || t.gone[t.bucket(hash)] != leftover(hash) {
		return false
	}
	t.gone[t.bucket(hash)] = 0
	return true
}

// leftover is the part of a hash that does not choose the bucket. It is not 0.
func leftover(hash uint64) uint32 { return uint32(hash>>26) | 1 }

func (x *dictIndex) clear() {
	for i := range x.parts {
		x.parts[i].table.Store(nil)
		x.parts[i].count = 0
	}
}
