package storage

import (
	"context"
	"iter"
	"math/bits"
)

// List implements Lister. It locks the cache for a few records at a time. It unpacks the entries that it lists, but they
// stay packed in the cache.
func (c *DictCache) List(ctx context.Context) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		err := ctx.Err()
		if c == nil {
			err = ErrClosed
		}
		if err != nil {
			yield(Listed{}, err)
			return
		}
		for i := range c.index.parts {
			for l := (dictLister{part: &c.index.parts[i]}); !l.ended; {
				c.mu.Lock()
				l.advance()
				c.mu.Unlock()
				for _, r := range l.found {
					if err := ctx.Err(); err != nil {
						yield(Listed{}, err)
						return
					}
					if !yield(r.listed(), nil) {
						return
					}
				}
			}
		}
	}
}

// dictLister finds the records of a part of the index, a few at a time, while the part may grow in between.
//
// The records are found in the order of their reversed hashes. The low bits of the hashes of a bucket are equal, so that
// they are an interval in this order, and a longer table divides the intervals of the shorter one.
type dictLister struct {
	part  *dictPart
	found []*record // by the last call of advance
	next  uint64    // the reversed hash from which the next call of advance goes on
	ended bool      // there are no more
}

// The limits of what advance does, after which it finishes the bucket.
const (
	mostListed        = 64
	mostBucketsListed = 512
)

// advance finds the next records. The caller must hold the cache's lock.
func (l *dictLister) advance() {
	l.found = l.found[:0]
	t := l.part.table.Load()
	if t == nil {
		l.ended = true
		return
	}
	width := uint64(1) << (64 - bits.Len(uint(len(*t)-1))) // of the interval of a bucket
	for n := 0; n < mostBucketsListed && len(l.found) < mostListed && !l.ended; n++ {
		for r := t.bucket(bits.Reverse64(l.next)).first.Load(); r != nil; r = r.next.Load() {
			if bits.Reverse64(r.hash) >= l.next { // otherwise it was found in a shorter table
				l.found = append(l.found, r)
			}
		}
		l.next = l.next&^(width-1) + width
		l.ended = l.next == 0
	}
}

// listed returns the record as Lister returns it.
func (r *record) listed() Listed {
	h := r.head.Load()
	if h == nil {
		h = r.firstHead()
	}
	return Listed{Key: r.key(), Entry: h.Unpack(), Size: recordSize + int64(len(r.text)) + int64(len(r.body)) + int64(cap(h.decoded))}
}
