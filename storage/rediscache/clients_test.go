//go:build unix

package rediscache_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestClients runs the tests for stores with the clients that go-redis makes of addresses: a Ring, and what NewUniversalClient
// returns.
func TestClients(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) redis.UniversalClient{
		"ring": func(t *testing.T) redis.UniversalClient {
			return redis.NewRing(&redis.RingOptions{
				Addrs: map[string]string{"a": redistest.Start(t).Addr, "b": redistest.Start(t).Addr}, ContextTimeoutEnabled: true,
			})
		},
		"universal, one server": func(t *testing.T) redis.UniversalClient {
			return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{redistest.Start(t).Addr}, ContextTimeoutEnabled: true})
		},
		"universal, cluster": func(t *testing.T) redis.UniversalClient {
			return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: redistest.StartCluster(t, 3).Addrs(), ContextTimeoutEnabled: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t)
			defer client.Close()
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := rediscache.Clear(background, client, "test:"); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, rediscache.Prefix("test:"), rediscache.MaxPlain(1), patient)
			})
		})
	}
}
