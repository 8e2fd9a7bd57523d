package cachecontrol

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/background"
	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
	"github.com/go-cachecontrol/cachecontrol/internal/behind"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/keylock"
	"github.com/go-cachecontrol/cachecontrol/internal/lease"
	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// engine is the state of a Transport: its configuration with defaults applied, and everything shared by requests.
type engine struct {
	err   error // why the Transport's configuration is invalid; nil if it is valid
	rt    http.RoundTripper
	store *reliable.Store
	own   *storage.DictCache // the store if the Transport made it, otherwise nil

	heuristic heuristics.Heuristic
	rules     rules.Options
	policies  rules.Memory
	derive    func(*storage.Entry) any   // returns a new entryView
	partition func(*http.Request) string // nil if none

	key              func(*http.Request) *url.URL // nil if none
	keyAcrossOrigins bool
	keyRefused       sync.Once // done after a result of key was refused and logged

	credentials []string // names of fields whose values are stored as digests, in addition to the usual ones
	methods     []string // in addition to GET and HEAD
	noGET       bool

	normalize func(contentType string, content []byte) []byte // nil if none

	beforeStore func(*http.Response, RuleDecision) StoreDecision  // nil if none
	beforeReuse func(*http.Request, StoredResponse) ReuseDecision // nil if none
	groups      func(*http.Response) []string                     // nil if none

	maxBody         int64
	maxVariants     int
	selectLanguage  bool
	negotiate       bool
	codings         *contentcoding.Codings
	wantReprDigest  bool
	resumeBodies    bool
	collapse        bool
	drainBytes      int64
	collapseTimeout time.Duration // no limit if negative
	refreshAhead    time.Duration
	staleIfSlow     time.Duration
	logger          *slog.Logger

	locks *keylock.Locks // held while a response is checked and stored, and while a stored response is invalidated

	observers     observers
	counters      counters
	scratches     sync.Pool                      // of *scratch
	statuses      lossy.Map[Status, string]      // see statusHeader
	hits          lossy.Map[hitState, hitFields] // see hitFieldsFor
	shapes        lossy.Map[uint64, headerShape] // see arranged
	invalidations invalidation.Log
	commits       invalidation.Commits
	marks         *marks.Marks      // of groups and prefixes, in the store
	behind        behind.Tasks      // recordings that end after the callers have read the bodies
	notShareable  lossy.Set         // keys whose last response could not be shared; requests for them do not wait for each other
	background    *background.Group // validations
	draining      *background.Group // drains bodies closed early
	refreshed     refreshed
	searches      lossy.Map[string, recentEntry] // indexes that were read lately, unless the store is in memory; see search.go
	fresh         lossy.Map[string, time.Time]   // until when responses in a store that is read ahead are fresh
	leases        *lease.Leases                  // of the store; nil if other processes are not waited for
	backoff       *backoff.Table                 // failures of the origin; nil if they are not remembered
}

// roomForKey is the length of the longest key that a hit looks up without an allocation.
const roomForKey = 192

// scratch is what a request uses until it is answered. A pool gives each processor its own again, most of the time.
type scratch struct {
	key   []byte // room for a key
	shard *shard // counts the request
}

func (e *engine) newScratch() *scratch {
	if s, ok := e.scratches.Get().(*scratch); ok {
		return s
	}
	return &scratch{key: make([]byte, 0, roomForKey), shard: e.counters.shard()}
}

// recentEntry is what was stored when it was read.
type recentEntry struct {
	entry *storage.Entry // nil if there was none
	read  time.Time
}

func (e *engine) base() http.RoundTripper {
	if e.rt != nil {
		return e.rt
	}
	return http.DefaultTransport
}

func (e *engine) close() error {
	e.behind.Stop()
	e.store.Close()
	e.leases.Close()
	e.draining.Stop()
	e.background.Stop()
	if e.own != nil {
		e.own.Clear()
	}
	return nil
}

// lock locks a key for a request with this context, which waits no longer than it would wait for the store.
func (e *engine) lock(ctx context.Context, key string) (keylock.Held, bool) {
	return e.locks.Lock(key, e.store.Share(ctx))
}

// logBackground logs why a request in the background has failed.
func (e *engine) logBackground(ctx context.Context, req *http.Request, err error) {
	if e.logger != nil {
		e.logger.DebugContext(ctx, "cachecontrol: revalidation in the background failed", "url", requestURL(req), "error", err)
	}
}

// logPanic logs a panic of Base or a hook that was recovered in a background goroutine, with its stack trace.
func (e *engine) logPanic(ctx context.Context, v any) {
	if e.logger != nil {
		e.logger.ErrorContext(ctx, "cachecontrol: panic", "value", v, "stack", string(debug.Stack()))
	}
}
