// Package reliable calls a storage.Store for a cache whose requests must not fail because of their store.
//
// Each call has a deadline. A store of another package may also hang, panic or return invalid results: see guard.
// Failures are counted, and logged at a limited rate. An entry that the store failed to delete is not returned any
// more.
package reliable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
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
	user   storage.Store // as configured
	store  storage.Store // user, guarded unless it is local
	traits storage.Traits
	looker storage.Looker // user if it can have entries in memory, otherwise nil

	describer storage.Describer // user if it describes itself, otherwise nil

	timeout time.Duration
	logger  *slog.Logger

	closed      atomic.Bool
	stop        chan struct{} // closed by Close
	closing     sync.Mutex    // held while closed is set, and while a goroutine is added to retries
	retries     sync.WaitGroup
	tombstones  tombstones
	invalidated invalidated
	failures    failures // without calls that were not made
	suspended   failures // calls that were not made
	operations  operations
	servers     servers
}

// New returns a Store that makes the calls of c.Store.
func New(c Config) *Store {
	s := &Store{user: c.Store, store: c.Store, timeout: c.Timeout, logger: c.Logger, stop: make(chan struct{})}
	if s.describer, _ = c.Store.(storage.Describer); s.describer != nil {
		s.traits = s.describer.Traits()
	}
	s.looker, _ = c.Store.(storage.Looker)
	if !s.traits.Local {
		s.traits.Memory, s.traits.Copies = false, false
		g := newGuard(c.Store, c.Timeout, s.traits.HonorsContexts, s.Failed)
		g.commits = &s.operations.commit
		s.store = g
	}
	return s
}

// Close makes all further calls fail with storage.ErrClosed, except Update and Delete, and tries failed deletions once
// more. It does not close the configured store.
func (s *Store) Close() {
	s.closing.Lock()
	if !s.closed.Swap(true) {
		close(s.stop)
	}
	s.closing.Unlock()
	s.retries.Wait()
}

// Closed reports whether Close was called.
func (s *Store) Closed() bool { return s.closed.Load() }

// Traits returns the traits of the configured store.
func (s *Store) Traits() storage.Traits { return s.traits }

// HasRanges reports whether the store holds parts of representations, and whether that is known.
func (s *Store) HasRanges() (has, known bool) {
	if s.describer == nil {
		return false, false
	}
	defer s.recovered("")
	noRanges := s.describer.Traits().NoRanges
	return s.traits.Local && !noRanges, s.traits.Local || noRanges
}

// HasNoMarks reports whether it is known that there is no entry under storage.MarksKey.
func (s *Store) HasNoMarks() bool {
	return s.traits.Local && s.describer != nil && s.describer.Traits().NoMarks
}

// Compares reports whether the store is a storage.Comparer.
func (s *Store) Compares() bool {
	_, ok := s.user.(storage.Comparer)
	return ok
}

// Share returns how long a request with this context may wait for the store, or for another call of it.
func (s *Store) Share(ctx context.Context) time.Duration { return share(ctx, s.timeout) }

// Patient returns a context for the calls that a request makes. A context made of it with WithoutCancel is the request's,
// too, but not one with another deadline, for work in the background.
func (s *Store) Patient(ctx context.Context) context.Context {
	deadline, ok := ctx.Deadline()
	if !ok || s.traits.Local {
		return ctx
	}
	return context.WithValue(ctx, patienceKey{}, &patience{deadline: deadline})
}

// Get returns the entry under key. It logs a failure.
func (s *Store) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.read(ctx, key)
	return s.got(ctx, key, r, err)
}

// got returns what the store has returned for key, unless that should have been deleted. It logs a failure.
func (s *Store) got(ctx context.Context, key string, r *storage.Response, err error) (*storage.Response, error) {
	if err != nil {
		s.getFailed(ctx, key, err)
		return nil, err
	}
	if s.IsTombstoned(key, r.Entry) {
		r.Body.Close()
		return nil, storage.ErrNotFound
	}
	return r, nil
}

// called records a call that began at start.
func (s *Store) called(ctx context.Context, o *operation, start time.Time, err error) {
	if s.traits.Local {
		return
	}
	notice(ctx, err)
	o.ended(start)
	if err == nil && s.servers.some.Load() {
		s.watchServers(ctx)
	}
}

// Lookup returns the entry under key if the store can tell without waiting: see storage.Looker.
func (s *Store) Lookup(key []byte) (h storage.Held, known bool) {
	if s.looker == nil || s.closed.Load() {
		return storage.Held{}, false
	}
	if s.traits.Local {
		h, known = s.looker.Lookup(key)
	} else {
		h, known = s.guardedLookup(key)
	}
	if h.Entry != nil && s.hasTombstones() && s.IsTombstoned(h.Key, h.Entry.Unpack()) {
		return storage.Held{}, false
	}
	if h.Entry != nil && !s.traits.Local {
		s.operations.near.calls.Add(1)
	}
	return h, known
}

// guardedLookup calls Lookup of a store that may panic.
func (s *Store) guardedLookup(key []byte) (h storage.Held, known bool) {
	defer s.recovered(string(key))
	return s.looker.Lookup(key)
}

// recovered is to be deferred. It makes a panic of the store a failure of get.
func (s *Store) recovered(key string) {
	if v := recover(); v != nil {
		s.Failed(context.Background(), "get", key, panicError(v))
	}
}

func (s *Store) read(ctx context.Context, key string) (*storage.Response, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if s.looker != nil && !s.traits.Local { // from memory, without a goroutine
		if h, known := s.guardedLookup([]byte(key)); h.Entry != nil {
			s.operations.near.calls.Add(1)
			r := storage.NewResponse(h.Entry.Unpack(), h.Body)
			r.Decoded = h.Decoded
			return r, nil
		} else if known {
			return nil, storage.ErrNotFound
		}
	}
	if err := impatient(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	r, err := s.store.Get(ctx, key)
	s.called(ctx, &s.operations.get, start, err)
	return r, err
}

// getFailed counts and logs an error of Get, unless it means that there is no entry or that the caller has canceled
// ctx.
func (s *Store) getFailed(ctx context.Context, key string, err error) {
	if err == storage.ErrNotFound || ctx.Err() == context.Canceled { // the first is the common case
		return
	}
	if !errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrUnreadable) {
		s.Failed(ctx, "get", key, err)
	}
}

// Unreadable counts and logs that an entry that Get returned for key cannot be used because of err. It returns an error
// for it.
func (s *Store) Unreadable(ctx context.Context, key string, err error) error {
	err = fmt.Errorf("%w: %w", storage.ErrUnreadable, err)
	s.Failed(ctx, "get", key, err)
	return err
}

// IsTombstoned reports whether an entry that is stored under key should have been deleted.
func (s *Store) IsTombstoned(key string, e *storage.Entry) bool {
	if !s.traits.Local && s.invalidated.covers(key, e) {
		return true
	}
	return s.tombstones.any.Load() && s.tombstones.cover(key, e)
}

// hasTombstones reports whether IsTombstoned may return true for any entry.
func (s *Store) hasTombstones() bool { return !s.traits.Local || s.tombstones.any.Load() }

// Invalidated records that a key was invalidated. Entries that were requested before are not returned any more.
func (s *Store) Invalidated(key string, at time.Time) {
	if !s.traits.Local { // nothing that was deleted comes back
		s.invalidated.add(key, at)
	}
}

// Stored records that e was stored under key in place of what should have been deleted. e is current even if it was requested
// before key was invalidated: it is the response to the request that invalidated it.
func (s *Store) Stored(key string, e *storage.Entry) {
	s.tombstones.remove(key, requested(e))
	if s.invalidated.covers(key, e) {
		s.invalidated.add(key, requested(e))
	}
}

// Create returns a Writer for the body of a new entry. Neither ends with ctx, because the body may take any time.
func (s *Store) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if s.traits.Local && !s.traits.Memory {
		ctx = context.WithoutCancel(ctx)
	}
	if err := impatient(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	w, err := s.store.Create(ctx, key, e)
	s.called(ctx, &s.operations.create, start, err)
	return w, err
}

// Update replaces the metadata of the entry under key. If the store can compare entries and may is not nil, it does so
// only if may returns true for the entry that is stored now. Update logs a failure. That the entry is gone or has
// changed is not one.
func (s *Store) Update(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	limited, cancel := s.withTimeout(ctx)
	defer cancel()
	err := impatient(ctx)
	if err != nil {
		s.Failed(ctx, "update", key, err)
		return err
	}
	start := time.Now()
	if c, ok := s.store.(storage.Comparer); ok {
		err = c.UpdateIf(limited, key, e, may)
	} else {
		err = s.store.Update(limited, key, e)
	}
	s.called(ctx, &s.operations.update, start, err)
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
		s.Failed(ctx, "update", key, err)
	}
	return err
}

// withTimeout returns a context for a call of the store that does not end with the request. It has a deadline unless the
// store does not block.
func (s *Store) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.traits.Memory {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), s.Share(ctx))
}

// Delete removes the entry under key. If that fails, Delete logs the failure, Get no longer returns the entry, and the
// deletion is tried again until it succeeds.
func (s *Store) Delete(ctx context.Context, key string) error {
	f := s.deleting(key)
	return s.orLater(ctx, key, f, f)
}

func (s *Store) deleting(key string) func(context.Context) error {
	return func(ctx context.Context) error { return s.store.Delete(ctx, key) }
}

// orLater calls f. If f fails, again is called until it succeeds, and until then no entry is returned that was stored
// under key before.
func (s *Store) orLater(ctx context.Context, key string, f, again func(context.Context) error) error {
	began := time.Now()
	limited, cancel := s.withTimeout(ctx)
	defer cancel()
	err := impatient(ctx)
	if err == nil {
		err = f(limited)
		s.called(ctx, &s.operations.delete, began, err)
	}
	s.ended(ctx, key, began, err, again)
	return err
}

// ended records the result of a call that began at this time: see orLater.
func (s *Store) ended(ctx context.Context, key string, began time.Time, err error, again func(context.Context) error) {
	if err == nil {
		s.tombstones.remove(key, began)
		return
	}
	s.Failed(ctx, "delete", key, err)
	if !s.tombstones.add(key, time.Now(), again) {
		return
	}
	s.closing.Lock()
	defer s.closing.Unlock()
	if !s.closed.Load() {
		s.retries.Go(s.retryDeletions)
	}
}

// leastRetry and mostRetry are the first and the longest pause before failed deletions are tried again. A try that calls no
// server, because that is given up, makes the pause no longer: otherwise an idle process would notice late that it is back.
const (
	leastRetry = 500 * time.Millisecond
	mostRetry  = 5 * time.Second
)

// retryDeletions tries failed deletions again until they succeed, or the Store is closed, when it tries them once more.
func (s *Store) retryDeletions() {
	pause := leastRetry
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		last := false
		select {
		case <-timer.C:
		case <-s.stop:
			last = true
		}
		for {
			key, again := s.tombstones.next()
			if again == nil {
				return
			}
			err := s.retry(key, again)
			if err == nil || errors.Is(err, storage.ErrSuspended) {
				pause = leastRetry
			}
			if err != nil {
				break
			}
		}
		if last {
			return
		}
		timer.Reset(pause)
		pause = min(2*pause, mostRetry)
	}
}

func (s *Store) retry(key string, again func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	began := time.Now()
	err := again(ctx)
	if err != nil && !errors.Is(err, storage.ErrClosed) {
		s.Failed(ctx, "delete", key, err)
		return err
	}
	s.tombstones.remove(key, began)
	return nil
}

// Put stores an entry without a body, a notice. If that fails, it is tried again like a deletion, but with another Generation:
// the first notice may have been stored nevertheless, and another one since, so it must not come back.
func (s *Store) Put(ctx context.Context, key string, e *storage.Entry) error {
	return s.orLater(ctx, key, func(ctx context.Context) error { return s.put(ctx, key, e) }, s.puttingAnother(key, e))
}

func (s *Store) put(ctx context.Context, key string, e *storage.Entry) error {
	w, err := s.store.Create(ctx, key, e)
	if err != nil {
		return err
	}
	return w.Commit()
}

// puttingAnother returns a function that stores e with another Generation.
func (s *Store) puttingAnother(key string, e *storage.Entry) func(context.Context) error {
	return func(ctx context.Context) error {
		another := e.Copy()
		another.Generation = rand.Text()
		return s.put(ctx, key, another)
	}
}

// Batches reports whether Batch takes about the time of one call.
func (s *Store) Batches() bool {
	_, ok := s.user.(storage.Batcher)
	return ok && !s.traits.Local
}

// Batch makes calls like Get, Put and Delete: see storage.Batcher.
func (s *Store) Batch(ctx context.Context, calls []storage.Call) {
	if s.Batches() && !s.closed.Load() && impatient(ctx) == nil {
		s.batch(ctx, calls)
		return
	}
	for i := range calls {
		switch c := &calls[i]; {
		case c.Put != nil:
			c.Err = s.Put(ctx, c.Key, c.Put)
		case c.Delete:
			c.Err = s.Delete(ctx, c.Key)
		default:
			c.Response, c.Err = s.Get(ctx, c.Key)
		}
	}
}

func (s *Store) batch(ctx context.Context, calls []storage.Call) {
	limited := ctx // reads end with the request
	if slices.ContainsFunc(calls, func(c storage.Call) bool { return c.Put != nil || c.Delete }) {
		limited = context.WithoutCancel(ctx)
	}
	limited, cancel := context.WithTimeout(limited, s.Share(ctx))
	defer cancel()
	began := time.Now()
	s.store.(storage.Batcher).Batch(limited, calls)
	for i := range calls {
		switch c := &calls[i]; {
		case c.Put != nil:
			s.called(ctx, &s.operations.delete, began, c.Err)
			s.ended(ctx, c.Key, began, c.Err, s.puttingAnother(c.Key, c.Put))
		case c.Delete:
			s.called(ctx, &s.operations.delete, began, c.Err)
			s.ended(ctx, c.Key, began, c.Err, s.deleting(c.Key))
		default:
			s.called(ctx, &s.operations.get, began, c.Err)
			c.Response, c.Err = s.got(ctx, c.Key, c.Response, c.Err)
		}
	}
}

// HasLeases reports whether the store is a storage.Leaser.
func (s *Store) HasLeases() bool {
	_, ok := s.user.(storage.Leaser)
	return ok
}

// Lease gives the lease of key to the caller if no other has it: see storage.Leaser. It may be called only if HasLeases
// returns true. It logs a failure. The first call of release may take as long as any other call of the store.
func (s *Store) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	if s.closed.Load() {
		return nil, false, storage.ErrClosed
	}
	if err := impatient(ctx); err != nil {
		return nil, false, err
	}
	limited, cancel := context.WithTimeout(ctx, s.Share(ctx))
	defer cancel()
	start := time.Now()
	end, ok, err := s.store.(storage.Leaser).Lease(limited, key, d)
	s.called(ctx, &s.operations.lease, start, err)
	switch {
	case err != nil:
		if ctx.Err() != context.Canceled {
			s.Failed(ctx, "lease", key, err)
		}
		return nil, false, err
	case !ok:
		return nil, false, nil
	}
	var released atomic.Bool // instead of a sync.Once, for which further callers would wait
	return func() {
		if !released.Swap(true) {
			end()
		}
	}, true, nil
}

// List lists the entries: see storage.Lister. It logs failures. If the store is no Lister, it yields errors.ErrUnsupported.
func (s *Store) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		_, ok := s.user.(storage.Lister)
		switch {
		case s.closed.Load():
			yield(storage.Listed{}, storage.ErrClosed)
			return
		case !ok:
			yield(storage.Listed{}, errors.ErrUnsupported)
			return
		}
		for l, err := range s.store.(storage.Lister).List(ctx) {
			switch {
			case err != nil:
				if ctx.Err() == nil && !errors.Is(err, errors.ErrUnsupported) {
					s.Failed(ctx, "list", "", err)
				}
			case s.IsTombstoned(l.Key, l.Entry):
				continue
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// DecodedKeeper returns a function that gives the store the decoded body of the entry e, which Get returned for key. It
// returns nil if the store does not keep decoded bodies.
func (s *Store) DecodedKeeper(key string, e *storage.Entry) func(body []byte) {
	if _, ok := s.user.(storage.DecodedKeeper); !ok {
		return nil
	}
	k := s.store.(storage.DecodedKeeper)
	return func(body []byte) { k.KeepDecoded(key, e, body) }
}

// Evictions returns the number of entries that the store has removed to stay within its size limit, or 0 if it does not
// tell.
func (s *Store) Evictions() uint64 {
	defer s.recovered("")
	if d, ok := s.user.(storage.Describer); ok {
		return d.Traits().Evictions
	}
	return 0
}

// Operations returns what is known of each operation that was called. The operation "near" is an entry that the store had in
// memory.
func (s *Store) Operations() map[string]Operation {
	all := make(map[string]Operation)
	for name, o := range map[string]*operation{
		"get": &s.operations.get, "create": &s.operations.create, "commit": &s.operations.commit, "update": &s.operations.update,
		"delete": &s.operations.delete, "lease": &s.operations.lease, "near": &s.operations.near,
	} {
		if r := o.read(); r.Calls > 0 {
			all[name] = r
		}
	}
	return all
}

// Suspended returns the names of the servers that the store has given up.
func (s *Store) Suspended() []string {
	defer s.recovered("")
	if d, ok := s.user.(storage.Describer); ok {
		return d.Traits().Suspended
	}
	return nil
}

// Failures returns the number of failures of each operation.
func (s *Store) Failures() map[string]uint64 { return s.failures.counts() }

// NotCalled returns the number of calls of each operation that were not made, because a server was given up.
func (s *Store) NotCalled() map[string]uint64 { return s.suspended.counts() }

// Failed counts and logs a failure of an operation. It logs one failure of each operation in ten seconds at level Warn,
// with the number of failures since the last one, because a store that cannot be reached fails at every request. It
// always logs an unreadable entry at Warn, and a call that was not made (ErrSuspended) at Debug.
func (s *Store) Failed(ctx context.Context, op, key string, err error) {
	if errors.Is(err, storage.ErrClosed) {
		return
	}
	counts, serious := &s.failures, true
	if errors.Is(err, storage.ErrSuspended) {
		counts, serious = &s.suspended, false
		s.watchServers(ctx)
	}
	n, due := counts.add(op, time.Now(), serious)
	if s.logger == nil {
		return
	}
	level := slog.LevelDebug
	if due || errors.Is(err, storage.ErrUnreadable) {
		level = slog.LevelWarn
	}
	s.logger.Log(ctx, level, "cachecontrol: store failed", "op", op, "key", cachekey.WithoutUser(key), "error", err, "failures", n)
}

// watchServers logs which servers were given up, and which are back. It is called after a call that was not made, and, while a
// server is given up, after one that was answered.
func (s *Store) watchServers(ctx context.Context) {
	if s.logger == nil {
		return
	}
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	now := s.Suspended()
	for _, name := range now {
		if !slices.Contains(s.servers.down, name) {
			s.logger.Log(ctx, slog.LevelWarn, "cachecontrol: the store has given up a server", "server", name)
		}
	}
	for _, name := range s.servers.down {
		if !slices.Contains(now, name) {
			s.logger.Log(ctx, slog.LevelInfo, "cachecontrol: the store uses a server again", "server", name)
		}
	}
	s.servers.down = now
	s.servers.some.Store(len(now) > 0)
}
