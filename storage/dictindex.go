package storage

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

// dictIndex maps keys to records. Lookups take no lock; updates hold the cache's lock.
//
// A lookup follows a chain whose links may change meanwhile. Every link leads to a record that is in the
// cache or was so until recently, and no update creates a cycle. So a lookup ends, and a record that it finds
// was in the cache when it began or later. But a lookup can miss a record if a table grows or a link is cut
// meanwhile. During such an update moves is odd, and afterwards it has another value. A lookup that misses
// while moves is odd or has changed must be repeated under the lock.
//
// The index has many parts that grow separately, so that growing delays other goroutines only briefly.
type dictIndex struct {
	seed  atomic.Pointer[maphash.Seed]
	moves atomic.Uint64
	parts [64]dictPart
	size  int64 // of all tables; guarded by the cache's lock
}

type dictPart struct {
	table atomic.Pointer[dictTable]
	count int // number of records; guarded by the cache's lock
}

// dictTable is a hash table with chains. The number of buckets is a power of two, and not less than that of
// records.
type dictTable []dictBucket

type dictBucket struct {
	first atomic.Pointer[record]
	bits  atomic.Uint32 // the chainBits of the records in the chain, set before a record is added
	gone  uint32        // hash of an evicted record, or zero; see leave; guarded by the cache's lock
}

const bucketSize = int64(unsafe.Sizeof(dictBucket{}))

// hash returns the hash of a key. It does not change while the cache exists.
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

func (t dictTable) bucket(hash uint64) *dictBucket { return &t[int(hash)&(len(t)-1)] }

// chainBit returns the bit for a record in dictBucket.bits. It depends on bits of the hash that select
// neither the part nor the bucket.
func chainBit(hash uint64) uint32 { return 1 << (hash >> 53 & 31) }

func (x *dictIndex) find(key string) *record { return x.findHash(x.hash(key), key) }

func (x *dictIndex) findHash(hash uint64, key string) *record {
	t := x.part(hash).table.Load()
	if t == nil {
		return nil
	}
	b := t.bucket(hash)
	if b.bits.Load()&chainBit(hash) == 0 {
		return nil
	}
	r := b.first.Load()
	for r != nil && (r.hash != hash || r.key() != key) {
		r = r.next.Load()
	}
	return r
}

// add adds a record whose key is not in the index.
func (x *dictIndex) add(r *record) {
	p := x.part(r.hash)
	t := p.table.Load()
	if t == nil {
		t = x.grow(p, nil)
	} else if p.count == len(*t) {
		x.moves.Add(1)
		t = x.grow(p, t)
		x.moves.Add(1)
	}
	p.count++
	t.add(r)
}

func (t dictTable) add(r *record) {
	b := t.bucket(r.hash)
	b.bits.Store(b.bits.Load() | chainBit(r.hash))
	if first := b.first.Load(); first != r.next.Load() { // usually there is none, and a load costs less than a store
		r.next.Store(first)
	}
	b.first.Store(r)
}

// grow replaces the table of p by a longer one. Lookups in the old table may follow its records into the new
// one.
func (x *dictIndex) grow(p *dictPart, old *dictTable) *dictTable {
	n := 4
	if old != nil {
		n = 2 * len(*old)
		if n <= 512 {
			n *= 2 // walking through all records costs more than the buckets
		}
	}
	t := make(dictTable, n)
	x.size += int64(n) * bucketSize
	if old != nil {
		x.size -= int64(len(*old)) * bucketSize
		for i := range *old {
			for r := (*old)[i].first.Load(); r != nil; {
				next := r.next.Load()
				t.add(r)
				r = next
			}
		}
	}
	p.table.Store(&t)
	return &t
}

// remove removes a record that is in the index.
func (x *dictIndex) remove(r *record) {
	p := x.part(r.hash)
	b := p.table.Load().bucket(r.hash)
	link, bits := &b.first, uint32(0)
	for other := link.Load(); other != r; other = link.Load() {
		bits |= chainBit(other.hash)
		link = &other.next
	}
	rest := r.next.Load()
	link.Store(rest)
	for ; rest != nil; rest = rest.next.Load() {
		bits |= chainBit(rest.hash)
	}
	b.bits.Store(bits)
	p.count--
	x.unlink(r)
}

// replace replaces old, which is in the index, by r, whose key is the same.
func (x *dictIndex) replace(old, r *record) {
	link := &x.part(old.hash).table.Load().bucket(old.hash).first
	for other := link.Load(); other != old; other = link.Load() {
		link = &other.next
	}
	r.next.Store(old.next.Load())
	link.Store(r)
	x.unlink(old)
}

// unlink is called with a record that is in no chain any more. The record keeps its link, because lookups may
// have reached it. Only the link of a record in a slab is cut, since the slab may stay in memory for long and
// would keep all records that the link leads to.
func (x *dictIndex) unlink(r *record) {
	if r.slab != nil && r.next.Load() != nil {
		x.moves.Add(1)
		r.next.Store(nil)
		x.moves.Add(1)
	}
}

// leave remembers the hash of a record that was evicted before it was requested. It is remembered for about
// as many stored records as the cache holds.
func (x *dictIndex) leave(hash uint64) {
	x.part(hash).table.Load().bucket(hash).gone = leftover(hash)
}

// left reports whether the hash is remembered, and forgets it.
func (x *dictIndex) left(hash uint64) bool {
	t := x.part(hash).table.Load()
	if t == nil {
		return false
	}
	b := t.bucket(hash)
	if b.gone != leftover(hash) {
		return false
	}
	b.gone = 0
	return true
}

// leftover returns bits of the hash that do not select the bucket. It is never 0.
func leftover(hash uint64) uint32 { return uint32(hash>>26) | 1 }

func (x *dictIndex) clear() {
	for i := range x.parts {
		x.parts[i].table.Store(nil)
		x.parts[i].count = 0
	}
	x.size = 0
}
