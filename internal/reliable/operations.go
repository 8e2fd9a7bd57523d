package reliable

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Operation is what is known of the calls of an operation of a store that is not local.
type Operation struct {
	Calls uint64
	Time  time.Duration            // that all calls took
	Took  map[time.Duration]uint64 // calls by the upper limit of the time they took, or 0
}

// operations counts calls. The zero value has no counts.
type operations struct {
	get, create, commit, update, delete, lease, near operation
}

type operation struct {
	calls atomic.Uint64
	nanos atomic.Int64
	took  [9]atomic.Uint64 // those that took less than shortest << 2*i and, the last, any time
}

// shortest is the lowest limit by which calls are counted.
const shortest = 64 * time.Microsecond

// ended records a call that began at start.
func (o *operation) ended(start time.Time) {
	if o == nil {
		return
	}
	took := time.Since(start)
	o.calls.Add(1)
	o.nanos.Add(int64(took))
	o.took[min((bits.Len64(uint64(took/shortest))+1)/2, len(o.took)-1)].Add(1)
}

func (o *operation) read() Operation {
	r := Operation{Calls: o.calls.Load(), Time: time.Duration(o.nanos.Load()), Took: make(map[time.Duration]uint64)}
	for i := range o.took {
		limit := shortest << (2 * i)
		if i == len(o.took)-1 {
			limit = 0
		}
		if n := o.took[i].Load(); n > 0 {
			r.Took[limit] = n
		}
	}
	return r
}

// servers remembers which servers were given up, to log a change once.
type servers struct {
	some atomic.Bool // at least one was given up

	mu   sync.Mutex // guards down
	down []string
}
