package storage_test

import (
	"fmt"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A cache made for gregjones/httpcache is a Store without a change.
func ExampleFromCache() {
	var old storage.Cache = new(mapCache) // or diskcache.New(dir), leveldbcache.New(path) and so on
	cache := &cachecontrol.Transport{Store: storage.FromCache(old)}
	defer cache.Close()
	fmt.Println(cache.Client().Transport == cache)
	// Output: true
}
