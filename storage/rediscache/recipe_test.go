package rediscache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// newFleetCache returns a cache in Redis that several machines share, with a cache in memory in
// front of it. closeCache closes it.
func newFleetCache(addr string) (cache *cachecontrol.Transport, closeCache func() error) {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	far := rediscache.New(client, rediscache.Prefix("web:"))
	tiered := storage.Tiered(&storage.DictCache{MaxBytes: 256 << 20}, far, 0)
	cache = &cachecontrol.Transport{Store: tiered}
	return cache, func() error { return errors.Join(cache.Close(), tiered.Close()) }
}

// No server is needed: without one the requests go to the origin.
func TestRecipeFleet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") }))
	defer server.Close()
	cache, closeCache := newFleetCache("127.0.0.1:1")
	defer closeCache()
	resp, err := cache.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "page" || err != nil {
		t.Errorf("body = %q, %v, want %q, nil", body, err, "page")
	}
}
