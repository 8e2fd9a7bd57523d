package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// maxKVBody limits the length of a body that FromKV buffers in memory before it is stored.
const maxKVBody = 64 << 20

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
func FromKV(kv KV) Store {
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

func (s *kvStore) Get(ctx context.Context, key string) (*Response, error) {
	e, body, err := s.read(ctx, key)
	if err != nil {
		return nil, err
	}
	return newMemoryHit(e, body, nil), nil
}

// read returns the verified entry under key and its body.
func (s *kvStore) read(ctx context.Context, key string) (*serialize.Entry, []byte, error) {
	if s.closed.Load() {
		return nil, nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	value, err := s.kv.Get(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	return parse(key, value)
}

func (s *kvStore) Create(ctx context.Context, key string, e *serialize.Entry) (Writer, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	room := int64(maxKVBody)
	if l, ok := s.kv.(interface{ MaxValueBytes() int64 }); ok {
		room = min(room, l.MaxValueBytes())
	}
	return &kvWriter{ctx: ctx, store: s, key: key, entry: e, body: bodyBuffer{room: room, hint: e.Length}}, nil
}

func (s *kvStore) Update(ctx context.Context, key string, e *serialize.Entry) error {
	old, body, err := s.read(ctx, key)
	if err != nil {
		return err
	}
	if !SameBody(old, e) {
		return ErrChanged
	}
	return s.set(ctx, key, e, body)
}

func (s *kvStore) Delete(ctx context.Context, key string) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.kv.Delete(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (s *kvStore) set(ctx context.Context, key string, e *serialize.Entry, body []byte) error {
	if s.closed.Load() {
		return ErrClosed
	}
	own := stored(e)
	own.Length, own.Sum = int64(len(body)), serialize.Sum(body)
	value, err := serialize.Marshal(own, body)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return s.kv.Set(ctx, key, value, max(e.Keep, 0))
}

type kvWriter struct {
	ctx   context.Context
	store *kvStore
	key   string
	entry *serialize.Entry
	body  bodyBuffer
	ended bool
}

func (w *kvWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, errEnded
	}
	return w.body.Write(p)
}

func (w *kvWriter) Commit() error {
	if w.ended {
		return errEnded
	}
	w.ended = true
	if w.body.err != nil {
		return w.body.err
	}
	return w.store.set(w.ctx, w.key, w.entry, w.body.data)
}

func (w *kvWriter) Abort() error {
	w.ended = true
	w.entry, w.body = nil, bodyBuffer{}
	return nil
}
