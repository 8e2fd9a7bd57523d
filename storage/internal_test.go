package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
)

// invariants checks the queues, the index and the counts of a DictCache against each other.
func (c *DictCache) invariants() error {
	var size int64
	n := 0
	inSlabs := map[*slab]int{}
	for _, q := range []*recordQueue{&c.fresh, &c.kept, &c.pinned} {
		var inQueue int64
		length := 0
		for n := q.oldest; n != q.next; n++ {
			r := *q.at(n)
			if r == nil {
				if n == q.oldest {
					return errors.New("the oldest record of a queue has left")
				}
				continue
			}
			if c.index.find(r.key()) != r || c.queue(r) != q || r.number != n {
				return fmt.Errorf("%q is in the wrong place of a queue", r.key())
			}
			if r.slab != nil {
				if inSlabs[r.slab]++; r.head.Load() != nil || r.kept && r.uses.Load() == 0 {
					return fmt.Errorf("%q is in a slab though it is to stay", r.key())
				}
			}
			if want := r.sizeWith(r.head.Load()); r.size != want {
				return fmt.Errorf("%q counts %d instead of %d", r.key(), r.size, want)
			}
			if r.size > c.bound()/4 {
				return fmt.Errorf("%q takes %d of %d", r.key(), r.size, c.bound())
			}
			inQueue += r.size
			length++
		}
		if q.size != inQueue || q.len != length {
			return fmt.Errorf("a queue says that it has %d records of %d bytes, and has %d of %d", q.len, q.size, length, inQueue)
		}
		size += inQueue
		n += length
	}
	var slabbed int64
	for s, entries := range inSlabs {
		if slabbed += s.size; s.entries != entries {
			return fmt.Errorf("a slab says that it has %d entries, and has %d", s.entries, entries)
		}
	}
	if c.slabs.size != slabbed {
		return fmt.Errorf("the slabs count %d instead of %d", c.slabs.size, slabbed)
	}
	size += slabbed
	indexed, buckets := 0, int64(0)
	for i := range c.index.parts {
		p := &c.index.parts[i]
		inPart := 0
		if t := p.table.Load(); t != nil {
			buckets += int64(len(*t))
			for j := range *t {
				b := &(*t)[j]
				var bits uint32
				for r := b.first.Load(); r != nil; r = r.next.Load() {
					if t.bucket(r.hash) != b || c.index.part(r.hash) != p || c.index.hash(r.key()) != r.hash {
						return fmt.Errorf("%q is in the wrong place", r.key())
					}
					bits |= chainBit(r.hash)
					inPart++
				}
				if b.bits.Load() != bits {
					return fmt.Errorf("a bucket has the bits %b instead of %b", b.bits.Load(), bits)
				}
			}
			if inPart > len(*t) {
				return fmt.Errorf("%d records in %d buckets", inPart, len(*t))
			}
		}
		if inPart != p.count {
			return fmt.Errorf("a part of the index counts %d of %d records", p.count, inPart)
		}
		indexed += inPart
	}
	switch {
	case n != indexed:
		return fmt.Errorf("%d in the queues, %d in the index", n, indexed)
	case buckets*bucketSize != c.index.size:
		return fmt.Errorf("%d buckets count %d bytes", buckets, c.index.size)
	case c.index.size+size > c.bound():
		return fmt.Errorf("%d bytes in a cache of %d", size, c.bound())
	}
	return nil
}

func TestDictCacheInvariants(t *testing.T) {
	for _, test := range []struct {
		name              string
		bound             int64
		keys, steps, body int
		every             int // so many steps
	}{
		{"few entries, none in a slab", 64 << 10, 60, 20000, 5000, 1},
		{"many small entries", 2 << 20, 15000, 60000, 60, 150},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			r := rand.New(rand.NewPCG(1, 2))
			c := &DictCache{MaxBytes: test.bound}
			var known []*Entry
			mostSlabs := int64(0)
			for i := range test.steps {
				key := fmt.Sprint("key", r.IntN(test.keys))
				switch op := r.IntN(10); op {
				case 0, 1, 2:
					w, err := c.Create(ctx, key, &Entry{Header: http.Header{"A": {key}}, Length: int64(r.IntN(test.body)) - 1})
					if err != nil {
						t.Fatal(err)
					}
					for range r.IntN(5) {
						w.Write(make([]byte, r.IntN(test.body)))
					}
					if r.IntN(4) > 0 {
						w.Commit()
					} else {
						w.Abort()
					}
				case 3:
					c.Delete(ctx, key)
				case 4:
					if len(known) > 0 {
						c.KeepDecoded(key, known[r.IntN(len(known))], make([]byte, r.IntN(20000)))
					}
				case 5:
					if len(known) > 0 {
						e := known[r.IntN(len(known))].Clone()
						e.Header.Set("B", string(make([]byte, r.IntN(10000))))
						c.Update(ctx, key, e)
					}
				default:
					if resp, err := c.Get(ctx, key); err == nil {
						known = append(known[max(0, len(known)-50):], resp.Entry)
					}
				}
				if r.IntN(5000*test.every) == 0 {
					c.Clear()
				}
				mostSlabs = max(mostSlabs, c.slabs.size)
				if i%test.every != 0 {
					continue
				}
				if err := c.invariants(); err != nil {
					t.Fatalf("after step %d: %v", i, err)
				}
			}
			if slabs := slabLimit(test.bound) > 0; slabs != (mostSlabs > 0) || c.Traits().Evictions == 0 {
				t.Errorf("at most %d bytes in slabs, %d evictions", mostSlabs, c.Traits().Evictions)
			}
		})
	}
}

// TestQueueSparesTheOldest: while all others leave a queue before its oldest record, nobody looks again and again at the places
// that they had.
func TestQueueSparesTheOldest(t *testing.T) {
	var q recordQueue
	spare := new(record)
	q.push(spare)
	var others []*record
	for range 100 {
		others = append(others, new(record))
		q.push(others[len(others)-1])
	}
	q.remove(others[50])
	others = append(others[:50], others[51:]...)
	for _, want := range others {
		r := q.first(spare)
		if r != want || *q.at(spare.number) != spare || q.oldest != spare.number || r.number != spare.number+1 {
			t.Fatalf("%d left: number %d is first, and the oldest has %d of %d", q.len, r.number, spare.number, q.oldest)
		}
		q.remove(r)
	}
	if r := q.first(spare); r != nil || q.next-q.oldest != 1 || q.first(nil) != spare {
		t.Errorf("%d places for the last one", q.next-q.oldest)
	}
	q.push(others[0])
	if q.first(spare) != others[0] || q.first(nil) != spare || q.len != 2 {
		t.Error("it is not in its place")
	}
	q.remove(spare)
	q.remove(others[0])
	if q.oldest != q.next || q.len != 0 {
		t.Errorf("%d are left, in %d places", q.len, q.next-q.oldest)
	}
}

// TestUnpackAfterItHasGone: who has found an entry may unpack it when it is no longer in the cache, and it then counts nothing.
func TestUnpackAfterItHasGone(t *testing.T) {
	for name, remove := range map[string]func(*DictCache){
		"Clear":  (*DictCache).Clear,
		"Delete": func(c *DictCache) { c.Delete(t.Context(), "key") },
	} {
		c := new(DictCache)
		w, err := c.Create(t.Context(), "key", &Entry{Status: 200, Header: http.Header{"A": {"b"}}})
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		r := c.index.find("key")
		remove(c)
		if e := c.firstHead(r).Unpack(); e.Header.Get("A") != "b" {
			t.Errorf("%s: it comes with %v", name, e.Header)
		}
		if err := c.invariants(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUpdateKeepsToTheQuarter: a head that grows leaves no entry with more than a quarter of the cache.
func TestUpdateKeepsToTheQuarter(t *testing.T) {
	c := &DictCache{MaxBytes: 64 << 10}
	w, err := c.Create(t.Context(), "key", &Entry{Status: 200, Version: 11})
	if err == nil {
		_, err = w.Write(make([]byte, 7<<10))
	}
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	c.KeepDecoded("key", r.Entry, make([]byte, 7<<10))
	e := r.Entry.Clone()
	e.URL = string(make([]byte, 4<<10))
	if err := c.Update(t.Context(), "key", e); err != nil {
		t.Fatal(err)
	}
	if err := c.invariants(); err != nil {
		t.Error(err)
	}
}
