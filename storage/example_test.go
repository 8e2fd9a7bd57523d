package storage_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// A directory that keeps up to 100 MiB of responses, least recently used first, and none that was not used for 30 days.
func ExampleNewFileCache() {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	store, err := directory.NewFileCache(dir, directory.MaxBytes(100<<20), directory.MaxAge(30*24*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	cache := &cachecontrol.Transport{Store: store}
	defer cache.Close()
}

// memory is the least that a store of one's own takes.
type memory struct{ values sync.Map }

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	v, ok := m.values.Load(key)
	if !ok {
		return nil, storage.ErrNotFound
	}
	return v.([]byte), nil
}

func (m *memory) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	m.values.Store(key, value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.values.Delete(key)
	return nil
}

// Whatever can get, set and delete bytes is a Store.
func ExampleFromKV() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer server.Close()

	cache := &cachecontrol.Transport{Store: kv.FromKV(new(memory))}
	defer cache.Close()
	for range 2 {
		resp, err := cache.Client().Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(cachecontrol.StatusOf(resp).Outcome)
	}
	// Output:
	// miss
	// hit
}
