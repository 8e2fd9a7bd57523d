package reliable

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// share returns how long a call may take that delays a caller with this context: half of the time that the caller has left,
// so that the origin can still be asked, but at most timeout. After the caller's deadline, the call is not waited for.
func share(ctx context.Context, timeout time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if p := patienceOf(ctx); p != nil {
		deadline, ok = p.deadline, true
	}
	if ok {
		if left := time.Until(deadline); left > 0 {
			return min(timeout, left/2)
		}
	}
	return timeout
}

// patience is what a request with a deadline has for a store. Once a call has used up its share of the time, the request
// makes no further calls.
type patience struct {
	deadline time.Time
	lost     atomic.Bool
}

type patienceKey struct{}

func patienceOf(ctx context.Context) *patience {
	p, _ := ctx.Value(patienceKey{}).(*patience)
	if p == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && !deadline.Equal(p.deadline) {
		return nil
	}
	return p
}

// Unhurried returns a context for calls that no caller waits for.
func Unhurried(ctx context.Context) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), patienceKey{}, (*patience)(nil))
}

var errLost = fmt.Errorf("%w: it has not answered this request in time", storage.ErrSuspended)

// impatient returns an error if the store has not answered an earlier call of the request.
func impatient(ctx context.Context) error {
	if p := patienceOf(ctx); p != nil && p.lost.Load() {
		return errLost
	}
	return nil
}

// notice records the result of a call for further calls of the request.
func notice(ctx context.Context, err error) {
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if p := patienceOf(ctx); p != nil {
		p.lost.Store(true)
	}
}
