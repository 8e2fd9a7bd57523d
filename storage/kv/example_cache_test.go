package kv_test

import (
	"fmt"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// A cache made for gregjones/httpcache is a Store without a change.
func ExampleFromCache() {
	old := new(storetest.Cache) // or diskcache.New(dir), leveldbcache.New(path) and so on
	cache := &cachecontrol.Transport{Store: kv.FromCache(old)}
	defer cache.Close()
	fmt.Println(cache.Client().Transport == cache)
	// Output: true
}
