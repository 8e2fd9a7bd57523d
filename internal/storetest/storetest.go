// Package storetest helps the tests of stores.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// Put stores body under key with the full Entry of storagetest.
func Put(t testing.TB, s storage.Store, key, body string) {
	t.Helper()
	w, err := s.Create(t.Context(), key, storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Get returns the entry under key and its body.
func Get(t testing.TB, s storage.Store, key string) (*storage.Response, string, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

// MustGet returns the entry under key, whose body must be want.
func MustGet(t testing.TB, s storage.Store, key, want string) *storage.Response {
	t.Helper()
	r, body, err := Get(t, s, key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	if body != want {
		t.Fatalf("Get(%q): %.40q instead of %.40q", key, body, want)
	}
	return r
}

// WantMiss checks that key is a miss, and whether it is one because of an unreadable entry.
func WantMiss(t testing.TB, s storage.Store, key string, unreadable bool) {
	t.Helper()
	_, _, err := Get(t, s, key)
	switch {
	case !errors.Is(err, storage.ErrNotFound):
		t.Errorf("Get(%q): %v", key, err)
	case errors.Is(err, storage.ErrUnreadable) != unreadable:
		t.Errorf("Get(%q): unreadable should be %v: %v", key, unreadable, err)
	}
}

// EntryOf returns the entry under key.
func EntryOf(t testing.TB, s storage.Store, key string) *storage.Entry {
	t.Helper()
	r, _, err := Get(t, s, key)
	if err != nil {
		t.Fatal(err)
	}
	return r.Entry
}

// FullEntry returns an entry of which every field is set; its body is "hello".
func FullEntry() *storage.Entry {
	return &storage.Entry{
		Status: 206, Reason: "Partial Content", Version: 11,
		Header: http.Header{
			"Content-Type": {"text/plain"},
			"Set-Cookie":   {"a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT", "b=2"},
			"Vary":         {"Accept-Encoding, x-Thing"},
			"X-Latin":      {"caf\xe9 \xff"},
			"X-Utf8":       {"caf\u00e9"},
			"X-Empty":      {""},
		},
		Vary: []storage.Field{
			{Name: "x-Thing"},
			{Name: "Accept-Encoding", Value: "gzip, deflate", Present: true},
			{Name: "A-Present-Empty", Present: true},
			{Name: "Authorization", Value: "salt digest", Present: true, Digest: true},
		},
		URL:          "http://example.com/a?b=c",
		RequestTime:  time.Date(2024, 2, 29, 12, 0, 0, 1, time.UTC),
		ResponseTime: time.Date(2024, 2, 29, 12, 0, 1, 999999999, time.UTC),
		Trailer:      http.Header{"X-Sum": {"1"}, "X-Two": {"1", "2"}},
		Length:       5,
		Sum:          checksum.Sum([]byte("hello")),
		BodyTime:     time.Date(1969, 12, 31, 23, 59, 59, 5, time.UTC),
		Generation:   "0f\xe9",
		Heuristic:    []string{"Expires", "Warning"},
		Lifetime:     90 * time.Minute,
		Variants: []storage.Variant{
			{
				Key: "k1", Vary: []storage.Field{{Name: "Accept", Value: "b\xe9", Present: true}, {Name: "A"}, {Name: "C", Value: "salt digest", Present: true, Digest: true}},
				Date: time.Date(2024, 2, 29, 11, 0, 0, 0, time.UTC), Encoding: "gzip", Language: "en", ETag: `"\xe9"`,
			},
			{Key: "k2\xff"},
		},
		Range:  &storage.Range{Start: 7, Total: -1},
		Groups: []string{"a", "\xff\x00"},
		Mark:   storage.Mark{List: 1<<63 + 1, Version: 3},
	}
}

// KV is a kv.KV in memory.
type KV struct {
	mu     sync.Mutex // guards all
	Values map[string][]byte
	TTL    time.Duration // of the last Set
	Closed int
}

func (kv *KV) Get(_ context.Context, key string) ([]byte, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if v, ok := kv.Values[key]; ok {
		return v, nil
	}
	return nil, storage.ErrNotFound
}

func (kv *KV) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.Values == nil {
		kv.Values = make(map[string][]byte)
	}
	kv.Values[key], kv.TTL = bytes.Clone(value), ttl
	return nil
}

func (kv *KV) Delete(_ context.Context, key string) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	delete(kv.Values, key)
	return nil
}

func (kv *KV) Close() error {
	kv.Closed++
	return nil
}

// Cache is a kv.Cache in memory.
type Cache struct{ Values sync.Map }

func (c *Cache) Get(key string) ([]byte, bool) {
	if v, ok := c.Values.Load(key); ok {
		return v.([]byte), true
	}
	return nil, false
}
func (c *Cache) Set(key string, value []byte) { c.Values.Store(key, value) }
func (c *Cache) Delete(key string)            { c.Values.Delete(key) }

// Foreign returns a document as Python writes it.
func Foreign(t testing.TB, status int, body string, header ...string) []byte {
	t.Helper()
	e := &storage.Entry{Status: status, Reason: "OK", Version: 11, Foreign: true, Header: map[string][]string{
		"Date": {"Thu, 29 Feb 2024 12:30:45 GMT"},
	}}
	for i := 0; i < len(header); i += 2 {
		e.Header.Set(header[i], header[i+1])
	}
	doc, err := document.Marshal(e, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// EachDamage calls f with doc cut off at each length, and with each byte changed in four ways.
func EachDamage(doc []byte, f func(name string, damaged []byte)) {
	for n := range doc {
		f("truncated", append([]byte(nil), doc[:n]...))
		for _, flip := range []byte{1 << (n % 8), 1 << ((n + 3) % 8)} { // every bit, from byte to byte
			damaged := append([]byte(nil), doc...)
			damaged[n] ^= flip
			f("flipped", damaged)
		}
	}
	f("longer", append(append([]byte(nil), doc...), 0))
}
