package reliable

import (
	"sync"
	"sync/atomic"
	"time"
)

// Operation is what is known of the calls of an operation of a store that is not local.
type Operation struct {
	Calls uint64
	Time  time.Duration // that all calls took
}

// operations counts calls. The zero value has no counts.
type operations struct {
	get, create, commit, update, delete, lease, near operation
}

type operation struct {
	calls atomic.Uint64
	nanos atomic.Int64
}

// took records a call that began at start.
func (o *operation) took(start time.Time) {
	if o == nil {
		return
	}
	o.calls.Add(1)
	o.nanos.Add(int64(time.Since(start)))
}

// servers remembers which servers were given up, to log a change once.
type servers struct {
	some atomic.Bool // at least one was given up

	mu   sync.Mutex // guards down
	down []string
}
