package storage_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
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
	{"FromKV", func(testing.TB) storage.Store { return storage.FromKV(new(mapKV)) }},
	{"FromCache", func(testing.TB) storage.Store { return storage.FromCache(new(mapCache)) }},
}

func newFileCache(t testing.TB, dir string, opts ...storage.Option) *storage.FileCache {
	t.Helper()
	c, err := storage.NewFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newSeparate(t testing.TB, dir string, opts ...storage.Option) *storage.SeparateBodyFileCache {
	t.Helper()
	c, err := storage.NewSeparateBodyFileCache(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStores(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store { return s.open(t) })
		})
	}
}

// mapKV is the least that a KV can be.
type mapKV struct {
	mu     sync.Mutex // guards all
	values map[string][]byte
	ttl    time.Duration // of the last Set
	closed int
}

func (kv *mapKV) Get(_ context.Context, key string) ([]byte, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if v, ok := kv.values[key]; ok {
		return v, nil
	}
	return nil, storage.ErrNotFound
}

func (kv *mapKV) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.values == nil {
		kv.values = make(map[string][]byte)
	}
	kv.values[key], kv.ttl = value, ttl
	return nil
}

func (kv *mapKV) Delete(_ context.Context, key string) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	delete(kv.values, key)
	return nil
}

func (kv *mapKV) Close() error {
	kv.closed++
	return nil
}
