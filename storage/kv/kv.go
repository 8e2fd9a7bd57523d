// Package kv makes Stores of simpler caches, which get, set and delete values of bytes.
package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// maxKVBody limits the length of a body that FromKV buffers in memory before it is stored.
const maxKVBody = 64 << 20

// KV is the interface of a simple store of values, like CacheControl's BaseCache. FromKV turns a KV into a
// Store.
type KV interface {
	// Get returns the value under key, or an error that wraps storage.ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value under key. The KV may drop the value after ttl. Zero means no limit.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes the value under key. Deleting a missing key is not an error.
	Delete(ctx context.Context, key string) error
}

// FromKV returns a Store that stores each entry as one value of kv. The values are the documents that
// Python's CacheControl passes to its caches, so that both can share the server behind kv. Keys are passed to
// kv unchanged.
//
// A body is buffered in memory while it is written. Write returns ErrTooLarge if the body is longer than 64
// MiB or, if kv implements MaxValueBytes() int64, longer than the value it returns. The ttl passed to Set is
// Entry.Keep. Update reads the value and sets a new one. Since a KV offers nothing better, a change to the
// same key between the two calls is lost, but a value never mixes two entries.
//
// If kv implements io.Closer, so does the Store. Its Close closes kv once, and every method returns ErrClosed
// afterwards. If kv is nil, every method returns ErrClosed.
func FromKV(kv KV) storage.Store {
	s := &kvStore{kv: kv}
	if kv == nil {
		s.closed.Store(true)
	}
	if c, ok := kv.(io.Closer); ok {
		return &closingKVStore{kvStore: s, closer: c}
	}
	return s
}

type kvStore struct {
	kv     KV
	closed atomic.Bool
}

type closingKVStore struct {
	*kvStore
	closer io.Closer
}

func (s *closingKVStore) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.closer.Close()
}

func (s *kvStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	e, body, err := s.read(ctx, key)
	if err != nil {
		return nil, err
	}
	return storage.NewResponse(e, body), nil
}

// read returns the verified entry under key and its body.
func (s *kvStore) read(ctx context.Context, key string) (*storage.Entry, []byte, error) {
	if s.closed.Load() {
		return nil, nil, storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	value, err := s.kv.Get(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	return document.Parse(value)
}

func (s *kvStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	room := int64(maxKVBody)
	if l, ok := s.kv.(interface{ MaxValueBytes() int64 }); ok {
		room = min(room, l.MaxValueBytes())
	}
	return &kvWriter{ctx: ctx, store: s, key: key, entry: e, body: buffer.Buffer{Room: room, Hint: e.Length}}, nil
}

func (s *kvStore) Update(ctx context.Context, key string, e *storage.Entry) error {
	old, body, err := s.read(ctx, key)
	if err != nil {
		return err
	}
	if !old.SameBody(e) {
		return storage.ErrChanged
	}
	return s.set(ctx, key, e, body)
}

func (s *kvStore) Delete(ctx context.Context, key string) error {
	if s.closed.Load() {
		return storage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.kv.Delete(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

func (s *kvStore) set(ctx context.Context, key string, e *storage.Entry, body []byte) error {
	if s.closed.Load() {
		return storage.ErrClosed
	}
	own := document.Own(e)
	own.Length, own.Sum = int64(len(body)), checksum.Sum(body)
	value, err := document.Marshal(own, body)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return s.kv.Set(ctx, key, value, max(e.Keep, 0))
}

type kvWriter struct {
	ctx   context.Context
	store *kvStore
	key   string
	entry *storage.Entry
	body  buffer.Buffer
	ended bool
}

func (w *kvWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, buffer.ErrEnded
	}
	return w.body.Write(p)
}

// Written implements storage.RereadingWriter.
func (w *kvWriter) Written() (io.Reader, error) {
	if w.ended {
		return nil, buffer.ErrEnded
	}
	return bytes.NewReader(w.body.Data), w.body.Err
}

func (w *kvWriter) Commit() error {
	if w.ended {
		return buffer.ErrEnded
	}
	w.ended = true
	if w.body.Err != nil {
		return w.body.Err
	}
	return w.store.set(w.ctx, w.key, w.entry, w.body.Data)
}

func (w *kvWriter) Abort() error {
	w.ended = true
	w.entry, w.body = nil, buffer.Buffer{}
	return nil
}
