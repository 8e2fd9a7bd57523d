package storage

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"
)

// dictIndex finds records by key. It is read by many while one, who holds the cache's lock, changes it.
//
// A reader follows a chain whose links may change under it. Every link leads to a record that is, or was a moment ago,
// in the cache, and no change makes a ring; so a reader comes to an end, and what it finds it could have found a
// moment ago. What it does not find may still be there, where a table grew or a link was cut meanwhile: while that goes
// on, moves is odd, and afterwards it is another number. Then only who holds the lock knows that a key is not stored.
//
// The index is split, so that growing stops others for a short while only: each part grows on its own.
type dictIndex struct {
	seed  atomic.Pointer[maphash.Seed]
	moves atomic.Uint64
	parts [64]dictPart
	size  int64 // of the tables; guarded by the cache's lock
}

type dictPart struct {
	table atomic.Pointer[dictTable]
	count int // of records; guarded by the cache's lock
}

// dictTable is a hash table with chains. The number of its buckets is a power of two, and at least that of its records.
type dictTable []dictBucket

type dictBucket struct {
	first atomic.Pointer[record]
	bits  atomic.Uint32 // one for each record of the chain before the record is there, so that nobody looks for others
	gone  uint32        // what is remembered of one that has left, until another takes the place; guarded by the cache's lock
}

const bucketSize = int64(unsafe.Sizeof(dictBucket{}))

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

func (t dictTable) bucket(hash uint64) *dictBucket { return &t[int(hash)&(len(t)-1)] }

// chainBit is a record's bit in the bits of its bucket. It comes from a part of the hash that chooses neither part nor bucket.
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

// add adds a record whose key is not there.
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
	if first := b.first.Load(); first != r.next.Load() { // mostly there is none, and a store costs more than to look
		r.next.Store(first)
	}
	b.first.Store(r)
}

// grow gives the part a longer table. Readers of the old one may follow its records into the new one.
func (x *dictIndex) grow(p *dictPart, old *dictTable) *dictTable {
	n := 4
	if old != nil {
		n = 2 * len(*old)
		if n <= 512 {
			n *= 2 // to go through all records takes longer than the buckets are worth
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

// remove removes a record that is there.
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

// replace has r take the place of old, which has its key and is there.
func (x *dictIndex) replace(old, r *record) {
	link := &x.part(old.hash).table.Load().bucket(old.hash).first
	for other := link.Load(); other != old; other = link.Load() {
		link = &other.next
	}
	r.next.Store(old.next.Load())
	link.Store(r)
	x.unlink(old)
}

// unlink is told of a record that is in no chain any more. It keeps its own link, for those who have come as far as it; but not in a
// slab, which others may keep for long, and which would keep all that the link leads to.
func (x *dictIndex) unlink(r *record) {
	if r.slab != nil && r.next.Load() != nil {
		x.moves.Add(1)
		r.next.Store(nil)
		x.moves.Add(1)
	}
}

// leave remembers a record that was evicted before anybody asked for it, about as long as there are records.
func (x *dictIndex) leave(hash uint64) {
	x.part(hash).table.Load().bucket(hash).gone = leftover(hash)
}

// left reports whether such a record is remembered, and forgets it.
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

// leftover is the part of a hash that does not choose the bucket. It is not 0.
func leftover(hash uint64) uint32 { return uint32(hash>>26) | 1 }

func (x *dictIndex) clear() {
	for i := range x.parts {
		x.parts[i].table.Store(nil)
		x.parts[i].count = 0
	}
	x.size = 0
}
