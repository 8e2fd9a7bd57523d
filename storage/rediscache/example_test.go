package rediscache_test

import (
	"context"
	"fmt"
	"log"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

func Example() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
	defer client.Close() // the Cache leaves that to its caller

	t := &cachecontrol.Transport{Store: rediscache.New(client, rediscache.Prefix("web:"))}
	defer t.Close()
	resp, err := t.Client().Get("https://example.com/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(cachecontrol.StatusOf(resp).Outcome)
}

// A Cluster with memory before it, which is told at once of what others change.
func Example_tiered() {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"}, ContextTimeoutEnabled: true,
	})
	defer client.Close()

	far := rediscache.New(client, rediscache.Prefix("web:"))
	t := &cachecontrol.Transport{Store: storage.Tiered(nil, far, 0)}
	defer t.Close()
}

func ExampleClear() {
	server := miniredis.NewMiniRedis() // a Redis for tests
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	ctx := context.Background()
	client.Set(ctx, "web:https://example.com/", "an entry", 0)
	client.Set(ctx, "somebody's", "else", 0)
	if err := rediscache.Clear(ctx, client, "web:"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Keys(ctx, "*").Val())
	// Output: [somebody's]
}
