package storage

// slabs holds the small entries of a DictCache that have not been requested yet. Many share one block of
// memory, so that storing and evicting an entry causes hardly any work for the garbage collector. The first
// hit copies an entry out of its slab, and so does everything else that moves it to the queue kept. So all
// entries of a slab leave it at about the same time. Until the last one has left, the whole slab counts.
//
// The cache's lock guards everything here, except the fields of records and the bytes, which never change.
type slabs struct {
	current *slab
	size    int64 // of the slabs that have entries
}

const (
	leastSlab = 4 << 10
	mostSlab  = 128 << 10
)

// slabLimit returns the maximum length of a slab in a cache with the given bound, a small part of the bound.
// It returns zero if the cache is too small for slabs.
func slabLimit(bound int64) int {
	if limit := min(mostSlab, bound/512); limit >= leastSlab {
		return int(limit)
	}
	return 0
}

// place returns a record in a slab, with a copy of the packed entry and its body. Together they must not be
// longer than a sixteenth of limit, so that little is wasted at the end of a slab.
func (s *slabs) place(limit int, text, body string) *record {
	n := len(text) + len(body)
	if s.current == nil || len(s.current.bytes) < n {
		length := max(leastSlab, n)
		if s.current != nil {
			length = max(length, 2*s.current.length) // a cache with few entries gets short slabs
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

// leave is called with each record that was removed from the cache.
func (s *slabs) leave(r *record) {
	if r.slab == nil {
		return
	}
	if r.slab.entries--; r.slab.entries == 0 {
		s.size -= r.slab.size
	}
}
