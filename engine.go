package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// engine is the state of a Transport: its configuration with defaults applied, and everything shared by requests.
type engine struct {
	owner *Transport
	err   error // why the Transport's configuration is invalid; nil if it is valid
	rt    http.RoundTripper
	store storage.Store
	local bool                 // the store is one of ours that does not block; otherwise it is guarded
	given storage.Store        // the store without its guard, for type assertions
	dict  *storage.DictCache   // the store if it is a DictCache, otherwise nil
	own   *storage.DictCache   // the store if the Transport made it, otherwise nil
	near  *storage.TieredCache // the store if it is a TieredCache, which may answer without blocking; otherwise nil

	ranges interface{ HasRanges() bool } // the store if it knows whether it holds parts; otherwise nil
	copies bool                          // the store's Create copies the header of the entry

	keepsDecoded bool // the store implements storage.DecodedKeeper

	heuristic heuristics.Heuristic
	rules     rfc9111.Rules
	policies  rfc9111.Memory
	partition func(*http.Request) string // nil if none

	credentials []string // names of fields whose values are stored as digests, in addition to the usual ones
	methods     []string // in addition to GET and HEAD
	noGET       bool

	beforeStore func(*http.Response) StoreDecision                // nil if none
	beforeReuse func(*http.Request, StoredResponse) ReuseDecision // nil if none

	maxBody           int64
	maxVariants       int
	selectLanguage    bool
	negotiate         bool
	collapse          bool
	drainBytes        int64
	collapseTimeout   time.Duration // no limit if negative
	refreshAhead      time.Duration
	backgroundTimeout time.Duration
	storeTimeout      time.Duration
	logger            *slog.Logger

	seed  maphash.Seed
	locks keyLocks

	clock      clock
	counters   counters
	statuses   statusMemory
	said       saidMemory
	invalid    invalidations
	undeleted  undeleted
	recents    recents
	flights    flights
	unshared   unshared
	background background
	draining   background // drains bodies closed early
	refreshed  refreshed
	closed     atomic.Bool // nothing is looked up or stored any more

	exchanges  sync.Pool // of *exchange that nothing refers to any more
	recordings sync.Pool // of *recording that have ended
}

func newEngine(t *Transport) *engine {
	e := &engine{
		owner:     t,
		rt:        t.Base,
		store:     t.Store,
		heuristic: t.Heuristic,
		rules: rfc9111.Rules{
			Shared: t.Shared, TimePriority: t.TimePriority, StaleIfError: t.StaleIfError,
			WithholdSetCookie: !t.ReplaySetCookie, Replay: t.Replay, Statuses: slices.Clone(t.CacheableStatusCodes),
		},
		partition:         t.Partition,
		credentials:       slices.Clone(t.CredentialFields),
		beforeStore:       t.BeforeStore,
		beforeReuse:       t.BeforeReuse,
		maxBody:           cmp.Or(t.MaxBodyBytes, DefaultMaxBodyBytes),
		maxVariants:       max(cmp.Or(t.MaxVariants, 32), 0),
		selectLanguage:    t.SelectLanguage,
		negotiate:         !t.DisableCompression,
		collapse:          t.Collapse,
		collapseTimeout:   cmp.Or(t.CollapseTimeout, DefaultCollapseTimeout),
		drainBytes:        cmp.Or(t.DrainBytes, DefaultDrainBytes),
		refreshAhead:      t.RefreshAhead,
		backgroundTimeout: cmp.Or(t.BackgroundTimeout, 30*time.Second),
		storeTimeout:      cmp.Or(t.StoreTimeout, 5*time.Second),
		logger:            t.Logger,
		seed:              maphash.MakeSeed(),
	}
	if t.Shared {
		e.heuristic = heuristics.ForSharedCache(t.Heuristic)
	}
	if e.store == nil {
		e.own = storage.NewDictCache()
		e.store = e.own
	}
	warning := ""
	switch s := e.store.(type) {
	case *storage.DictCache:
		e.local, e.copies, e.dict, e.ranges = true, true, s, s
	case *storage.FileCache:
		e.local, e.copies, e.ranges = true, true, s
		warning = s.Warning()
	case *storage.SeparateBodyFileCache:
		e.local, e.ranges = true, s
		warning = s.Warning()
	}
	e.given = e.store
	if warning != "" && e.logger != nil {
		e.logger.Warn("cachecontrol: store is not safe", "reason", warning)
	}
	e.near, _ = e.given.(*storage.TieredCache)
	_, e.keepsDecoded = e.given.(storage.DecodedKeeper)
	if !e.local {
		e.store = newGuarded(e.store, e.storeTimeout, e.storeFailed)
	}
	if t.Replay {
		e.refreshAhead = 0 // nothing expires
	}
	e.err = checkMethods(t.CacheableMethods)
	if t.CacheableMethods != nil {
		e.noGET = !slices.Contains(t.CacheableMethods, http.MethodGet)
		e.methods = slices.DeleteFunc(slices.Clone(t.CacheableMethods), func(m string) bool {
			return m == http.MethodGet
		})
	}
	e.invalid.seed, e.recents.seed, e.locks.seed = e.seed, e.seed, e.seed
	e.locks.shared, e.locks.wait = e.dict != nil, e.storeTimeout
	e.background.start()
	e.draining.start()
	e.counters.start()
	return e
}

// newExchange returns an exchange for req.
func (e *engine) newExchange(req *http.Request) *exchange {
	x, ok := e.exchanges.Get().(*exchange)
	if !ok {
		x = &exchange{counts: e.counters.shard()}
	}
	x.engine, x.req, x.ctx = e, req, req.Context()
	return x
}

func (e *engine) reuse(x *exchange) {
	plain := x.plain[:0]
	if cap(plain) > 4<<10 {
		plain = nil // do not keep a large buffer for one long URL
	}
	counts, fields := x.counts, x.originFields[:0]
	clear(x.originFields)
	if cap(fields) > 64 {
		fields = nil
	}
	*x = exchange{}
	x.counts, x.plain, x.originFields = counts, plain, fields
	e.exchanges.Put(x)
}

func (e *engine) base() http.RoundTripper {
	if e.rt != nil {
		return e.rt
	}
	return http.DefaultTransport
}

func (e *engine) close() error {
	e.closed.Store(true)
	e.draining.stop()
	e.background.stop()
	if e.own != nil {
		e.own.Clear()
	}
	return nil
}

// get, create, remove and updateStore call the methods of the store. Failures are logged, and the request continues as
// if nothing were stored.
func (e *engine) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := e.read(ctx, key)
	if err == nil && !belongs(key, e.compile(r.Entry).key) {
		r.Body.Close()
		err = &storage.UnreadableError{Key: key, Err: errOtherURL}
	}
	if err != nil {
		e.getFailed(ctx, key, err)
		return nil, err
	}
	if e.outlived(ctx, key, r.Entry) {
		r.Body.Close()
		return nil, storage.ErrNotFound
	}
	return r, nil
}

// read calls Store.Get, or TieredCache.GetNear if that suffices.
func (e *engine) read(ctx context.Context, key string) (*storage.Response, error) {
	if e.closed.Load() {
		return nil, storage.ErrClosed
	}
	if e.near != nil {
		if r, ok := e.near.GetNear(key); ok {
			return r, nil
		}
	}
	return e.store.Get(ctx, key)
}

// errOtherURL is the error for an entry that was found under the key of another URL.
var errOtherURL = errors.New("cachecontrol: the entry is another URL's")

// outlived reports whether an entry should have been deleted. If so, it may try again to delete it.
func (e *engine) outlived(ctx context.Context, key string, entry *serialize.Entry) bool {
	if !e.undeleted.some.Load() {
		return false
	}
	asked := entry.RequestTime
	if asked.IsZero() {
		asked = entry.ResponseTime
	}
	gone, again := e.undeleted.holds(key, asked, time.Now(), e.storeTimeout)
	if again {
		e.delete(ctx, key)
	}
	return gone
}

// create calls Store.Create, without a deadline, because the body may take any time.
func (e *engine) create(r *recording) (err error) {
	switch {
	case e.closed.Load():
		return storage.ErrClosed
	case e.dict != nil:
		fields := r.fields
		r.Writer, r.fields = &r.dict, nil // the exchange may be over before the body
		return e.dict.CreateIn(&r.dict, r.place, r.entry, fields)
	}
	r.Writer, err = e.store.Create(context.WithoutCancel(r.ctx), r.place, r.entry)
	return err
}

// limited returns a context for a call of the store that does not end with the request. It has a deadline unless the
// store does not block or is guarded; the guard sets its own.
func (e *engine) limited(ctx context.Context) (limited context.Context, release func()) {
	if e.dict != nil { // it does not block
		return ctx, func() {}
	}
	ctx = context.WithoutCancel(ctx)
	if !e.local {
		return ctx, func() {}
	}
	d := &deadline{Context: ctx, at: time.Now().Add(e.storeTimeout)}
	return d, d.release
}

func (e *engine) getFailed(ctx context.Context, key string, err error) {
	if err == storage.ErrNotFound || ctx.Err() == context.Canceled {
		return // the common case, or the caller's doing
	}
	var unreadable *storage.UnreadableError
	if !errors.Is(err, storage.ErrNotFound) || errors.As(err, &unreadable) {
		e.storeFailed(ctx, "get", key, err)
	}
}

// remove removes the entry under key. It holds the lock of the plain key while it does so.
func (e *engine) remove(ctx context.Context, plain, key string) error {
	k, _ := e.locks.lock(plain) // on timeout, proceed without the lock
	defer k.unlock()
	return e.removeHeld(ctx, key)
}

// removeHeld removes the entry under key. If that fails, get no longer returns the entry. The caller holds the lock of
// the plain key.
func (e *engine) removeHeld(ctx context.Context, key string) error {
	err := e.delete(ctx, key)
	if err != nil {
		e.undeleted.add(key, time.Now())
	}
	return err
}

func (e *engine) delete(ctx context.Context, key string) error {
	limited, release := e.limited(ctx)
	defer release()
	err := e.store.Delete(limited, key)
	if err != nil {
		e.storeFailed(ctx, "delete", key, err)
	} else {
		e.undeleted.forget(key)
	}
	return err
}

// invalidate removes everything stored for a plain key, and prevents storing responses for it that are being received.
// start is the send time, in the count of invalidations, of a request whose response may be stored all the same;
// invalidate returns the send time to use for it from now on. invalidate waits for a commit in progress, so that after
// it returns no request finds an earlier response.
func (e *engine) invalidate(ctx context.Context, key string, start uint64) (uint64, error) {
	start = e.invalid.addBy(key, start)
	k, _ := e.locks.lock(key) // on timeout, the holder of the lock will notice: the key is marked
	defer k.unlock()
	return start, e.drop(ctx, key)
}

// drop removes everything stored for a plain key. Without the entry under that key, its variants are never found. If
// the store is local, drop removes them, too; in other stores they expire.
func (e *engine) drop(ctx context.Context, key string) error {
	var variants []serialize.Variant
	if e.local {
		if r, err := e.get(context.WithoutCancel(ctx), key); err == nil {
			r.Body.Close()
			variants = r.Entry.Variants
		}
	}
	errs := []error{e.removeHeld(ctx, key), e.removeHeld(ctx, key+partialSuffix)}
	for _, v := range variants {
		if strings.HasPrefix(v.Key, key+variantSuffix) { // our lists contain only keys of the same URL
			errs = append(errs, e.removeHeld(ctx, v.Key))
		}
	}
	return errors.Join(errs...)
}

// storeFailed counts and logs a failure of the store. It logs one failure of each operation in ten seconds at level
// Warn, with the number of failures since the last one, because a store that cannot be reached fails at every request.
// It always logs an unreadable entry at Warn, and a call that was not made (ErrSuspended) at Debug.
func (e *engine) storeFailed(ctx context.Context, op, key string, err error) {
	if errors.Is(err, storage.ErrClosed) {
		return
	}
	n, due := e.counters.storeFailures.add(op, time.Now(), !errors.Is(err, storage.ErrSuspended))
	if e.logger == nil {
		return
	}
	level := slog.LevelDebug
	var unreadable *storage.UnreadableError
	if due || errors.As(err, &unreadable) {
		level = slog.LevelWarn
	}
	e.logger.Log(ctx, level, "cachecontrol: store failed", "op", op, "key", withoutUser(key), "error", err, "failures", n)
}

// deadline is a context with a deadline that creates a timer only when Done is called.
type deadline struct {
	context.Context
	at time.Time

	mu     sync.Mutex // guards what follows
	timed  context.Context
	cancel context.CancelFunc
}

func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

func (d *deadline) Done() <-chan struct{} { return d.wait().Done() }

func (d *deadline) Err() error {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Err() // also after release, when Done is closed
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value makes contexts derived from d end with it without a goroutine: package context finds the context behind Done.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

func (d *deadline) wait() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.timed
}

func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}

// closeBody closes the body of a request that is not sent, as a RoundTripper must.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
