package rediscache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// groups is how many breakers a Cluster has: one for each 64th part of its slots, so that a node that is down does
// not take the others' entries away.
const groups = 64

// breakerOf returns the breaker for what is said about key.
func (c *Cache) breakerOf(key string) *breaker.Breaker {
	if !c.cluster {
		return &c.breakers[0]
	}
	return &c.breakers[slot(key)/(slots/groups)]
}

// call makes one call about key, unless the breaker is open.
func call[T any](ctx context.Context, c *Cache, key string, f func(context.Context) (T, error)) (T, error) {
	b := c.breakerOf(key)
	if !b.Allow(time.Now(), c.pause()) {
		var zero T
		return zero, storage.ErrSuspended
	}
	return callFor(ctx, c, c.timeout, b, f)
}

// callFor makes one call, which may take as long as given, and tells b how it ended.
//
// A client that does not heed contexts is called in a goroutine of its own, which ends with the client's timeouts. f
// must share nothing with its caller that changes later.
func callFor[T any](ctx context.Context, c *Cache, timeout time.Duration, b *breaker.Breaker, f func(context.Context) (T, error)) (T, error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var value T
	var err error
	if c.heeds {
		value, err = f(within)
	} else {
		type result struct {
			value T
			err   error
		}
		done := make(chan result, 1)
		go func() {
			value, err := f(within)
			done <- result{value, err}
		}()
		select {
		case r := <-done:
			value, err = r.value, r.err
		case <-within.Done():
			err = within.Err()
		}
	}
	switch {
	case isAnswer(err):
		b.Answered()
	case ctx.Err() != nil: // the caller gave up
	default:
		b.Failed(time.Now(), c.pause())
	}
	return value, wrap(err)
}

// answer is an error that is a call's result: the server did answer.
type answer struct{ error }

// isAnswer says whether a call that ended in err was answered, by a server that can serve, and serves us.
func isAnswer(err error) bool {
	var own answer
	if err == nil || errors.As(err, &own) {
		return true
	}
	if redis.IsLoadingError(err) || redis.IsClusterDownError(err) || redis.IsMasterDownError(err) ||
		redis.IsMaxClientsError(err) || redis.IsAuthError(err) {
		return false
	}
	var reply redis.Error // redis.Nil and redis.TxFailedErr too
	return errors.As(err, &reply)
}

// wrap gives an error the form in which the Cache returns it. What is tested for elsewhere is kept.
func wrap(err error) error {
	var own answer
	switch {
	case err == nil, err == redis.Nil, err == redis.TxFailedErr:
		return err
	case errors.As(err, &own):
		return own.error
	case errors.Is(err, redis.ErrClosed):
		return storage.ErrClosed
	}
	return fmt.Errorf("rediscache: %w", err)
}

// isWrongType says whether there is something under the key that is no string: not ours, and not Python's.
func isWrongType(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "WRONGTYPE")
}
