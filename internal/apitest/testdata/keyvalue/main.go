// Keyvalue makes stores of a database that keeps values of bytes.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// database is a KV that several machines share.
type database struct{ rows sync.Map }

func (d *database) Get(_ context.Context, key string) ([]byte, error) {
	row, ok := d.rows.Load(key)
	if !ok {
		return nil, storage.ErrNotFound
	}
	return row.([]byte), nil
}

func (d *database) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	d.rows.Store(key, append([]byte(nil), value...))
	return nil
}

func (d *database) Delete(_ context.Context, key string) error {
	d.rows.Delete(key)
	return nil
}

// old is a Cache for github.com/gregjones/httpcache.
type old struct{ rows sync.Map }

func (o *old) Get(key string) ([]byte, bool) {
	row, ok := o.rows.Load(key)
	if !ok {
		return nil, false
	}
	return row.([]byte), true
}

func (o *old) Set(key string, value []byte) { o.rows.Store(key, value) }
func (o *old) Delete(key string)            { o.rows.Delete(key) }

var (
	_ kv.KV = (*database)(nil)
)

func main() {
	far := kv.FromKV(new(database))
	near := &storage.DictCache{MaxBytes: 2 * storage.DefaultMaxBytes}
	tiered := storage.Tiered(near, far, storage.DefaultNearFor/5)
	for _, store := range []storage.Store{far, tiered, kv.FromCache(new(old))} {
		client := (&cachecontrol.Transport{Store: store, Shared: true}).Client()
		client.CloseIdleConnections()
		_, err := store.Get(context.Background(), "https://example.com/")
		fmt.Println(errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrSuspended))
		if w, ok := store.(storage.Watcher); ok {
			go w.Watch(context.Background(), func(key string) { fmt.Println("changed", key) })
		}
	}
}
