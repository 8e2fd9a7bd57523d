package cachecontrol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// DefaultMaxBodyBytes is the longest body that a Transport stores unless it is told otherwise: 1 GiB.
const DefaultMaxBodyBytes = 1 << 30

// DefaultDrainBytes is how much of a body that is closed early a Transport reads in the background, unless it is told otherwise:
// 64 KiB.
const DefaultDrainBytes = 64 << 10

// DefaultCollapseTimeout is how long a request waits for the answer to another one, unless the Transport is told otherwise: 10
// seconds.
const DefaultCollapseTimeout = 10 * time.Second

// CacheControlStatusCodes are the statuses that Python's CacheControl stores, for Transport.CacheableStatusCodes.
var CacheControlStatusCodes = []int{200, 203, 300, 301, 308}

// Transport is an http.RoundTripper that answers from a cache what it may, and has Base make the other requests.
// The zero value works: a private cache in memory. Fields must not be changed after the first request. All methods are
// safe for concurrent use.
type Transport struct {
	// Base makes the requests that the cache cannot answer. What it panics with, and what a hook does, is the caller's to
	// recover; in the background, the Logger is told of it. Nil: http.DefaultTransport.
	Base http.RoundTripper

	// Store keeps the responses. The Transport does not close it. If nil, a storage.DictCache of the Transport's own is used.
	Store storage.Store

	// Heuristic gives freshness to responses that carry none. Nil: only what they say themselves counts.
	Heuristic heuristics.Heuristic

	// Shared makes this a shared cache: for several users, as in a proxy (RFC 9111, section 1). False: private.
	Shared bool

	// ReplaySetCookie makes Set-Cookie and Set-Cookie2 fields like any other, as RFC 9111 has them: they are stored, and handed
	// out with each use of the response. If false, they reach the caller only with the response, or with the 304, by
	// which the origin has just sent them, and are not stored. A shared cache then stores a response with such a field
	// only if it says public or s-maxage, or if private names the field.
	ReplaySetCookie bool

	// Partition returns a part of the key for a request: what is stored for one partition is never found, changed or
	// invalidated by a request of another. So one private Transport can serve several users, if it returns for
	// each what no other has: a user's name, or a token; it is hashed. "" is a partition like any other, that of the
	// keys which Python shares. It must not change the request. Nil: one partition. See also Control.Partition.
	Partition func(*http.Request) string

	// CredentialFields are names of request fields whose values are secrets. If Vary names such a field, a salted digest of its value
	// is stored, and never the value. Authorization, Proxy-Authorization, Cookie and the usual names of API keys and tokens, as
	// X-Api-Key and Private-Token, are always treated so, as are values of more than 512 bytes.
	CredentialFields []string

	// BeforeStore is asked about each response that came from the origin, before it is stored, and about each stored
	// response that the origin has confirmed. It may refuse to store the response, or give it a lifetime, whatever its
	// status. It cannot allow what the rules forbid to store. resp.Request is the request. The Body is empty, and
	// nothing of resp may be changed. It is called by several goroutines at once, as is BeforeReuse. If nil, the rules
	// decide.
	BeforeStore func(resp *http.Response) StoreDecision

	// BeforeReuse is asked about each stored response that is found for a request, and decides whether it may be
	// used, above all rules. It may change neither. It is not asked for a validation in the background. With
	// Collapse it may be asked more than once for a request, of which it is then given a copy: what is
	// stored is looked at again before the origin is asked. Nil: the rules decide.
	BeforeReuse func(req *http.Request, stored StoredResponse) ReuseDecision

	// Replay answers with whatever is stored, whatever its age, and whatever the request's header and the response
	// say about reuse: for debugging, and for work without a network. Only what is not stored is asked for; it
	// is stored unless that is forbidden, even if nothing makes it worth storing otherwise. With
	// Control.Refresh the origin is asked, and what is stored stands in where it fails; with
	// Control.OnlyIfCached the origin is never asked. False: what is stale is stale.
	Replay bool

	// TimePriority stores a response only for its freshness: cache_etags=False in CacheControl. If false, a validator, ETag
	// or Last-Modified, is reason enough (equal priority).
	TimePriority bool

	// CacheableMethods are the methods whose responses are stored. Nil: GET. HEAD is answered from GET's. A
	// method that takes a body has it made part of the key.
	CacheableMethods []string

	// CacheableStatusCodes are the statuses that are stored. If nil, all that RFC 9111 allows are. A status that is not
	// cacheable by default, as 302 or 403, is stored without explicit freshness if it is among them and the program gives
	// it a lifetime: with Replay, BeforeStore or Control.Lifetime. 428, 431 and 511 are never stored, and 429 only
	// with a lifetime from the program. See also CacheControlStatusCodes.
	CacheableStatusCodes []int

	// MaxBodyBytes is the longest body that is stored; a longer one passes through. 0: DefaultMaxBodyBytes.
	MaxBodyBytes int64

	// MaxVariants is how many variants of one URL are kept beside the first. 0: 32; less: none.
	MaxVariants int

	// StaleIfError is for how long any stale response may stand in while the origin cannot be reached or
	// answers 500, 502, 503 or 504, as if it said stale-if-error (RFC 5861). 0: only where the
	// response or the request allows it. must-revalidate and its like forbid it all the same.
	StaleIfError time.Duration

	// SelectLanguage lets a stored response answer although Accept-Language differs, where its
	// Content-Language is what the request prefers (RFC 9111, section 4.1). False: only equal fields match.
	SelectLanguage bool

	// DisableCompression keeps the Transport from asking for gzip or deflate, and from decoding them, where
	// the caller set no Accept-Encoding: as http.Transport's field of this name.
	DisableCompression bool

	// Collapse has requests share one response (RFC 9111, section 4): GET requests for a URL that come while one for
	// it is under way wait for its head, and read the body as it comes, where the response may be reused for them.
	// The request goes on for as long as one of them wants it. What has come of a body is kept for them, in memory
	// and from 1 MiB on in a temporary file. Where the last response was for its request alone, they do not wait for the
	// next one. False: each goes to the origin.
	Collapse bool

	// CollapseTimeout is how long a request waits for the header of the response to another one with which it collapses. After
	// that it goes to the origin alone. Zero means DefaultCollapseTimeout. A negative value means no limit.
	CollapseTimeout time.Duration

	// DrainBytes is how much of a body that its caller closes early the Transport may still read in the background, if that is
	// all that is missing of a response that is being stored. http.Client, for one, reads no more than 2 KiB of the body of a
	// redirect, and a json.Decoder stops before the end. Close of the body waits for the end for no more than 10 milliseconds.
	// Reading takes BackgroundTimeout at most, and ends with the Transport's Close. Nothing is read if the context of the
	// request has ended before the body is closed. Zero means DefaultDrainBytes. A negative value means that nothing is
	// read: such a response is not stored.
	DrainBytes int64

	// RefreshAhead is how long before its end of life a fresh response that is asked for is validated in the
	// background, at most once until then. 0: it is only once it has expired.
	RefreshAhead time.Duration

	// BackgroundTimeout is the deadline of a revalidation in the background, and of reading what DrainBytes allows.
	// 0: 30 seconds.
	BackgroundTimeout time.Duration

	// StoreTimeout is for how long each call of the store may take, reading or writing a part of a body included;
	// after that the request goes on without it, whether the store heeds its context or not. While 16 calls that were
	// given up have not come back, others fail at once. DictCache and the two file caches are called directly: they
	// wait for nobody but the disk and, to write, for locks on files, for StoreTimeout where they update or delete an
	// entry and 10 seconds where they commit one. 0: 5 seconds.
	StoreTimeout time.Duration

	// Logger is told why each decision was taken, at level Debug, and of a store that fails, at level Warn, but for each
	// of its operations once in ten seconds, and at Debug otherwise.
	// Nil: silent.
	Logger *slog.Logger

	once   sync.Once
	engine *engine
}

// Client returns an http.Client that has t as its Transport.
func (t *Transport) Client() *http.Client { return &http.Client{Transport: t} }

// RoundTrip implements http.RoundTripper. It never fails because of the cache: whatever goes wrong with what is
// stored, the request is made.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	e := t.start()
	resp, err := e.roundTrip(req)
	if err != nil {
		e.counters.failed.Add(1)
	}
	return resp, err
}

func (e *engine) roundTrip(req *http.Request) (*http.Response, error) {
	if e.err != nil {
		closeBody(req)
		return nil, e.err
	}
	if ctx := req.Context(); ctx.Err() != nil {
		closeBody(req)
		return nil, context.Cause(ctx) // as http.Transport
	}
	x := e.newExchange(req)
	if why := x.classify(); why != rfc9111.ReasonNone {
		x.nameKey()
		return x.bypass(why)
	}
	resp, err := x.answer(Status{})
	if x.over {
		e.reuse(x)
	}
	return resp, err
}

// Close ends the work in the background and waits for it. Requests that come later are made, and neither find nor store
// anything. Close does not close Store, which others may use; who has made it closes it, after the Transport.
func (t *Transport) Close() error { return t.start().close() }

// Invalidate forgets what is stored for a URL, all its variants, as an unsafe request to it would that succeeded
// (RFC 9111, section 4.4). What is under way from the origin meanwhile is not stored. The partition is that of a GET
// request for u with this context and no header fields. The error is the store's.
func (t *Transport) Invalidate(ctx context.Context, u *url.URL) error {
	key, ok := cachekey.Of(u, "")
	if !ok {
		var shown url.URL // without user and password
		if u != nil {
			shown = *u
			shown.User = nil
		}
		return fmt.Errorf("cachecontrol: invalidate %q: no response is stored for such a URL", shown.String())
	}
	e := t.start()
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	key += e.partitionOf(req.WithContext(ctx), controlOf(ctx))
	_, err := e.invalidate(ctx, key, 0)
	return errors.Join(err, e.invalidateMethods(ctx, key))
}

// CloseIdleConnections closes those of Base, where it has such a method.
func (t *Transport) CloseIdleConnections() { closeIdle(t, make(map[http.RoundTripper]bool)) }

func (t *Transport) start() *engine {
	t.once.Do(func() { t.engine = newEngine(t) })
	return t.engine
}
