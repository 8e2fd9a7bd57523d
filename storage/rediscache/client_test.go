package rediscache_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
)

// newClient returns a client of the server at addr. It honors contexts and is closed when the test ends. The options may be changed.
func newClient(t testing.TB, addr string, change ...func(*redis.Options)) *redis.Client {
	opt := &redis.Options{Addr: addr, ContextTimeoutEnabled: true}
	for _, f := range change {
		f(opt)
	}
	c := redis.NewClient(opt)
	t.Cleanup(func() { c.Close() })
	return c
}

// newClusterClient returns a client of the cluster that honors contexts and is closed when the test ends.
func newClusterClient(t testing.TB, cluster *redistest.Cluster) *redis.ClusterClient {
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { c.Close() })
	return c
}
