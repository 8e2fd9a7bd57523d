package storage

// recordQueue has records in the order of their coming. The garbage collector goes through it in one go; links from record to
// record it would have to follow one by one.
type recordQueue struct {
	ring   []*record // the record with the number n is at n modulo its length, a power of two; nil: it has left
	oldest uint32    // all with lower numbers have left
	next   uint32    // the number of the next one. Numbers may start again at 0, for only their differences count.
	len    int
	size   int64 // of all
}

func (q *recordQueue) at(n uint32) **record { return &q.ring[int(n)&(len(q.ring)-1)] }

// first returns the record that came first, other than one. If that is the oldest, it moves up to the one returned: what has left
// between the two is passed over once, and not at each of many evictions.
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
	if q.len > 0 { // other is alone
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

// grow makes room: a longer ring, or one of the same length where half of it is empty.
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
		if q.next != n { // up to the first that has left, there is nothing to do
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
