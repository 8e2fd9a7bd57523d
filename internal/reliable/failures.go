package reliable

import (
	"sync"
	"time"
)

// warnInterval is the time between two warnings about the same operation.
const warnInterval = 10 * time.Second

// failures counts the failures of a store by operation, and decides when to log a warning.
type failures struct {
	mu   sync.Mutex // guards byOp
	byOp map[string]*failure
}

type failure struct {
	total    uint64
	unwarned uint64 // since the last warning
	warned   time.Time
}

// add counts a failure. unwarned is the number of failures since the last warning, including this one. due reports
// whether to log a warning now; it is always false if serious is false.
func (f *failures) add(op string, now time.Time, serious bool) (unwarned uint64, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byOp == nil {
		f.byOp = make(map[string]*failure)
	}
	o := f.byOp[op]
	if o == nil {
		o = new(failure)
		f.byOp[op] = o
	}
	o.total++
	o.unwarned++
	unwarned = o.unwarned
	if serious && (o.warned.IsZero() || now.Sub(o.warned) >= warnInterval) {
		o.unwarned, o.warned, due = 0, now, true
	}
	return unwarned, due
}

func (f *failures) counts() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := make(map[string]uint64, len(f.byOp))
	for op, o := range f.byOp {
		counts[op] = o.total
	}
	return counts
}
