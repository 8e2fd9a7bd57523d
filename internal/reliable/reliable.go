// Package reliable calls a storage.Store for a cache whose requests must not fail because of their store.
//
// Each call has a deadline. A store of another package may also hang, panic or return invalid results: see guard. Failures
// are counted, and logged at a limited rate. An entry that the store failed to delete is not returned any more.
package reliable

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Config configures a Store.
type Config struct {
	Store   storage.Store
	Timeout time.Duration // limit of each call
	Logger  *slog.Logger  // gets the failures; if nil, nothing is logged
}

// Store makes the calls of a storage.Store.
type Store struct {
	user    storage.Store // as configured
	store   storage.Store // user, guarded unless it is local
	traits  storage.Traits
	dict    *storage.DictCache   // user if it is a DictCache, otherwise nil
	tiered  *storage.TieredCache // user if it is a TieredCache, which may answer without blocking; otherwise nil
	timeout time.Duration
	logger  *slog.Logger

	closed     atomic.Bool
	tombstones tombstones
	failures   failures
}

// New returns a Store that makes the calls of c.Store.
func New(c Config) *Store {
	s := &Store{user: c.Store, store: c.Store, timeout: c.Timeout, logger: c.Logger}
	if d, ok := c.Store.(storage.Describer); ok {
		s.traits = d.Traits()
	}
	s.dict, _ = c.Store.(*storage.DictCache)
	s.tiered, _ = c.Store.(*storage.TieredCache)
	if !s.traits.Local {
		s.store = newGuard(c.Store, c.Timeout, s.Failed)
	}
	return s
}

// Close makes all further calls fail with storage.ErrClosed, except Update and Delete. It does not close the configured store.
func (s *Store) Close() { s.closed.Store(true) }

// Closed reports whether Close was called.
func (s *Store) Closed() bool { return s.closed.Load() }

// Traits returns the traits of the configured store.
func (s *Store) Traits() storage.Traits { return s.traits }

// Get returns the entry under key. It logs a failure.
func (s *Store) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.read(ctx, key)
	if err != nil {
		s.GetFailed(ctx, key, err)
		return nil, err
	}
	if s.IsTombstoned(key, r.Entry) {
		r.Body.Close()
		if s.tombstones.retry(key, time.Now(), s.timeout) {
			s.tryDelete(ctx, key)
		}
		return nil, storage.ErrNotFound
	}
	return r, nil
}

func (s *Store) read(ctx context.Context, key string) (*storage.Response, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if s.tiered != nil {
		if r, ok := s.tiered.GetNear(key); ok {
			return r, nil
		}
	}
	return s.store.Get(ctx, key)
}

// GetFailed counts and logs an error of Get, unless it means that there is no entry or that the caller has canceled ctx.
func (s *Store) GetFailed(ctx context.Context, key string, err error) {
	if err == storage.ErrNotFound || ctx.Err() == context.Canceled { // the first is the common case
		return
	}
	var unreadable *storage.UnreadableError
	if !errors.Is(err, storage.ErrNotFound) || errors.As(err, &unreadable) {
		s.Failed(ctx, "get", key, err)
	}
}

// IsTombstoned reports whether an entry that is stored under key should have been deleted.
func (s *Store) IsTombstoned(key string, e *storage.Entry) bool {
	return s.tombstones.any.Load() && s.tombstones.cover(key, e)
}

// Create returns a Writer for the body of a new entry. Neither has a deadline, and neither ends with ctx, because the body may
// take any time.
func (s *Store) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	return s.store.Create(context.WithoutCancel(ctx), key, e)
}

// comparer is implemented by a store that can compare the stored entry with a new one and store the new one in one step.
type comparer interface {
	UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error
}

// Update replaces the metadata of the entry under key. If the store can compare entries and may is not nil, it does so only if
// may returns true for the entry that is stored now. Update logs a failure. That the entry is gone or has changed is not one.
func (s *Store) Update(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	limited, release := s.withTimeout(ctx)
	defer release()
	var err error
	if c, ok := s.store.(comparer); ok {
		err = c.UpdateIf(limited, key, e, may)
	} else {
		err = s.store.Update(limited, key, e)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
		s.Failed(ctx, "update", key, err)
	}
	return err
}

// Delete removes the entry under key. If that fails, Delete logs the failure, and Get no longer returns the entry.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.tryDelete(ctx, key)
	if err != nil {
		s.tombstones.add(key, time.Now())
	}
	return err
}

func (s *Store) tryDelete(ctx context.Context, key string) error {
	limited, release := s.withTimeout(ctx)
	defer release()
	err := s.store.Delete(limited, key)
	if err != nil {
		s.Failed(ctx, "delete", key, err)
	} else {
		s.tombstones.remove(key)
	}
	return err
}

// DecodedKeeper returns a function that gives the store the decoded body of the entry e, which Get returned for key. It returns
// nil if the store does not keep decoded bodies.
func (s *Store) DecodedKeeper(key string, e *storage.Entry) func(body []byte) {
	if _, ok := s.user.(storage.DecodedKeeper); !ok {
		return nil
	}
	k := s.store.(storage.DecodedKeeper)
	return func(body []byte) { k.KeepDecoded(key, e, body) }
}

// Evictions returns the number of entries that the store has removed to stay within its size limit, or 0 if it does not tell.
func (s *Store) Evictions() uint64 {
	if c, ok := s.user.(interface{ Evictions() uint64 }); ok {
		return c.Evictions()
	}
	return 0
}

// Failures returns the number of failures of each operation.
func (s *Store) Failures() map[string]uint64 { return s.failures.counts() }

// Failed counts and logs a failure of an operation. It logs one failure of each operation in ten seconds at level Warn, with
// the number of failures since the last one, because a store that cannot be reached fails at every request. It always logs an
// unreadable entry at Warn, and a call that was not made (ErrSuspended) at Debug.
func (s *Store) Failed(ctx context.Context, op, key string, err error) {
	if errors.Is(err, storage.ErrClosed) {
		return
	}
	n, due := s.failures.add(op, time.Now(), !errors.Is(err, storage.ErrSuspended))
	if s.logger == nil {
		return
	}
	level := slog.LevelDebug
	var unreadable *storage.UnreadableError
	if due || errors.As(err, &unreadable) {
		level = slog.LevelWarn
	}
	s.logger.Log(ctx, level, "cachecontrol: store failed", "op", op, "key", cachekey.WithoutUser(key), "error", err, "failures", n)
}
