package storage

// slabs are where a DictCache has the small entries that nobody has asked for yet: many in one block of memory, for one that is
// stored and goes again is then next to no work for the garbage collector. The first who asks for an entry has it copied out, and
// so does whatever else makes it stay. So the entries of a slab leave at about the time when all have grown old, and while one is
// left the slab counts whole.
//
// The cache's lock guards all of it, but for what is in the records and the bytes, which never change.
type slabs struct {
	current *slab
	size    int64 // of those that have entries
}

type slab struct {
	records []record // that are left to take
	bytes   []byte   // that are left to take
	length  int      // of all the bytes
	size    int64    // what it counts
	entries int      // that are in the cache
}

const (
	leastSlab = 4 << 10
	mostSlab  = 128 << 10
)

// slabLimit returns the length of the longest slabs in a cache with this bound, a small part of that; 0: it has none.
func slabLimit(bound int64) int {
	if limit := min(mostSlab, bound/512); limit >= leastSlab {
		return int(limit)
	}
	return 0
}

// place returns a record with a copy of a packed entry and its body. They take up a sixteenth of the limit at most, so that little is
// left over at the end of a slab.
func (s *slabs) place(limit int, text, body string) *record {
	n := len(text) + len(body)
	if s.current == nil || len(s.current.bytes) < n {
		length := max(leastSlab, n)
		if s.current != nil {
			length = max(length, 2*s.current.length) // a cache that is hardly used is given little
		}
		length = min(length, limit)
		s.current = &slab{bytes: make([]byte, length), length: length, size: int64(length)}
	}
	at := s.current
	if len(at.records) == 0 {
		at.records = make([]record, max(2, at.length>>12))
		more := int64(len(at.records)) * recordSize
		at.size += more
		if at.entries > 0 {
			s.size += more
		}
	}
	r := &at.records[0]
	at.records = at.records[1:]
	r.hold(at.bytes[:n:n], text, body)
	at.bytes = at.bytes[n:]
	r.slab = at
	if at.entries++; at.entries == 1 {
		s.size += at.size
	}
	return r
}

// leave is told of each record that is in the cache no more.
func (s *slabs) leave(r *record) {
	if r.slab == nil {
		return
	}
	if r.slab.entries--; r.slab.entries == 0 {
		s.size -= r.slab.size
	}
}

// hold copies a packed entry and its body into a block, which is just long enough, and makes them r's.
func (r *record) hold(block []byte, text, body string) {
	copy(block[copy(block, text):], body)
	whole := asString(block) // nobody writes there any more
	r.text, r.body = whole[:len(text)], whole[len(text):]
}

// alone returns r, if it is in no slab, and else a copy that is in none.
func (r *record) alone() *record {
	if r.slab == nil {
		return r
	}
	own := &record{hash: r.hash, keyLen: r.keyLen, requestTime: r.requestTime, responseTime: r.responseTime}
	own.hold(make([]byte, len(r.text)+len(r.body)), r.text, r.body)
	return own
}
