package storage

import (
	"context"
	"io"
	"time"
)

// Cache is what github.com/gregjones/httpcache calls a Cache, and what its many implementations are: in memory, on disk,
// in LevelDB, Redis, memcached or S3. FromCache makes it a Store. It must be safe for concurrent use.
type Cache interface {
	Get(key string) (value []byte, ok bool)
	Set(key string, value []byte)
	Delete(key string)
}

// FromCache returns a Store that keeps each entry as one value of c, as FromKV does with a KV.
//
// What gregjones/httpcache itself has stored there is a miss, and is replaced by the next good response: its values are
// responses as they came over the wire, without the times and selecting fields that a decision needs. The keys of
// GET are the same but for what normalising a URL changes, so each of the two caches takes the other's entries
// away: give them different stores.
//
// A Cache has no errors, no deadlines and no end of life: one that fails loses entries silently, one that hangs
// holds up requests, and what it keeps it keeps until it is replaced or dropped.
func FromCache(c Cache) Store {
	if c == nil {
		return FromKV(nil)
	}
	if closer, ok := c.(io.Closer); ok {
		return FromKV(struct {
			cacheKV
			io.Closer
		}{cacheKV{c}, closer})
	}
	return FromKV(cacheKV{c})
}

type cacheKV struct{ cache Cache }

func (kv cacheKV) Get(_ context.Context, key string) ([]byte, error) {
	if value, ok := kv.cache.Get(key); ok {
		return value, nil
	}
	return nil, ErrNotFound
}

func (kv cacheKV) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	kv.cache.Set(key, value)
	return nil
}

func (kv cacheKV) Delete(_ context.Context, key string) error {
	kv.cache.Delete(key)
	return nil
}
