// Package partlist has lists of the stored parts of a representation (RFC 9111, section 3.3).
package partlist

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sort"
)

// Part is a stored part: the bytes from Start up to, but not including, End.
type Part struct {
	Start, End int64
	ID         uint64 // names it in its key

	added uint64 // when it was added, in a count that the list keeps
}

// List is a list of the stored parts of one representation. Parts may overlap, but none contains another. So no two parts have
// the same Start.
type List struct {
	Total int64 // length of the representation, or -1 if it is not known

	parts []Part // in the order of Start, which is also that of End
}

// Len returns the number of parts.
func (l *List) Len() int { return len(l.parts) }

// All returns the parts in order. The caller must not modify them.
func (l *List) All() []Part { return l.parts }

// End returns the end of the last part.
func (l *List) End() int64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.parts[len(l.parts)-1].End
}

// Clone returns a copy that shares nothing with l.
func (l *List) Clone() List { return List{l.Total, slices.Clone(l.parts)} }

// next returns the part that contains the byte at pos and of these the most bytes after it.
func (l *List) next(pos int64) (Part, bool) {
	// Of the parts that begin at pos or before, the last one ends last.
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].Start > pos }) - 1
	if i < 0 || l.parts[i].End <= pos {
		return Part{}, false
	}
	return l.parts[i], true
}

// Cover returns the parts that, read one after the other, have the bytes from start to end. It reports false if some bytes are
// missing; the parts are then those before the first missing byte.
func (l *List) Cover(start, end int64) (parts []Part, ok bool) {
	for pos := start; pos < end; {
		p, ok := l.next(pos)
		if !ok {
			return parts, false
		}
		parts = append(parts, p)
		pos = p.End
	}
	return parts, true
}

// Missing returns where, from start to end, the first missing byte is, and where the last missing byte ends. Both are end if
// none is missing.
func (l *List) Missing(start, end int64) (from, to int64) {
	from = start
	for from < end {
		p, ok := l.next(from)
		if !ok {
			break
		}
		from = p.End
	}
	if from >= end {
		return end, end
	}
	to = end
	for i := len(l.parts) - 1; i >= 0 && to > from; i-- {
		p := &l.parts[i]
		if p.End < to {
			break
		}
		to = min(to, p.Start)
	}
	return from, to
}

// Touching returns the parts that together with those from start to end are contiguous: those that overlap or meet.
func (l *List) Touching(start, end int64) []Part {
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].End >= start })
	j := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].Start > end })
	return l.parts[i:max(i, j)]
}

// Grow returns the bytes from start to end, extended by parts that meet them. Each of these is not longer than what it extends,
// unless it is shorter than small. The result is not longer than most, unless it is not extended.
func (l *List) Grow(start, end, small, most int64) (from, to int64) {
	from, to = start, end
	for grown := true; grown; {
		grown = false
		for _, p := range l.Touching(from, to) {
			a, b := min(from, p.Start), max(to, p.End)
			if a == from && b == to || p.End-p.Start > max(to-from, small) || b-a > most {
				continue
			}
			from, to, grown = a, b, true
			break
		}
	}
	return from, to
}

// Contains reports whether a part in the list contains the bytes from start to end.
func (l *List) Contains(start, end int64) bool {
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].End >= end })
	return start >= end || i < len(l.parts) && l.parts[i].Start <= start
}

// Add adds a part and returns the parts that are no longer in the list: those that it contains and, if there are more than
// most, the ones that were added first. If the list contains p already, Add changes nothing, and returns p.
func (l *List) Add(p Part, most int) (removed []Part) {
	if l.Contains(p.Start, p.End) {
		return []Part{p}
	}
	first := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].Start >= p.Start })
	last := first
	for last < len(l.parts) && l.parts[last].End <= p.End {
		last++
	}
	removed = slices.Clone(l.parts[first:last])
	p.added = l.count() + 1
	l.parts = slices.Replace(l.parts, first, last, p)
	for len(l.parts) > most {
		oldest := 0
		for i := range l.parts {
			if l.parts[i].added < l.parts[oldest].added {
				oldest = i
			}
		}
		removed = append(removed, l.parts[oldest])
		l.parts = slices.Delete(l.parts, oldest, oldest+1)
	}
	return removed
}

// count returns the count when the latest part was added.
func (l *List) count() (n uint64) {
	for i := range l.parts {
		n = max(n, l.parts[i].added)
	}
	return n
}

// EndsAt reports whether the bytes before pos are the last ones of the part that Cover uses for them.
func (l *List) EndsAt(pos int64) bool {
	p, ok := l.next(pos - 1)
	return ok && p.End == pos
}

// Remove removes the part with this ID and reports whether it was in the list.
func (l *List) Remove(id uint64) bool {
	n := len(l.parts)
	l.parts = slices.DeleteFunc(l.parts, func(p Part) bool { return p.ID == id })
	return len(l.parts) < n
}

// version is the first byte of a list.
const version = 1

var errSyntax = errors.New("partlist: not a list of parts")

// Append appends the list to b, in the form that Parse takes: a version, the length of the representation plus one, the number of
// parts, and for each part the distance from the Start of the previous one, the length, the count when it was added, and the ID in
// eight bytes. The other numbers are unsigned varints.
func (l *List) Append(b []byte) []byte {
	b = slices.Grow(b, 3*binary.MaxVarintLen64+24*len(l.parts))
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(l.Total+1))
	b = binary.AppendUvarint(b, uint64(len(l.parts)))
	at := int64(0)
	for _, p := range l.parts {
		b = binary.AppendUvarint(b, uint64(p.Start-at))
		b = binary.AppendUvarint(b, uint64(p.End-p.Start))
		b = binary.AppendUvarint(b, p.added)
		b = binary.BigEndian.AppendUint64(b, p.ID)
		at = p.Start
	}
	return b
}

// Parse parses what Append has made. most limits the number of parts.
func Parse(b []byte, most int) (List, error) {
	if len(b) == 0 || b[0] != version {
		return List{}, errSyntax
	}
	b = b[1:]
	ok := true
	next := func(limit uint64) int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > limit {
			ok = false
			return 0
		}
		b = b[n:]
		return int64(v)
	}
	l := List{Total: next(1<<63) - 1} // 1<<63 is math.MinInt64 as an int64, and less one it is math.MaxInt64
	n := next(uint64(min(most, len(b))))
	l.parts = make([]Part, 0, n+1) // one is often added
	limit := uint64(math.MaxInt64)
	if l.Total >= 0 {
		limit = uint64(l.Total)
	}
	var last Part
	for range n {
		p := Part{Start: last.Start + next(limit-uint64(last.Start))}
		p.End = p.Start + next(limit-uint64(p.Start))
		p.added = uint64(next(math.MaxInt64))
		if len(b) < 8 {
			return List{}, errSyntax
		}
		p.ID, b = binary.BigEndian.Uint64(b), b[8:]
		if len(l.parts) > 0 && p.Start == last.Start || p.End <= last.End || p.End == p.Start {
			ok = false
		}
		l.parts, last = append(l.parts, p), p
	}
	if !ok || len(b) > 0 {
		return List{}, errSyntax
	}
	return l, nil
}
