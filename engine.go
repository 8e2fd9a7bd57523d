package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/background"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/keylock"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// engine is the state of a Transport: its configuration with defaults applied, and everything shared by requests.
type engine struct {
	owner *Transport
	err   error // why the Transport's configuration is invalid; nil if it is valid
	rt    http.RoundTripper
	store *reliable.Store
	dict  *storage.DictCache // the store if it is a DictCache, otherwise nil
	own   *storage.DictCache // the store if the Transport made it, otherwise nil

	ranges       interface{ HasRanges() bool } // the store if it knows whether it holds parts; otherwise nil
	copiesHeader bool                          // the store's Create copies the header of the entry

	heuristic heuristics.Heuristic
	rules     rules.Options
	policies  rules.Memory
	partition func(*http.Request) string // nil if none

	credentials []string // names of fields whose values are stored as digests, in addition to the usual ones
	methods     []string // in addition to GET and HEAD
	noGET       bool

	beforeStore func(*http.Response) StoreDecision                // nil if none
	beforeReuse func(*http.Request, StoredResponse) ReuseDecision // nil if none

	maxBody         int64
	maxVariants     int
	selectLanguage  bool
	negotiate       bool
	collapse        bool
	drainBytes      int64
	collapseTimeout time.Duration // no limit if negative
	refreshAhead    time.Duration
	logger          *slog.Logger

	locks *keylock.Locks // held while a response is checked and stored, and while a stored response is invalidated

	counters      counters
	statuses      lossy.Map[Status, string]      // see statusHeader
	hits          lossy.Map[hitState, hitFields] // see hitFieldsFor
	invalidations invalidation.Log
	commits       invalidation.Commits
	flights       flights
	notShareable  lossy.Set         // keys whose last response could not be shared; requests for them do not wait for each other
	background    *background.Group // validations
	draining      *background.Group // drains bodies closed early
	refreshed     refreshed
}

func newEngine(t *Transport) *engine {
	e := &engine{
		owner:     t,
		rt:        t.Base,
		heuristic: t.Heuristic,
		rules: rules.Options{
			Shared: t.Shared, TimePriority: t.TimePriority, StaleIfError: t.StaleIfError,
			WithholdSetCookie: !t.ReplaySetCookie, Replay: t.Replay, Statuses: slices.Clone(t.CacheableStatusCodes),
		},
		partition:       t.Partition,
		credentials:     slices.Clone(t.CredentialFields),
		beforeStore:     t.BeforeStore,
		beforeReuse:     t.BeforeReuse,
		maxBody:         cmp.Or(t.MaxBodyBytes, DefaultMaxBodyBytes),
		maxVariants:     max(cmp.Or(t.MaxVariants, 32), 0),
		selectLanguage:  t.SelectLanguage,
		negotiate:       !t.DisableCompression,
		collapse:        t.Collapse,
		collapseTimeout: cmp.Or(t.CollapseTimeout, DefaultCollapseTimeout),
		drainBytes:      cmp.Or(t.DrainBytes, DefaultDrainBytes),
		refreshAhead:    t.RefreshAhead,
		logger:          t.Logger,
	}
	if t.Shared {
		e.heuristic = heuristics.ForSharedCache(t.Heuristic)
	}
	store := t.Store
	if store == nil {
		e.own = storage.NewDictCache()
		store = e.own
	}
	storeTimeout := cmp.Or(t.StoreTimeout, 5*time.Second)
	e.store = reliable.New(reliable.Config{Store: store, Timeout: storeTimeout, Logger: e.logger})
	e.dict, _ = store.(*storage.DictCache)
	e.ranges, _ = store.(storage.RangeReporter)
	traits := e.store.Traits()
	e.copiesHeader = traits.Copies
	if traits.Warning != "" && e.logger != nil {
		e.logger.Warn("cachecontrol: store is not safe", "reason", traits.Warning)
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
	e.locks = keylock.New(storeTimeout, e.dict != nil)
	taskTimeout := cmp.Or(t.BackgroundTimeout, 30*time.Second)
	e.background, e.draining = background.New(taskTimeout, e.logPanic), background.New(taskTimeout, e.logPanic)
	e.counters.start()
	return e
}

func (e *engine) base() http.RoundTripper {
	if e.rt != nil {
		return e.rt
	}
	return http.DefaultTransport
}

func (e *engine) close() error {
	e.store.Close()
	e.draining.Stop()
	e.background.Stop()
	if e.own != nil {
		e.own.Clear()
	}
	return nil
}

// get returns the entry under key if it may be there.
func (e *engine) get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := e.store.Get(ctx, key)
	if err == nil && !belongs(key, e.view(r.Entry).urlKey) {
		r.Body.Close()
		err = &storage.UnreadableError{Key: key, Err: errOtherURL}
		e.store.GetFailed(ctx, key, err)
		return nil, err
	}
	return r, err
}

// errOtherURL is the error for an entry that was found under the key of another URL.
var errOtherURL = errors.New("cachecontrol: the entry is another URL's")

// create starts to store the entry of a recording.
func (e *engine) create(r *recording) (err error) {
	if e.dict != nil && !e.store.Closed() {
		r.Writer = &r.dict
		return e.dict.CreateIn(&r.dict, r.entryKey, r.entry, nil)
	}
	r.Writer, err = e.store.Create(r.ctx, r.entryKey, r.entry)
	return err
}

// remove removes the entry under key. It holds the lock of the plain key while it does so.
func (e *engine) remove(ctx context.Context, plain, key string) error {
	k, _ := e.locks.Lock(plain) // on timeout, proceed without the lock
	defer k.Unlock()
	return e.store.Delete(ctx, key)
}

// invalidate removes everything stored for a plain key, and prevents storing responses for it that are being received.
// start is the send time, in the count of invalidations, of a request whose response may be stored all the same;
// invalidate returns the send time to use for it from now on. invalidate waits for a commit in progress, so that after
// it returns no request finds an earlier response.
func (e *engine) invalidate(ctx context.Context, key string, start uint64) (uint64, error) {
	start = e.invalidations.Add(key, start)
	k, _ := e.locks.Lock(key) // on timeout, the holder of the lock will notice: the key is marked
	defer k.Unlock()
	return start, e.drop(ctx, key)
}

// drop removes everything stored for a plain key. Without the entry under that key, its variants are never found. If
// the store is local, drop removes them, too; in other stores they expire.
func (e *engine) drop(ctx context.Context, key string) error {
	var variants []storage.Variant
	if e.store.Traits().Local {
		if r, err := e.get(context.WithoutCancel(ctx), key); err == nil {
			r.Body.Close()
			variants = r.Entry.Variants
		}
	}
	errs := []error{e.store.Delete(ctx, key), e.store.Delete(ctx, key+partialSuffix)}
	for _, v := range variants {
		if strings.HasPrefix(v.Key, key+variantSuffix) { // our lists contain only keys of the same URL
			errs = append(errs, e.store.Delete(ctx, v.Key))
		}
	}
	return errors.Join(errs...)
}
