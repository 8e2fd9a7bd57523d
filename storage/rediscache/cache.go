package rediscache

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// cache implements storage.Store, storage.Comparer, storage.Watcher, storage.Leaser, storage.Lister and storage.Describer.
type cache struct {
	client redis.UniversalClient // nil if New was given none
	heeds  bool                  // the client honors contexts

	prefix   string
	maxPlain int64
	timeout  time.Duration
	interval time.Duration // of Watch; negative if there are no notifications

	unsent changes
	held   held

	parsed    memory
	slowUntil atomic.Int64 // until when long values are read in two pieces; see slowFor

	whole breaker.Breaker // of the server, or of the client's lookups of servers
	nodes sync.Map        // *breaker.Breaker of each server of a Cluster or Ring, by address
}

// Option configures a store.
type Option func(*cache)

// Prefix sets a prefix for every key. Without a prefix, the keys are those of Python's RedisCache.
func Prefix(prefix string) Option { return func(c *cache) { c.prefix = prefix } }

// MaxPlain sets the length, in bytes, of the longest body that is stored in one value with its metadata, as
// Python's RedisCache does. Python does not see longer entries. Zero means DefaultMaxPlain. A negative value means no
// limit but that of a value in Redis.
func MaxPlain(n int64) Option {
	return func(c *cache) {
		if c.maxPlain = cmp.Or(n, DefaultMaxPlain); n < 0 || n > maxMaxPlain {
			c.maxPlain = maxMaxPlain
		}
	}
}

// Timeout limits the time of each call of Redis. Zero means DefaultTimeout. A negative value means no limit.
func Timeout(d time.Duration) Option {
	return func(c *cache) {
		if c.timeout = cmp.Or(d, DefaultTimeout); d < 0 {
			c.timeout = noTimeout
		}
	}
}

// WatchInterval sets how often Watch asks Redis what was changed. Zero means DefaultWatchInterval. A negative value means
// that the store neither watches nor tells others what it changes.
func WatchInterval(d time.Duration) Option {
	return func(c *cache) { c.interval = cmp.Or(d, DefaultWatchInterval) }
}

// The defaults of the options.
const (
	DefaultMaxPlain      = 1 << 20
	DefaultTimeout       = 500 * time.Millisecond
	DefaultWatchInterval = 100 * time.Millisecond
)

const (
	maxMaxPlain = 256 << 20 // half of Redis's limit of 512 MiB for a value

	// chunkSize is the number of bytes of a longer body that are written or read at a time. With a round trip
	// of 1 ms, that is 256 MB/s. With its header a chunk fills 256 KiB; the next larger size of Redis's
	// allocator is a quarter larger.
	chunkSize = 256<<10 - 64
	maxChunk  = 64 << 20 // accepted when reading

	noTimeout = math.MaxInt64 / (2 * patience) // a multiple of it must not overflow

	// idle is the time after which a body without an entry expires: one that is being written, or whose entry
	// was replaced or deleted. Every read and write starts the time again.
	idle = 10 * time.Minute

	// patience is the number of timeouts that the reader of a body waits for a chunk, because an error would
	// spoil a response that has already been returned.
	patience = 10
)

// New returns a store that uses client, which may be for a single server, Sentinel or a Cluster. The caller must close
// the client. The store is safe for concurrent use, also by several processes. If client is nil, every method returns
// storage.ErrClosed.
//
// A body that is stored with its metadata is buffered while it is written, and verified before Get returns. Of a longer
// body, 2 MiB are in memory while it is written or read. It is verified while it is read. Both implement io.Seeker and io.WriterTo.
// The context that is passed to Create applies to all calls of the Writer.
//
// The store implements storage.Watcher with a value in Redis in which all processes that use this package record what they
// change, once in ten milliseconds, while one of them watches. Watch reads the new part of it at the WatchInterval. It
// reports an entry that this store has returned since it was last reported. It does not report what Python or any other
// program changes. If it cannot read the value for two seconds, everything may have changed. If Redis refuses the first read,
// Watch returns the error.
//
// The store implements storage.Leaser with keys that expire when the lease ends. A lease does not end when its holder
// dies. Redis can lose it when a replica becomes the master. If the answer to Lease is lost, the lease may be held until
// it ends.
//
// Calls honor their timeouts with any client. If ContextTimeoutEnabled is set in the options of the client,
// they need no additional goroutines.
func New(client redis.UniversalClient, opts ...Option) storage.Store {
	c := &cache{client: client, maxPlain: DefaultMaxPlain, timeout: DefaultTimeout, interval: DefaultWatchInterval}
	switch client := client.(type) {
	case *redis.Client:
		if client == nil {
			c.client = nil
			break
		}
		c.heeds = client.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		if client == nil {
			c.client = nil
			break
		}
		c.heeds = client.Options().ContextTimeoutEnabled
	case *redis.Ring:
		if client == nil {
			c.client = nil
			break
		}
		c.heeds = client.Options().ContextTimeoutEnabled
	}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	return c
}

// Traits implements storage.Describer.
func (c *cache) Traits() storage.Traits {
	t := storage.Traits{HonorsContexts: true, Notices: true}
	if c.whole.Open() {
		name := "redis"
		if client, ok := c.client.(*redis.Client); ok {
			name = client.Options().Addr
		}
		t.Suspended = append(t.Suspended, name)
	}
	c.nodes.Range(func(addr, b any) bool {
		if b.(*breaker.Breaker).Open() {
			t.Suspended = append(t.Suspended, addr.(string))
		}
		return true
	})
	slices.Sort(t.Suspended)
	return t
}

func (c *cache) check(ctx context.Context) error {
	if c.client == nil {
		return storage.ErrClosed
	}
	return ctx.Err()
}

func (c *cache) Get(ctx context.Context, key string) (*storage.Response, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	plain := c.plain(key)
	now := c.held.begin(plain)
	if _, v := c.parsed.last(plain); v.size > firstRead && time.Now().UnixNano() > c.slowUntil.Load() {
		value, err := call(ctx, c, plain, func(ctx context.Context) ([]byte, error) { return c.client.Get(ctx, plain).Bytes() })
		if isAnswer(err) || ctx.Err() != nil {
			return c.open(ctx, key, plain, now, nil, value, err)
		}
		c.slowUntil.Store(time.Now().Add(slowFor).UnixNano())
	}
	first, err := call(ctx, c, plain, func(ctx context.Context) ([]byte, error) {
		return c.client.GetRange(ctx, plain, 0, firstRead-1).Bytes()
	})
	return c.open(ctx, key, plain, now, nil, first, err)
}

// slowFor is the time for which long values are read in two pieces after one that was known to be long did not arrive in one piece
// before the timeout.
const slowFor = time.Minute

// firstRead is the number of bytes of a value that are read with the timeout of any other call. They show that the server
// answers, so the rest may take longer.
const firstRead = 128 << 10

// open returns the entry under key. plain is its Redis key. first are at least firstRead bytes of its value, or all of it, or err is
// the error of reading them. If the entry has the body of known in chunks, no body is returned.
func (c *cache) open(ctx context.Context, key, plain string, now reading, known *storage.Entry, first []byte, err error) (*storage.Response, error) {
	r, err := c.openFrom(ctx, key, plain, known, first, err)
	if err == nil {
		c.held.add(key, now)
	}
	return r, err
}

func (c *cache) openFrom(ctx context.Context, key, plain string, known *storage.Entry, first []byte, err error) (*storage.Response, error) {
	more := err == nil && len(first) == firstRead
	if more {
		first, err = c.rest(ctx, plain, first)
	}
	value, err := checkValue(first, err)
	e, v, body, err := c.parse(plain, value, err)
	if more && (errors.Is(err, storage.ErrUnreadable) || err == nil && (e.Foreign || v.part.name != "")) {
		// The rest may be of another value, which has been stored meanwhile. Only the checksums of our documents show that.
		value, err = c.wholeValue(ctx, plain)
		e, v, body, err = c.parse(plain, value, err)
	}
	if err != nil {
		return nil, err
	}
	if v.part.name == "" {
		return storage.NewResponse(e, body), nil
	}
	if known != nil {
		if was, ok := known.Stamp.(version); ok && was.part == v.part {
			return &storage.Response{Entry: e}, nil
		}
	}
	b := c.newBody(ctx, key, e, v.part)
	if err := b.first(ctx); err != nil {
		return nil, err
	}
	return &storage.Response{Entry: e, Body: b}, nil
}

// rest returns a value whose first bytes were read.
func (c *cache) rest(ctx context.Context, plain string, first []byte) ([]byte, error) {
	rest, err := callLong(ctx, c, plain, patience*chunkSize, func(ctx context.Context) ([]byte, error) {
		return c.client.GetRange(ctx, plain, firstRead, -1).Bytes()
	})
	return slices.Concat(first, rest), err
}

// wholeValue returns the value under a Redis key, which may be long.
func (c *cache) wholeValue(ctx context.Context, plain string) ([]byte, error) {
	return checkValue(callLong(ctx, c, plain, patience*chunkSize, func(ctx context.Context) ([]byte, error) { return c.client.Get(ctx, plain).Bytes() }))
}

// checkValue returns a value, or the error that the store returns if there is none.
func checkValue(value []byte, err error) ([]byte, error) {
	switch {
	case errors.Is(err, redis.Nil), err == nil && len(value) == 0: // GETRANGE of a missing key returns ""
		return nil, storage.ErrNotFound
	case isWrongType(err):
		return nil, unreadable(err)
	}
	return value, err
}

// parse returns the entry of the value under a Redis key, with its version as the Stamp, and its body if that is in the value.
func (c *cache) parse(plain string, value []byte, err error) (e *storage.Entry, v version, body []byte, _ error) {
	if err != nil {
		return nil, version{}, nil, err
	}
	if e, v, body = c.parsed.get(plain, value); e != nil {
		return e, v, body, nil
	}
	v = versionOf(value)
	if p, doc, ok := cutHead(c.prefix, value); ok {
		if e, err = parseHead(doc); err != nil {
			return nil, version{}, nil, unreadable(err)
		}
		v.part, v.offset = p, int64(len(value))
	} else if e, v.offset, v.length, err = document.Locate(value); err != nil {
		return nil, version{}, nil, err
	}
	if !e.Foreign {
		e.Stamp = v
	}
	c.parsed.put(plain, value, e, v)
	end := v.offset + v.length
	return e, v, value[v.offset:end:end], nil
}

// maxUpdates is the number of attempts of Update if other clients change the key at the same time.
const maxUpdates = 16

// Update replaces the metadata, and leaves the body where it is.
func (c *cache) Update(ctx context.Context, key string, e *storage.Entry) error {
	return c.UpdateIf(ctx, key, e, nil)
}

// UpdateIf implements storage.Comparer. The metadata is replaced only if it is still that of the entry that may was called with.
func (c *cache) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	plain := c.plain(key)
	own := e.Clone()
	own.Foreign, own.Stamp, own.BodyTime = false, nil, time.Time{}
	var known *storage.Entry // to which may has said no
	if v, ok := e.Stamp.(version); ok {
		last, of := c.parsed.last(plain)
		if last != nil && of != v {
			last = nil
		}
		if known = last; may == nil || last != nil && may(last) {
			known = nil
			if err := c.replace(ctx, key, own, &v); err != storage.ErrChanged {
				return err
			}
		}
	}
	for range maxUpdates {
		// Perhaps only the metadata has changed.
		value, err := c.wholeValue(ctx, plain)
		now, v, body, err := c.parse(plain, value, err)
		was, _ := e.Stamp.(version)
		if err == storage.ErrNotFound || err == nil && v.part.name != was.part.name {
			c.retireBody(ctx, was.part.name) // replace may have kept it
		}
		if err != nil {
			return err
		}
		if v.part.name != was.part.name && v.part.name != "" || v.part.name == "" && !now.SameBody(e) || may != nil && (now == known || !may(now)) {
			return storage.ErrChanged
		}
		own.Length, own.Sum = now.Length, now.Sum
		if now.Foreign {
			own.Sum = checksum.Sum(body)
		}
		if err := c.replace(ctx, key, own, &v); err != storage.ErrChanged {
			return err
		}
	}
	return storage.ErrChanged
}

// replace replaces the metadata of the entry whose value has this version.
func (c *cache) replace(ctx context.Context, key string, own *storage.Entry, v *version) (err error) {
	s := storing{key: key, entry: own, body: v.part.name, replaces: v, takes: true, ttl: ttl(own)}
	if v.part.name != "" {
		s.head, err = appendHead(v.part, own)
	} else if s.head, err = document.AppendHead(nil, own); err == nil {
		s.tail, err = document.AppendTail(nil, own, checksum.Sum(s.head[:len(s.head)-4]))
	}
	if err != nil {
		return err
	}
	return c.put(ctx, &s)
}

// ttl returns how long an entry can be used from now on, or zero if there is no limit.
func ttl(e *storage.Entry) time.Duration {
	if e.Keep <= 0 {
		return 0
	}
	keep := e.Keep
	if !e.ResponseTime.IsZero() {
		keep -= max(time.Since(e.ResponseTime), 0)
	}
	return min(max(keep, time.Second), math.MaxInt64-idle) // so that idle can be added
}
