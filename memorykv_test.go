package cachecontrol_test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// memoryKV is a storage.KV in memory. Its zero value is empty.
type memoryKV struct{ m sync.Map }

func (kv *memoryKV) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := kv.m.Load(key); ok {
		return v.([]byte), nil
	}
	return nil, storage.ErrNotFound
}

func (kv *memoryKV) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	kv.m.Store(key, bytes.Clone(value))
	return nil
}

func (kv *memoryKV) Delete(_ context.Context, key string) error {
	kv.m.Delete(key)
	return nil
}

func (kv *memoryKV) dump() (all []byte) {
	kv.m.Range(func(k, v any) bool {
		all = append(append(all, k.(string)...), v.([]byte)...)
		return true
	})
	return all
}
