package storage_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// stores are all the stores of this package.
var stores = []struct {
	name string
	open func(t testing.TB) storage.Store
}{
	{"DictCache", func(testing.TB) storage.Store { return storage.NewDictCache() }},
	{"FileCache", func(t testing.TB) storage.Store { return newFileCache(t, t.TempDir()) }},
	{"SeparateBodyFileCache", func(t testing.TB) storage.Store { return newSeparate(t, t.TempDir()) }},
	{"FromKV", func(testing.TB) storage.Store { return kv.FromKV(new(storetest.KV)) }},
	{"FromCache", func(testing.TB) storage.Store { return kv.FromCache(new(storetest.Cache)) }},
}

func TestStores(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store { return s.open(t) })
		})
	}
}
