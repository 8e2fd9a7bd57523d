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

// breakerOf returns the breaker of the server that has key. In a Cluster each server has its own, so that the
// entries of the others stay available if one server is down.
func (c *cache) breakerOf(ctx context.Context, key string) (*breaker.Breaker, error) {
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok {
		return &c.whole, nil
	}
	// The client usually knows which server has the key. If it must ask, no server may answer.
	if !c.whole.Allow(time.Now(), c.pause()) {
		return nil, storage.ErrSuspended
	}
	addr, err := callFor(ctx, c, c.timeout, &c.whole, func(ctx context.Context) (string, error) {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return "", err
		}
		return node.Options().Addr, nil
	})
	if err != nil {
		return nil, err
	}
	b, ok := c.nodes.Load(addr)
	if !ok {
		b, _ = c.nodes.LoadOrStore(addr, new(breaker.Breaker))
	}
	return b.(*breaker.Breaker), nil
}

// call makes one call concerning key, unless the breaker is open.
func call[T any](ctx context.Context, c *cache, key string, f func(context.Context) (T, error)) (T, error) {
	b, err := c.breakerOf(ctx, key)
	if err == nil && !b.Allow(time.Now(), c.pause()) {
		err = storage.ErrSuspended
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return callFor(ctx, c, c.timeout, b, f)
}

// callFor makes one call with the given timeout and reports its result to b.
//
// If the client does not honor contexts, the call runs in a new goroutine, which ends with the client's own
// timeouts. So f must not share anything with its caller that is modified later.
func callFor[T any](ctx context.Context, c *cache, timeout time.Duration, b *breaker.Breaker, f func(context.Context) (T, error)) (T, error) {
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
	case ctx.Err() != nil: // the caller's context has ended
	default:
		b.Failed(time.Now(), c.pause())
	}
	return value, wrap(err)
}

// answer is an error that means that the server did answer.
type answer struct{ error }

// isAnswer reports whether a call that returned err was answered by a server that can serve us.
func isAnswer(err error) bool {
	var own answer
	if err == nil || errors.As(err, &own) {
		return true
	}
	if redis.IsLoadingError(err) || redis.IsClusterDownError(err) || redis.IsMasterDownError(err) ||
		redis.IsMaxClientsError(err) || redis.IsAuthError(err) {
		return false
	}
	var reply redis.Error // includes redis.Nil and redis.TxFailedErr
	return errors.As(err, &reply)
}

// wrap converts err to the error that the Cache returns. It keeps errors that callers compare.
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

// isWrongType reports whether err means that the value is not a string, so that neither this package nor
// Python wrote it.
func isWrongType(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "WRONGTYPE")
}

// unreadable returns the error of an entry that cannot be used because of err.
func unreadable(err error) error { return fmt.Errorf("%w: %w", storage.ErrUnreadable, err) }
