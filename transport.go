package cachecontrol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/background"
	"github.com/go-cachecontrol/cachecontrol/internal/backoff"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/contentcoding"
	"github.com/go-cachecontrol/cachecontrol/internal/invalidation"
	"github.com/go-cachecontrol/cachecontrol/internal/keylock"
	"github.com/go-cachecontrol/cachecontrol/internal/lease"
	"github.com/go-cachecontrol/cachecontrol/internal/marks"
	"github.com/go-cachecontrol/cachecontrol/internal/reliable"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The limits of a Transport whose fields of the same names are zero.
const (
	DefaultMaxBodyBytes      = 1 << 30
	DefaultMaxVariants       = 32
	DefaultDrainBytes        = 64 << 10
	DefaultCollapseTimeout   = 10 * time.Second
	DefaultBackgroundTimeout = 30 * time.Second
	DefaultStoreTimeout      = 5 * time.Second
	DefaultBackoff           = 5 * time.Second
	DefaultMaxBackoff        = 15 * time.Minute
)

// Transport is an http.RoundTripper with a cache. It answers a request from the cache if it may, and otherwise sends it
// to Base. The zero value is ready to use: it is a private cache in memory. The fields must not be changed after the
// first request. All methods are safe for concurrent use.
type Transport struct {
	// Base is the RoundTripper used for requests that the cache cannot answer. If nil, http.DefaultTransport is used. A
	// panic in Base or in a hook propagates to the caller of RoundTrip; in background work it is logged.
	Base http.RoundTripper

	// Store keeps the responses. The Transport does not close it. If nil, the Transport makes a storage.DictCache for
	// itself.
	Store storage.Store

	// Heuristic, if non-nil, gives freshness to responses that have no explicit freshness. If nil, only the freshness
	// in the response counts.
	Heuristic heuristics.Heuristic

	// Shared, if true, makes this a shared cache, for several users, as in a proxy (RFC 9111, section 1). If false, the
	// cache is private.
	Shared bool

	// ReplaySetCookie, if true, treats Set-Cookie and Set-Cookie2 like any other field, as RFC 9111 does: they are
	// stored, and returned with each use of the response. If false, they are not stored: the caller gets them only with
	// the response, or the 304, with which the origin has just sent them. A shared cache then stores a response with
	// such a field only if it has public or s-maxage, or if private names the field.
	ReplaySetCookie bool

	// Partition, if non-nil, returns an additional component of the cache key. A response stored in one partition is
	// never used, updated or invalidated by a request in another. So one private Transport can serve several users if
	// Partition returns a string that is unique to the user, such as a name or token; only its hash is stored. The
	// empty string selects the default partition, the only one that Python can see. Partition must not modify the
	// request. See also Control.Partition.
	Partition func(*http.Request) string

	// Key, if non-nil, returns the URL that names the resource that a request asks for. If it returns nil, that is the
	// request's own URL. If it returns the same URL for several requests, they share their stored responses: each
	// may be answered with the response to another, and what invalidates one, such as an unsafe request or a call of
	// Invalidate, invalidates all (RFC 9111, section 4.4). InvalidateGroup and InvalidatePrefix compare with the URLs
	// that Key has returned. Package keys has functions that ignore query parameters or their order.
	//
	// Only the key changes: the request that is sent to the origin is the caller's. The fragment of the result is
	// ignored, and user and password are always those of the request's URL. A result that has another origin than the
	// request, unless KeyAcrossOrigins is true, or that cannot be used as a key, is logged once, and the cache does not
	// handle the request. The result is stored, so it must not contain secrets.
	//
	// Key is called once for each request, and for each URL that an unsafe request or Invalidate invalidates, then with
	// a GET request that has no header fields. So it should depend on the URL only. It must return equal URLs for equal
	// requests. It must not modify the request. It may be called concurrently.
	Key func(*http.Request) *url.URL

	// KeyAcrossOrigins, if true, lets Key return a URL of another origin (scheme, host and port), for example because
	// several mirrors serve the same files. A response from one origin then answers requests for another, so the program
	// must trust all of them alike. If false, such a result is not used.
	KeyAcrossOrigins bool

	// CredentialFields are names of request fields whose values are secret. If Vary names such a field, the cache
	// stores a salted digest of its value, and never the value itself. Authorization, Proxy-Authorization, Cookie and
	// fields whose names say that they are keys, tokens, passwords or sessions, such as X-Api-Key and X-CSRFToken, are
	// always treated so, as are values of more than 512 bytes.
	CredentialFields []string

	// BeforeStore, if non-nil, is called with each response from the origin before it is stored, and with a stored
	// response that the origin has confirmed. rules is what the rules decide about storing it. BeforeStore can prevent
	// storing, and can set the freshness lifetime of a response with any status. It cannot make the cache store a response
	// that the rules forbid to store. resp.Request is the request. resp has an empty Body, and must not be modified.
	// BeforeStore and BeforeReuse may be called concurrently.
	BeforeStore func(resp *http.Response, rules RuleDecision) StoreDecision

	// BeforeReuse, if non-nil, is called with each stored response selected for a request. Its result overrides the
	// freshness rules. It must not modify its arguments. It is not called for validations in the background. With
	// Collapse or StaleIfSlow it may be called more than once for a request, and may get a copy of it, because the cache
	// looks for a stored response again before it asks the origin.
	BeforeReuse func(req *http.Request, stored StoredResponse) ReuseDecision

	// Groups, if non-nil, returns names of groups that a response from the origin is in, in addition to those in its
	// Cache-Groups (RFC 9875). It is also called for a stored response that the origin has confirmed. InvalidateGroup
	// invalidates a group. resp has an empty Body, and must not be modified. Groups may be called concurrently. A
	// response in more than 128 groups is not stored.
	Groups func(resp *http.Response) []string

	// Replay, if true, serves stored responses regardless of their age and of all cache directives. It is meant for
	// debugging and for work without a network. Responses that are not stored are fetched, and are stored unless that
	// is forbidden, even if they have neither freshness nor a validator. With ModeRefresh the origin is asked, and
	// the stored response is used if the origin fails. With ModeCacheOnly the origin is never asked.
	Replay bool

	// TimePriority, if true, stores a response only if it has a freshness lifetime. By default a validator alone, ETag
	// or Last-Modified, is enough. It corresponds to CacheControl's cache_etags=False.
	TimePriority bool

	// CacheableMethods are the methods whose responses are stored. If nil, they are GET and QUERY (RFC 10008). HEAD is
	// answered from the stored response to GET. If a request has content, that and what its header says about it are
	// part of the key. So it is read into memory; content of more than 1 MiB is passed on to Base, without the cache.
	CacheableMethods []string

	// NormalizeContent, if non-nil, returns the content of a request in the form in which it is part of the key, so that
	// contents that mean the same to the origin have one key (RFC 10008, section 2.7). The request is sent as it is. If
	// NormalizeContent returns nil, the content is part of the key as it is. It is called for content with a
	// Content-Type, which is the first argument, and without a Content-Encoding, unless the request has no-transform. It
	// may change and return its second argument, and may be called concurrently. If two contents with different meanings
	// get the same form, one gets the response to the other. See keys.NormalizeContent.
	NormalizeContent func(contentType string, content []byte) []byte

	// CacheableStatusCodes are the status codes that are stored. If nil, the cache stores all that RFC 9111 allows. A
	// status that is not cacheable by default, such as 302 or 403, is stored without explicit freshness if it is in the
	// list and the program gives it a lifetime, with Replay, BeforeStore or Control.Lifetime. 428, 431 and 511 are
	// never stored, and 429 is stored only with a lifetime from the program. CacheControl for Python stores 200, 203,
	// 300, 301 and 308.
	CacheableStatusCodes []int

	// MaxBodyBytes is the length of the longest body that is stored, and of the longest part of one. A response with a
	// longer body is passed on and not stored. Zero means DefaultMaxBodyBytes. A negative value means no limit.
	MaxBodyBytes int64

	// MaxVariants is the number of variants of a URL that are stored in addition to the first. Zero means
	// DefaultMaxVariants. A negative value means none.
	MaxVariants int

	// StaleIfError is how long after it became stale any stored response may be served if the origin cannot be reached
	// or answers 500, 502, 503 or 504, as if the response had stale-if-error (RFC 5861). It does not override
	// must-revalidate and similar directives. Zero means that only the response or the request can allow this.
	StaleIfError time.Duration

	// StaleIfSlow is how long a request waits for the header of the origin's response if a stale response may be served
	// when the origin fails, as StaleIfError or stale-if-error allows. After that it gets the stale response, and the
	// request to the origin continues in the background for up to BackgroundTimeout, so that the response is stored.
	// Meanwhile other requests for the URL get the stale response immediately. If the request's context has a deadline,
	// it waits for at most three quarters of the remaining time. A request that limits the age or the staleness of the
	// response, or asks for validation, waits for the origin. Zero means that all of them do.
	StaleIfSlow time.Duration

	// StaleWhileRevalidate is how long after it became stale a stored response without a stale-while-revalidate
	// directive may be served while it is validated in the background, as if the response had this directive (RFC
	// 5861). It does not override must-revalidate and similar directives, nor a request that limits staleness. A
	// response is not stored merely because of it. Zero means that only the response can allow this.
	StaleWhileRevalidate time.Duration

	// Backoff is how long the cache waits after a failure of the origin before it validates, in the background or for a
	// caller, a response that may be used if the origin fails. Until then such a response is returned at once. The wait
	// triples with each further failure, up to MaxBackoff, and is up to a quarter longer at random. It is never shorter
	// than the Retry-After of a 429 or 503, of which up to 24 hours count. It ends with the next success.
	//
	// A failure is an error of Base, including the end of a deadline but not a cancellation, a 429, or a status of 500
	// or more. The wait is for the URL. It is for all URLs of the origin after two of them have begun to fail without a
	// success in between, or after a 429 or 503 with Retry-After. Requests that no stored response may answer are always
	// sent.
	//
	// Zero means DefaultBackoff. A negative value means that failures are not remembered.
	Backoff time.Duration

	// MaxBackoff is the longest wait, except for Retry-After. Zero means DefaultMaxBackoff, or Backoff if that is longer.
	// A negative value means no limit.
	MaxBackoff time.Duration

	// SelectLanguage, if true, lets a stored response answer a request with a different Accept-Language if its
	// Content-Language is the one that the request prefers (RFC 9111, section 4.1). If false, the fields must be equal.
	SelectLanguage bool

	// DisableCompression, if true, prevents the Transport from requesting compression (gzip, deflate or those in
	// Decoders) and decoding the body if the request has no Accept-Encoding. It corresponds to the field of the same name
	// of http.Transport.
	DisableCompression bool

	// Decoders are the decoders of further content codings by their names in lower case, such as "br" or "zstd". The
	// Transport names these codings in Accept-Encoding, too, and decodes them as it does gzip and deflate; see
	// DisableCompression. A decoder of "gzip" or "deflate" replaces that of the Transport. A decoder is called when the
	// first byte is read, unless the coded body is empty. The reader that it returns is closed after its last Read. It
	// must limit its own memory. An error or a panic of the decoder is an error of the body, and the stored response is
	// removed.
	Decoders map[string]func(coded io.Reader) (io.ReadCloser, error)

	// WantReprDigest, if true, adds Want-Repr-Digest: sha-256=1 to requests that have no such field (RFC 9530, section 4).
	// A response with a Content-Digest or Repr-Digest is verified while it is stored, whether or not it was asked for, by
	// sha-256 and sha-512. If a digest differs, the caller gets the bytes as they came, and the response is not stored.
	WantReprDigest bool

	// Collapse, if true, lets concurrent requests for a URL, and for QUERY with the same content, share one request to
	// the origin (RFC 9111, section 4) if the response may be reused for all of them. Later requests wait for the header
	// of the response and read the body as it arrives. The request to the origin continues while any of them wants the
	// response. The body is buffered for late readers: up to 1 MiB in memory, the rest in a temporary file. If the last
	// response could not be shared, requests for that URL do not wait for the next one. If the origin fails, with an
	// error, a server error or 429, all that wait get a stale response if that is permitted, and otherwise that failure.
	Collapse bool

	// CollapseTimeout is how long a request waits for the header of a response that it wants to share. After that it
	// gets a stale response if that is permitted when the origin fails. Otherwise one of those that wait sends another
	// request, and all take the response that comes first. So an origin that hangs gets one request in each
	// CollapseTimeout. Zero means DefaultCollapseTimeout. A negative value means no limit.
	CollapseTimeout time.Duration

	// CollapseProcesses, if true, makes Collapse also work between the Transports that share Store, in other processes
	// and on other machines, if Store is a storage.Leaser. It implies Collapse. The Transport that asks the origin has a
	// lease of the Store. The others wait for the response to be stored. After CollapseTimeout they use a stale response
	// if that is permitted when the origin fails, and otherwise ask the origin themselves. A Transport that has not
	// released its lease after half of CollapseTimeout is overtaken by one of the others. A validation in the
	// background is left to the Transport that has the lease. If Store is no Leaser, or fails to give leases, no
	// Transport waits for another.
	CollapseProcesses bool

	// ResumeBodies, if true, makes the body of a response to GET or QUERY go on by itself if the connection breaks while
	// it is read. If the response has a strong entity tag, the rest is requested with Range and If-Range (RFC 9110,
	// sections 13.1.5 and 14.2), up to five times, with pauses of up to 27 seconds, until a byte arrives. If the origin
	// has changed the representation meanwhile, Read returns an error: parts of two representations are never mixed. With
	// or without ResumeBodies, what was received of a response that is being stored is stored as a part, and the next
	// request asks only for the rest.
	ResumeBodies bool

	// DrainBytes is the number of bytes that may be read in the background to complete a response that is being stored
	// when its Body is closed early. http.Client, for example, reads at most 2 KiB of the body of a redirect, and a
	// json.Decoder stops before the end. Close of the body waits at most 10 milliseconds for the rest. The reading
	// takes at most BackgroundTimeout, and ends when the Transport is closed. Nothing is read if the context of the
	// request has ended before the body is closed. Zero means DefaultDrainBytes. A negative value means that nothing is
	// read; of such a response at most a part is stored.
	DrainBytes int64

	// RefreshAhead, if positive, makes a hit on a response that expires within this duration start a validation in the
	// background. It does so at most once until the response expires.
	RefreshAhead time.Duration

	// BackgroundTimeout limits each validation in the background, each request that StaleIfSlow has continued there, and
	// the reading of a body that DrainBytes allows. Zero means DefaultBackgroundTimeout. A negative value means no
	// limit.
	BackgroundTimeout time.Duration

	// StoreTimeout limits each call to Store, including each Read and Write of a body, even if the store ignores its
	// context. When it expires, the request continues without the store, and the call is abandoned. While 16 abandoned
	// calls are still running, new calls fail immediately. DictCache and the two file caches are called directly: they
	// wait only for the disk and, to write, for file locks, for up to StoreTimeout to update or delete an entry and up
	// to 10 seconds to commit one. Zero means DefaultStoreTimeout. A negative value means no limit.
	StoreTimeout time.Duration

	// Logger receives every caching decision at level Debug. For each operation of the store, it receives one failure
	// in ten seconds at level Warn, and the others at Debug; an entry that cannot be read is always logged at Warn. A
	// panic in background work is logged at Error. If nil, nothing is logged.
	Logger *slog.Logger

	once  sync.Once
	cache *cache
}

// Client returns an http.Client that uses t as its Transport.
func (t *Transport) Client() *http.Client { return &http.Client{Transport: t} }

// RoundTrip implements http.RoundTripper. It does not fail because of the cache: if the store fails, the request is
// sent to Base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	e := t.start()
	trace := e.observers.newTrace(req, false)
	resp, err := e.roundTrip(req, trace)
	if err != nil {
		e.counters.failed.Add(1)
	}
	e.observers.end(trace, resp, err)
	return resp, err
}

// Close cancels background work and waits for it to finish. Requests made after Close are sent to Base; they neither
// find nor store anything. Close removes all entries of the DictCache that t made because Store was nil. It does not
// close Store, because other Transports may use it. Close the Transport before the store.
func (t *Transport) Close() error { return t.start().close() }

// Invalidate removes all stored variants of u, as a successful unsafe request to it would (RFC 9111, section 4.4).
// Responses that are being received from the origin meanwhile are not stored. The partition is that of a GET request
// for u with this context and no header fields. The error is that of the store.
func (t *Transport) Invalidate(ctx context.Context, u *url.URL) error {
	if u == nil {
		u = new(url.URL)
	}
	e := t.start()
	req := getRequest(ctx, u, u.Host)
	key, ok := e.keyOf(req)
	if !ok {
		return errNoKey(u)
	}
	key += e.partitionOf(req, controlOf(ctx))
	_, _, err := e.invalidateTarget(ctx, key, invalidation.Epoch{}, true)
	return err
}

// InvalidateGroup invalidates all stored responses of the origin of u that are in a group, in all partitions. The groups of
// a response are those in its Cache-Groups (RFC 9875) and those that the field Groups has added. Only the scheme and the
// authority of u matter. The name of the group may have any bytes.
//
// An invalidated response is not used again until the origin has confirmed it, whatever allows the use of stale responses.
// That includes responses that are being received from the origin meanwhile. Nothing is searched, so it takes the same
// time however many responses are stored. Other processes that share the Store notice it within a second, or when the
// Store lets them see it: see docs/storage.md. If more than about 2,000 groups of an origin were invalidated, responses of
// the origin that are in other groups count as invalidated, too. The error is that of the store.
func (t *Transport) InvalidateGroup(ctx context.Context, u *url.URL, group string) error {
	key, ok := cachekey.Of(u, "")
	if !ok {
		return errNoKey(u)
	}
	if err := t.start().marks.InvalidateGroups(ctx, key, []marks.Group{marks.GroupOf(group)}); err != nil {
		return fmt.Errorf("cachecontrol: invalidate group %q: %w", group, err)
	}
	return nil
}

// InvalidatePrefix invalidates all stored responses whose URLs begin with u, in all partitions, as InvalidateGroup does.
// "https://example.com/a" is the beginning of itself with any query, and of "https://example.com/a/b", but not of
// "https://example.com/ab". "https://example.com/a/" is the beginning of all that contains it. u must not have a query. Its
// path must be escaped as in the URLs of requests. If more than 128 prefixes were invalidated, the oldest is taken for a
// prefix of all URLs.
func (t *Transport) InvalidatePrefix(ctx context.Context, u *url.URL) error {
	key, ok := cachekey.Of(u, "")
	switch {
	case !ok:
		return errNoKey(u)
	case u.RawQuery != "" || u.ForceQuery:
		return fmt.Errorf("cachecontrol: invalidate prefix %q: it must not have a query", withoutUser(u))
	}
	prefix, _, _ := strings.Cut(key, "#")
	if err := t.start().marks.InvalidatePrefix(ctx, prefix); err != nil {
		return fmt.Errorf("cachecontrol: invalidate prefix %q: %w", withoutUser(u), err)
	}
	return nil
}

// Clear makes all responses in the Store, of all origins and partitions, count as not stored, and those that are being
// received from the origin meanwhile. It takes the same time however many there are. The Store is not made empty: entries
// that are not replaced stay until it evicts them. Other processes that share the Store notice it as they notice
// InvalidateGroup. The error is that of the store.
func (t *Transport) Clear(ctx context.Context) error {
	if err := t.start().marks.Clear(ctx); err != nil {
		return fmt.Errorf("cachecontrol: clear: %w", err)
	}
	return nil
}

// errNoKey returns the error for a URL that has no key.
func errNoKey(u *url.URL) error {
	return fmt.Errorf("cachecontrol: invalidate %q: no response is stored for such a URL", withoutUser(u))
}

// withoutUser returns u as text without user and password.
func withoutUser(u *url.URL) string {
	if u == nil {
		return ""
	}
	shown := *u
	shown.User = nil
	return shown.String()
}

// List returns an iterator over what is stored, in all partitions: see storage.Lister. An entry is listed for each variant
// and for each stored part of a response, and for the lists that the cache makes of these. Entry.URL is the URL, without
// user and password. What Clear was called for is not listed. If the Store does not answer in time, or if it is no
// storage.Lister, the iterator ends with an error, in the second case errors.ErrUnsupported.
func (t *Transport) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		e := t.start()
		for l, err := range e.store.List(ctx) {
			if err == nil && !e.marks.None() {
				state := e.marks.Check(ctx, cmp.Or(l.Key, l.Entry.URL), l.Entry.Mark, e.view(l.Entry).groups, nil)
				if state == marks.Cleared {
					continue
				}
				l.Invalid = state != marks.Current
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// Observe makes t call f after each request, before RoundTrip returns, and after each validation in the background,
// until stop is called. A call that has begun may end after stop has returned. f must be safe for concurrent use, and
// must not block, because the caller waits for it. If f panics, RoundTrip does. If Base or a hook panics, f is not
// called. Without an observer, there is no cost.
func (t *Transport) Observe(f func(Observation)) (stop func()) { return t.start().observers.add(f) }

// CloseIdleConnections calls the method of this name of Base, if Base has one.
func (t *Transport) CloseIdleConnections() { closeIdle(t, make(map[http.RoundTripper]bool)) }

// next returns the RoundTripper that requests are sent through.
func (t *Transport) next(*url.URL) http.RoundTripper {
	return t.start().base()
}

func (t *Transport) all() []http.RoundTripper { return []http.RoundTripper{t.next(nil)} }

func (t *Transport) start() *cache {
	t.once.Do(func() { t.cache = &cache{engine: newEngine(t)} })
	return t.cache
}

// Stats returns the current counts. Each count only grows. The counts are read one after the other while requests go
// on, so they need not be consistent with each other.
func (t *Transport) Stats() Stats {
	e := t.start()
	s := e.counters.read()
	s.StoreErrors, s.Evictions = e.store.Failures(), e.store.Evictions()
	s.StoreSuspended, s.SuspendedServers = e.store.NotCalled(), e.store.Suspended()
	s.StoreOperations = make(map[string]StoreOperation)
	for name, o := range e.store.Operations() {
		s.StoreOperations[name] = StoreOperation(o)
	}
	return s
}

func newEngine(t *Transport) *engine {
	e := &engine{
		rt:        t.Base,
		heuristic: t.Heuristic,
		rules: rules.Options{
			Shared: t.Shared, TimePriority: t.TimePriority, StaleIfError: t.StaleIfError, StaleWhileRevalidate: t.StaleWhileRevalidate,
			WithholdSetCookie: !t.ReplaySetCookie, Replay: t.Replay, Statuses: slices.Clone(t.CacheableStatusCodes),
		},
		partition: t.Partition, key: t.Key, keyAcrossOrigins: t.KeyAcrossOrigins,
		credentials:     slices.Clone(t.CredentialFields),
		normalize:       t.NormalizeContent,
		beforeStore:     t.BeforeStore,
		beforeReuse:     t.BeforeReuse,
		groups:          t.Groups,
		maxBody:         limit(t.MaxBodyBytes, DefaultMaxBodyBytes),
		maxVariants:     max(cmp.Or(t.MaxVariants, DefaultMaxVariants), 0),
		selectLanguage:  t.SelectLanguage,
		negotiate:       !t.DisableCompression,
		codings:         contentcoding.New(t.Decoders),
		wantReprDigest:  t.WantReprDigest,
		resumeBodies:    t.ResumeBodies,
		collapse:        t.Collapse || t.CollapseProcesses,
		collapseTimeout: cmp.Or(t.CollapseTimeout, DefaultCollapseTimeout),
		drainBytes:      cmp.Or(t.DrainBytes, DefaultDrainBytes),
		refreshAhead:    t.RefreshAhead,
		staleIfSlow:     t.StaleIfSlow,
		logger:          t.Logger,
	}
	e.derive = func(entry *storage.Entry) any { return e.newView(entry) }
	store := t.Store
	if e.err = t.check(); store == nil || e.err != nil {
		e.own = storage.NewDictCache()
		store = e.own
	}
	storeTimeout := limit(t.StoreTimeout, DefaultStoreTimeout)
	e.store = reliable.New(reliable.Config{Store: store, Timeout: storeTimeout, Logger: e.logger})
	traits := e.store.Traits()
	if traits.Warning != "" && e.logger != nil {
		e.logger.Warn("cachecontrol: store is not safe", "reason", traits.Warning)
	}
	if t.Replay {
		e.refreshAhead = 0 // nothing expires
	}
	e.methods, e.noGET = otherMethods(t.CacheableMethods)
	e.locks, e.marks = keylock.New(traits.Memory), marks.New(e.store)
	taskTimeout := limit(t.BackgroundTimeout, DefaultBackgroundTimeout)
	e.background, e.draining = background.New(taskTimeout, e.logPanic), background.New(taskTimeout, e.logPanic)
	if t.Backoff >= 0 {
		e.backoff = t.newBackoff()
	}
	if t.CollapseProcesses {
		e.leases = lease.New(e.store, e.collapseTimeout, cmp.Or(max(e.collapseTimeout, 0), DefaultCollapseTimeout)/2)
	}
	e.counters.start()
	return e
}

// otherMethods returns the methods other than GET whose responses are stored, and whether those to GET are not. methods is
// Transport.CacheableMethods.
func otherMethods(methods []string) (other []string, noGET bool) {
	if methods == nil {
		return []string{rules.QUERY}, false
	}
	other = slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == http.MethodGet })
	return other, !slices.Contains(methods, http.MethodGet)
}

func (t *Transport) newBackoff() *backoff.Table {
	first := cmp.Or(t.Backoff, DefaultBackoff)
	most := limit(t.MaxBackoff, DefaultMaxBackoff)
	if t.MaxBackoff == 0 {
		most = max(most, first)
	}
	return backoff.New(first, most)
}

// limit returns the value of a field for which zero means the default and a negative value no limit.
func limit[T ~int64](value, byDefault T) T {
	if value < 0 {
		return math.MaxInt64
	}
	return cmp.Or(value, byDefault)
}

// check returns an error for the first field whose value makes no sense, or nil.
func (t *Transport) check() error {
	for _, f := range []struct {
		name  string
		value any
	}{{"Base", t.Base}, {"Store", t.Store}, {"Heuristic", t.Heuristic}} {
		if v := reflect.ValueOf(f.value); v.Kind() == reflect.Pointer && v.IsNil() {
			return fmt.Errorf("cachecontrol: Transport.%s is a nil %v: leave the field out, or set it to a value", f.name, v.Type())
		}
	}
	switch {
	case t.KeyAcrossOrigins && t.Key == nil:
		return errors.New("cachecontrol: Transport.KeyAcrossOrigins is true without Key: it would have no effect")
	case t.StaleIfError < 0:
		return fmt.Errorf("cachecontrol: Transport.StaleIfError is %v: it must not be negative", t.StaleIfError)
	case t.StaleWhileRevalidate < 0:
		return fmt.Errorf("cachecontrol: Transport.StaleWhileRevalidate is %v: it must not be negative", t.StaleWhileRevalidate)
	case t.MaxBackoff > 0 && t.Backoff > t.MaxBackoff:
		return fmt.Errorf("cachecontrol: Transport.MaxBackoff is %v: it must not be shorter than Backoff, which is %v", t.MaxBackoff, t.Backoff)
	case t.StaleIfSlow < 0:
		return fmt.Errorf("cachecontrol: Transport.StaleIfSlow is %v: it must not be negative", t.StaleIfSlow)
	case t.RefreshAhead < 0:
		return fmt.Errorf("cachecontrol: Transport.RefreshAhead is %v: it must not be negative", t.RefreshAhead)
	}
	if err := contentcoding.Check(t.Decoders); err != nil {
		return fmt.Errorf("cachecontrol: Transport.Decoders: %w", err)
	}
	return checkMethods(t.CacheableMethods)
}
