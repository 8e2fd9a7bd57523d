package rediscache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/timelimit"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// allow returns the breaker of the server that has key, or an error if the server is given up. In a Cluster and a Ring
// each server has its own, so that the entries of the others stay available if one server is down.
func (c *cache) allow(ctx context.Context, key string) (*breaker.Breaker, error) {
	b := &c.whole
	if ask := c.serverOf(key); ask != nil {
		// The client usually knows which server has the key. If it must ask, no server may answer.
		if !c.whole.Allow(c.timeout, c.answers(ask)) {
			return nil, storage.ErrSuspended
		}
		addr, err := callFor(ctx, c, c.timeout, &c.whole, ask)
		if err != nil {
			return nil, err
		}
		of, ok := c.nodes.Load(addr)
		if !ok {
			of, _ = c.nodes.LoadOrStore(addr, new(breaker.Breaker))
		}
		b = of.(*breaker.Breaker)
	}
	if b.Open() && !b.Allow(c.timeout, c.answers(func(ctx context.Context) (string, error) { return c.client.GetRange(ctx, key, 0, 0).Result() })) {
		return nil, storage.ErrSuspended
	}
	return b, nil
}

// serverOf returns a function that returns the address of the server that has key, or nil if there is only one.
func (c *cache) serverOf(key string) func(context.Context) (string, error) {
	var node func(context.Context) (*redis.Client, error)
	switch client := c.client.(type) {
	case *redis.ClusterClient:
		node = func(ctx context.Context) (*redis.Client, error) { return client.MasterForKey(ctx, key) }
	case *redis.Ring:
		node = func(context.Context) (*redis.Client, error) { return client.GetShardClientForKey(key) }
	default:
		return nil
	}
	return func(ctx context.Context) (string, error) {
		n, err := node(ctx)
		if err != nil {
			return "", err
		}
		return n.Options().Addr, nil
	}
}

// parted reports whether the keys may be on several servers.
func (c *cache) parted() bool {
	switch c.client.(type) {
	case *redis.ClusterClient, *redis.Ring:
		return true
	}
	return false
}

// answers returns a function that makes a call, and reports whether the server has answered it.
func (c *cache) answers(f func(context.Context) (string, error)) func() bool {
	return func() bool {
		_, err := within(context.Background(), c, c.timeout, f)
		return isAnswer(err)
	}
}

// call makes one call concerning key, unless the server is given up.
func call[T any](ctx context.Context, c *cache, key string, f func(context.Context) (T, error)) (T, error) {
	return callLong(ctx, c, key, 0, f)
}

// callLong is like call for a call that transfers about n bytes, which may take longer.
func callLong[T any](ctx context.Context, c *cache, key string, n int64, f func(context.Context) (T, error)) (T, error) {
	b, err := c.allow(ctx, key)
	if err != nil {
		var zero T
		return zero, err
	}
	timeout := c.timeout
	if timeout < noTimeout {
		timeout *= time.Duration(1 + n/chunkSize)
	}
	return callFor(ctx, c, timeout, b, f)
}

// callFor makes one call with the given timeout and reports its result to b.
func callFor[T any](ctx context.Context, c *cache, timeout time.Duration, b *breaker.Breaker, f func(context.Context) (T, error)) (T, error) {
	value, err := within(ctx, c, timeout, f)
	return value, c.report(ctx, b, err)
}

// report reports the result of a call to b. It returns the error of the call as the store returns it.
func (c *cache) report(ctx context.Context, b *breaker.Breaker, err error) error {
	switch {
	case isAnswer(err):
		b.Answered()
	case ctx.Err() == context.Canceled: // says nothing about the server, in contrast to a deadline
	default:
		b.Failed(c.timeout)
	}
	return wrap(err)
}

// within makes one call with the given timeout.
//
// If the client does not honor contexts, the call runs in a new goroutine, which ends with the client's own
// timeouts. So f must not share anything with its caller that is modified later. A panic of the client is an error: it panics
// if a server answers with a length that cannot be.
func within[T any](ctx context.Context, c *cache, timeout time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := timelimit.WithTimeout(ctx, timeout)
	defer cancel()
	if c.heeds {
		return recovered(ctx, f)
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := recovered(ctx, f)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// recovered calls f. A panic of f is an error.
func recovered[T any](ctx context.Context, f func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f(ctx)
}

// answer is an error that means that the server did answer.
type answer struct{ error }

// isAnswer reports whether a call that returned err was answered by a server that can serve us.
func isAnswer(err error) bool {
	if err == nil {
		return true
	}
	var own answer
	if errors.As(err, &own) {
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
	if err == nil || err == redis.Nil || err == redis.TxFailedErr {
		return err
	}
	var own answer
	switch {
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
	if err == nil {
		return false
	}
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "WRONGTYPE")
}

// unreadable returns the error of an entry that cannot be used because of err.
func unreadable(err error) error { return fmt.Errorf("%w: %w", storage.ErrUnreadable, err) }
