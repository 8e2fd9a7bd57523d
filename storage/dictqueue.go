package storage

// recordQueue is a queue of records. The garbage collector scans the ring at once; it would have to follow
// links between records one by one.
type recordQueue struct {
	ring   []*record // record n is at index n modulo the length, a power of two; nil if it was removed
	oldest uint32    // all records with lower numbers were removed
	next   uint32    // the number of the next record; numbers may wrap around, because only their differences matter
	len    int
	size   int64 // of all records
}

func (q *recordQueue) at(n uint32) **record { return &q.ring[int(n)&(len(q.ring)-1)] }

// first returns the oldest record except other. If other is the oldest, it is moved up to just before the
// record returned, so that many evictions do not skip the same gap each time.
func (q *recordQueue) first(other *record) *record {
	for n := q.oldest; n != q.next; n++ {
		r := *q.at(n)
		if r == nil || r == other {
			continue
		}
		if n-q.oldest > 1 {
			*q.at(q.oldest) = nil
			q.oldest = n - 1
			other.number = q.oldest
			*q.at(q.oldest) = other
		}
		return r
	}
	if q.len > 0 { // other is the only record
		q.next = q.oldest + 1
	}
	return nil
}

func (q *recordQueue) push(r *record) {
	if int(q.next-q.oldest) == len(q.ring) {
		q.grow()
	}
	r.number = q.next
	*q.at(r.number) = r
	q.next++
	q.len++
	q.size += r.size
}

// grow makes room for another record: it doubles the ring, or closes the gaps if half of the ring is empty.
func (q *recordQueue) grow() {
	old, next := *q, q.next
	length := max(8, len(old.ring))
	if old.len > length/2 {
		length *= 2
	}
	q.ring, q.next = make([]*record, length), old.oldest
	for n := old.oldest; n != next; n++ {
		r := *old.at(n)
		if r == nil {
			continue
		}
		if q.next != n { // nothing changes up to the first gap
			r.number = q.next
		}
		*q.at(q.next) = r
		q.next++
	}
}

func (q *recordQueue) remove(r *record) {
	*q.at(r.number) = nil
	for q.oldest != q.next && *q.at(q.oldest) == nil {
		q.oldest++
	}
	q.len--
	q.size -= r.size
}
