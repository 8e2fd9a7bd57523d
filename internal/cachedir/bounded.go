package cachedir

import (
	"sync"
	"sync/atomic"
)

// A share is a part of a bounded directory: all leaf directories that begin with the same two digits.
const (
	shareCount  = 256
	shareLeaves = leaves / shareCount
)

// bound holds the counts and the state of the steps of a tree.
type bound struct {
	last  atomic.Int64             // time of the last step in nanoseconds since 1970, or zero
	total atomic.Int64             // the size of the directory, as far as it is known
	since atomic.Int64             // bytes that this process has added since its last step
	whole atomic.Bool              // whether every share has been counted
	added [shareCount]atomic.Int64 // bytes that this process has added to or removed from each share since its last step

	evictions atomic.Uint64 // by this process, because of MaxBytes

	mu   sync.Mutex // held during a step; guards next
	next int        // the first leaf of the next step, if there is no file
}

// behind reports whether more is stored than the steps can evict. The bound is n bytes.
func (b *bound) behind(n int64) bool { return b.farOver(n) || b.since.Load() > n/8 }

// farOver reports whether the directory is more than a quarter over its bound of n bytes.
func (b *bound) farOver(n int64) bool { return exceeds(b.total.Load(), n, 4) }

// exceeds reports whether total is more than bound + bound/part. That sum itself may overflow.
func exceeds(total, bound, part int64) bool { return total > bound && total-bound > bound/part }
