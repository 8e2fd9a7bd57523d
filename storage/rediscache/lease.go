package rediscache

import (
	"context"
	"crypto/rand"
	"math"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Lease implements storage.Leaser. The lease is a key with a value that only its holder knows.
func (c *cache) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if err := c.check(ctx); err != nil {
		return nil, false, err
	}
	name, token := leaseName(c.prefix, c.plain(key)), rand.Text()
	ok, err = call(ctx, c, name, func(ctx context.Context) (bool, error) {
		// The lease must not end early, and Redis counts whole milliseconds.
		return c.client.SetNX(ctx, name, token, min(max(d, 0), math.MaxInt64-time.Millisecond)+time.Millisecond).Result()
	})
	if !ok || err != nil {
		return nil, false, err
	}
	return func() { c.release(name, token) }, true, nil
}

// release removes a lease if its value is still token. If Redis fails, the lease stays until it expires.
func (c *cache) release(name, token string) { _, _ = c.unlink(context.Background(), name, token) }

var _ storage.Leaser = (*cache)(nil)
