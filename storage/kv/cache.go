package kv

import (
	"context"
	"io"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// FromCache returns a Store that stores each entry as one value of c, as FromKV does with a KV. c is a Cache of
// github.com/gregjones/httpcache, which has many implementations: in memory, on disk, in LevelDB, Redis, memcached or
// S3. It must be safe for concurrent use.
//
// A value that gregjones/httpcache has stored is a miss, and is replaced by the next response that may be
// stored. Such a value is the response as it was sent, without the times and selecting header fields that are
// needed to decide whether it may be reused. The keys of GET requests are the same in both caches, except for
// URLs that normalization changes. So the two caches would replace each other's entries; give them different
// stores.
//
// A Cache has no errors, timeouts or expiry times. If it fails, entries are lost without notice. If it
// blocks, requests block. A value stays until it is replaced or c drops it.
func FromCache(c interface {
	Get(key string) (value []byte, ok bool)
	Set(key string, value []byte)
	Delete(key string)
}) storage.Store {
	if c == nil {
		return FromKV(nil)
	}
	values := cacheKV{c.Get, c.Set, c.Delete}
	if closer, ok := c.(io.Closer); ok {
		return FromKV(struct {
			cacheKV
			io.Closer
		}{values, closer})
	}
	return FromKV(values)
}

// cacheKV is a KV made of the methods of a Cache.
type cacheKV struct {
	get    func(key string) ([]byte, bool)
	set    func(key string, value []byte)
	remove func(key string)
}

func (c cacheKV) Get(_ context.Context, key string) ([]byte, error) {
	if value, ok := c.get(key); ok {
		return value, nil
	}
	return nil, storage.ErrNotFound
}

func (c cacheKV) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	c.set(key, value)
	return nil
}

func (c cacheKV) Delete(_ context.Context, key string) error {
	c.remove(key)
	return nil
}
