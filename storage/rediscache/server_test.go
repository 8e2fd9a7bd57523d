//go:build unix

package rediscache_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// TestServer runs the tests for stores against a real server.
func TestServer(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.FlushDB(background).Err(); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, v.opts...)
			})
		})
	}
}

// TestCluster runs them against a cluster of three.
func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t, 3)
	client := c.Client()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				if err := client.ForEachMaster(background, func(ctx context.Context, node *redis.Client) error {
					return node.FlushDB(ctx).Err()
				}); err != nil {
					t.Fatal(err)
				}
				return rediscache.New(client, v.opts...)
			})
		})
	}
}
