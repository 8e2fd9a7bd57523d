// Package feeds reads web feeds through a cache.
package feeds

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/gregjones/httpcache"
	"github.com/gregjones/httpcache/diskcache"
)

// Reader reads feeds.
type Reader struct {
	transport *httpcache.Transport
	client    *http.Client
}

func newReader(cache httpcache.Cache, base http.RoundTripper) *Reader {
	t := httpcache.NewTransport(cache)
	t.Transport = base
	return &Reader{transport: t, client: t.Client()}
}

// InMemory returns a Reader with a cache in memory.
func InMemory(base http.RoundTripper) (*Reader, error) {
	return newReader(httpcache.NewMemoryCache(), base), nil
}

// OnDisk returns a Reader with a cache in a directory.
func OnDisk(dir string, base http.RoundTripper) (*Reader, error) {
	return newReader(diskcache.New(dir), base), nil
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
	return newReader(&table{m: map[string][]byte{}}, base), nil
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
	return string(body), resp.Header.Get(httpcache.XFromCache) == "1", err
}

// Peek returns the stored response for a feed, fresh or stale. It sends no request.
func (r *Reader) Peek(url string) (feed string, ok bool, err error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", false, err
	}
	resp, err := httpcache.CachedResponse(r.transport.Cache, req)
	if err != nil || resp == nil {
		return "", false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err == nil, err
}

// Forget removes a feed from the cache.
func (r *Reader) Forget(url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.transport.Cache.Delete(req.URL.String())
	return nil
}
