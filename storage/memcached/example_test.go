package memcached_test

import (
	"github.com/bradfitz/gomemcache/memcache"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/memcached"
)

// Two servers, and 64 MiB of memory before them.
func Example() {
	client := memcache.New("10.0.0.1:11211", "10.0.0.2:11211")
	far := memcached.New(client, memcached.Prefix("web:"))
	cache := &cachecontrol.Transport{Store: storage.Tiered(nil, far, 0)}
	defer cache.Close()
}
