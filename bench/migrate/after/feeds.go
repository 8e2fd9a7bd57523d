// Package feeds reads web feeds through a cache.
package feeds

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// Reader reads feeds.
type Reader struct {
	transport *cachecontrol.Transport
	client    *http.Client
}

func newReader(store storage.Store, base http.RoundTripper) *Reader {
	t := &cachecontrol.Transport{Store: store, Base: base}
	return &Reader{transport: t, client: t.Client()}
}

// InMemory returns a Reader with a cache in memory.
func InMemory(base http.RoundTripper) (*Reader, error) {
	return newReader(storage.NewDictCache(), base), nil
}

// OnDisk returns a Reader with a cache in a directory.
func OnDisk(dir string, base http.RoundTripper) (*Reader, error) {
	store, err := directory.NewFileCache(dir)
	if err != nil {
		return nil, err
	}
	return newReader(store, base), nil
}

// table is a cache written for this program.
type table struct {
	mu sync.Mutex // guards m
	m  map[string][]byte
}

func (t *table) Get(key string) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.m[key]
	return v, ok
}

func (t *table) Set(key string, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.m[key] = value
}

func (t *table) Delete(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, key)
}

// InTable returns a Reader over a cache of our own.
func InTable(base http.RoundTripper) (*Reader, error) {
	return newReader(kv.FromCache(&table{m: map[string][]byte{}}), base), nil
}

// Read returns a feed, and whether it came from the cache.
func (r *Reader) Read(url string) (feed string, cached bool, err error) {
	resp, err := r.client.Get(url)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", false, fmt.Errorf("%s: %s", url, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), resp.Header.Get(cachecontrol.XFromCache) == "1", err
}

// Peek returns the stored response for a feed, fresh or stale. It sends no request.
func (r *Reader) Peek(url string) (feed string, ok bool, err error) {
	ctx := cachecontrol.WithControl(context.Background(), cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", false, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	if !cachecontrol.FromCache(resp) {
		return "", false, nil
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err == nil, err
}

// Forget removes a feed from the cache.
func (r *Reader) Forget(feed string) error {
	u, err := url.Parse(feed)
	if err != nil {
		return err
	}
	return r.transport.Invalidate(context.Background(), u)
}
