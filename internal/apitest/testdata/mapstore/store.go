// Package mapstore is a Store written from scratch.
package mapstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Store keeps entries in a map.
type Store struct {
	mu     sync.Mutex
	stored map[string]stored
	leases map[string]*time.Timer
	parts  bool
	marked bool
	closed bool
}

type stored struct {
	key           string
	entry         *storage.Entry
	body, decoded []byte
}

// New returns an empty Store.
func New() *Store {
	return &Store{stored: make(map[string]stored), leases: make(map[string]*time.Timer)}
}

func (s *Store) Get(_ context.Context, key string) (*storage.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	e, ok := s.stored[key]
	if !ok {
		return nil, fmt.Errorf("mapstore: %q: %w", key, storage.ErrNotFound)
	}
	resp := storage.NewResponse(e.entry, e.body)
	resp.Decoded = e.decoded
	return resp, nil
}

func (s *Store) Create(_ context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	return &writer{store: s, key: key, entry: e}, nil
}

func (s *Store) Update(ctx context.Context, key string, e *storage.Entry) error {
	return s.UpdateIf(ctx, key, e, nil)
}

// UpdateIf updates an entry if may returns true for it.
func (s *Store) UpdateIf(_ context.Context, key string, e *storage.Entry, may func(*storage.Entry) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.stored[key]
	switch {
	case !ok:
		return storage.ErrNotFound
	case !old.entry.SameBody(e), s.noticed(e), may != nil && !may(old.entry):
		return storage.ErrChanged
	}
	own := e.Clone()
	own.Notice, own.NoticeKey = "", ""
	s.stored[key] = stored{key: key, entry: own, body: old.body}
	s.parts = s.parts || e.Range != nil
	return nil
}

// noticed reports whether the notice of an entry has changed. s.mu is held.
func (s *Store) noticed(e *storage.Entry) bool {
	now := ""
	if old, ok := s.stored[e.NoticeKey]; ok {
		now = old.entry.Generation
	}
	return e.NoticeKey != "" && e.Notice != now
}

// Batch makes one call after the other.
func (s *Store) Batch(ctx context.Context, calls []storage.Call) {
	for i := range calls {
		switch c := &calls[i]; {
		case c.Put != nil:
			w, err := s.Create(ctx, c.Key, c.Put)
			if err == nil {
				err = w.Commit()
			}
			c.Err = err
		case c.Delete:
			c.Err = s.Delete(ctx, c.Key)
		default:
			c.Response, c.Err = s.Get(ctx, c.Key)
			if c.Err == nil && c.Known != nil && c.Response.Entry.SameBody(c.Known) {
				c.Response.Body.Close()
				c.Response.Body = nil // the caller has it
			}
		}
	}
}

func (s *Store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stored, key)
	return nil
}

// Traits tells a Transport that no method waits.
func (s *Store) Traits() storage.Traits {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, marked := s.stored[storage.MarksKey]
	s.marked = s.marked || marked
	return storage.Traits{Local: true, HonorsContexts: true, Memory: true, Copies: false, Notices: true, NoRanges: !s.parts, NoMarks: !s.marked, Evictions: 0, Suspended: nil, Warning: ""}
}

// KeepDecoded keeps the decoded body of an entry.
func (s *Store) KeepDecoded(key string, e *storage.Entry, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.stored[key]; ok && old.entry.SameBody(e) {
		s.stored[key] = stored{key: key, entry: old.entry, body: old.body, decoded: body}
	}
}

// Lookup returns an entry without allocations.
func (s *Store) Lookup(key []byte) (storage.Held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.Held{}, false
	}
	e, ok := s.stored[string(key)]
	if !ok {
		return storage.Held{}, true
	}
	return storage.Held{Key: e.key, Entry: e.entry, Body: e.body, Decoded: e.decoded}, true
}

// Lease gives the lease of a key to one caller at a time.
func (s *Store) Lease(_ context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, storage.ErrClosed
	}
	if s.leases[key] != nil {
		return nil, false, nil
	}
	var timer *time.Timer
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leases[key] == timer {
			timer.Stop()
			delete(s.leases, key)
		}
	}
	timer = time.AfterFunc(d, release)
	s.leases[key] = timer
	return release, true, nil
}

// List lists the entries that are stored when the loop begins.
func (s *Store) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		s.mu.Lock()
		closed, all := s.closed, slices.Collect(maps.Values(s.stored))
		s.mu.Unlock()
		err := ctx.Err()
		if closed {
			err = storage.ErrClosed
		}
		for _, e := range all {
			if err != nil {
				break
			}
			if !yield(storage.Listed{Key: e.key, Entry: e.entry, Size: int64(len(e.body))}, nil) {
				return
			}
			err = ctx.Err()
		}
		if err != nil {
			yield(storage.Listed{}, err)
		}
	}
}

// Close makes Get fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

type writer struct {
	store *Store
	key   string
	entry *storage.Entry
	body  bytes.Buffer
	ended bool
}

const maxBody = 8 << 20

func (w *writer) Write(p []byte) (int, error) {
	switch {
	case w.ended:
		return 0, errEnded
	case w.body.Len()+len(p) > maxBody:
		return 0, storage.ErrTooLarge
	}
	return w.body.Write(p)
}

var errEnded = errors.New("mapstore: the writer has ended")

// Written returns a reader of what was written so far.
func (w *writer) Written() (io.Reader, error) {
	if w.ended {
		return nil, errEnded
	}
	return bytes.NewReader(w.body.Bytes()), nil
}

func (w *writer) Commit() error { return w.CommitIf(nil) }

// CommitIf stores the entry if may returns true for the entry in its place.
func (w *writer) CommitIf(may func(*storage.Entry) bool) error {
	if w.ended {
		return errEnded
	}
	w.ended = true
	e := w.entry.Clone()
	e.Length, e.Sum = int64(w.body.Len()), crc32.Checksum(w.body.Bytes(), crc32.MakeTable(crc32.Castagnoli))
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if old, ok := w.store.stored[w.key]; ok && may != nil && !may(old.entry) || w.store.noticed(e) {
		return storage.ErrChanged
	}
	e.Notice, e.NoticeKey = "", ""
	w.store.stored[w.key] = stored{key: w.key, entry: e, body: w.body.Bytes()}
	w.store.parts = w.store.parts || e.Range != nil
	return nil
}

func (w *writer) Abort() error {
	w.ended = true
	return nil
}

var (
	_ storage.Store           = (*Store)(nil)
	_ storage.Describer       = (*Store)(nil)
	_ storage.Looker          = (*Store)(nil)
	_ storage.Comparer        = (*Store)(nil)
	_ storage.ComparingWriter = (*writer)(nil)
	_ storage.RereadingWriter = (*writer)(nil)
	_ storage.DecodedKeeper   = (*Store)(nil)
	_ storage.Leaser          = (*Store)(nil)
	_ storage.Batcher         = (*Store)(nil)
)
