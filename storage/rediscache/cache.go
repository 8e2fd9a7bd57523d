package rediscache

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// cache implements storage.Store, storage.Watcher, storage.Leaser, storage.Lister and storage.Describer.
type cache struct {
	client redis.UniversalClient // nil if New was given none
	heeds  bool                  // the client honors contexts

	prefix   string
	maxPlain int64
	timeout  time.Duration

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

// The defaults of the options.
const (
	DefaultMaxPlain = 1 << 20
	DefaultTimeout  = 500 * time.Millisecond
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
// body, one chunk at a time is in memory. It is verified while it is read. Both implement io.Seeker and io.WriterTo.
// The context that is passed to Create applies to all calls of the Writer.
//
// The store implements storage.Watcher with Redis's client-side caching. On a separate connection, every server reports
// each key with the prefix that was changed by any client, including Python's, or that has expired. This requires Redis
// 6, permission for CLIENT TRACKING, and a *redis.Client or a *redis.ClusterClient. If Redis refuses it and has never
// granted it before, Watch returns the error. A connection that breaks is opened again every second. One without an
// answer for 4 seconds is closed.
//
// The store implements storage.Leaser with keys that expire when the lease ends. A lease does not end when its holder
// dies. Redis can lose it when a replica becomes the master. If the answer to Lease is lost, the lease may be held until
// it ends.
//
// Calls honor their timeouts with any client. If ContextTimeoutEnabled is set in the options of the client,
// they need no additional goroutines.
func New(client redis.UniversalClient, opts ...Option) storage.Store {
	c := &cache{client: client, maxPlain: DefaultMaxPlain, timeout: DefaultTimeout}
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

// plain returns the Redis key of an entry. It never returns an empty key: go-redis takes it for no key, and
// sends the command to any node of a Cluster.
func (c *cache) plain(key string) string {
	if plain := c.prefix + key; plain != "" {
		return plain
	}
	return "go-cachecontrol-no-key"
}

// Traits implements storage.Describer.
func (c *cache) Traits() storage.Traits {
	t := storage.Traits{HonorsContexts: true}
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
	value, err := c.read(ctx, c.plain(key))
	if err != nil {
		return nil, err
	}
	p, doc, ok := cutHead(c.prefix, value)
	if !ok {
		e, body, err := document.Parse(value)
		if err != nil {
			return nil, err
		}
		return storage.NewResponse(e, body), nil
	}
	e, err := parseHead(doc)
	if err != nil {
		return nil, unreadable(err)
	}
	e.Stamp = p.name
	b := &body{cache: c, ctx: context.WithoutCancel(ctx), key: key, entry: e, part: p, at: -1}
	if err := b.first(ctx); err != nil {
		return nil, err
	}
	return &storage.Response{Entry: e, Body: b}, nil
}

// firstRead is the number of bytes of a value that are read with the timeout of any other call.
const firstRead = 128 << 10

// read returns the value under a Redis key. The first bytes of a long value show that the server answers, so the rest may
// take longer.
func (c *cache) read(ctx context.Context, plain string) ([]byte, error) {
	value, err := call(ctx, c, plain, func(ctx context.Context) ([]byte, error) {
		return c.client.GetRange(ctx, plain, 0, firstRead-1).Bytes()
	})
	if err == nil && len(value) == firstRead {
		// All of it, because another value may be stored by now.
		value, err = callLong(ctx, c, plain, patience*chunkSize, func(ctx context.Context) ([]byte, error) { return c.client.Get(ctx, plain).Bytes() })
	}
	switch {
	case errors.Is(err, redis.Nil), err == nil && len(value) == 0: // GETRANGE of a missing key returns ""
		return nil, storage.ErrNotFound
	case isWrongType(err):
		return nil, unreadable(err)
	}
	return value, err
}

// maxUpdates is the number of attempts of Update if other clients change the key at the same time.
const maxUpdates = 16

// Update does not touch a body in chunks. Otherwise it reads and writes the whole value.
func (c *cache) Update(ctx context.Context, key string, e *storage.Entry) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	own := e.Clone()
	own.Foreign, own.Stamp, own.BodyTime = false, nil, time.Time{}
	for range maxUpdates {
		err := c.change(ctx, key, 2*e.Length, func(p redis.Pipeliner, value []byte) error { return c.update(ctx, p, key, value, e, own) })
		if err != redis.TxFailedErr {
			return err
		}
	}
	return storage.ErrChanged
}

// update queues commands that replace value, stored under key, by one with the metadata own. e is the entry
// passed to Update.
func (c *cache) update(ctx context.Context, p redis.Pipeliner, key string, value []byte, e, own *storage.Entry) error {
	ttl := ttl(own)
	at, doc, ok := cutHead(c.prefix, value)
	if !ok {
		now, body, err := document.Parse(value)
		if err != nil {
			return err
		}
		if !now.SameBody(e) {
			return storage.ErrChanged
		}
		doc, err := document.Marshal(own, body)
		if err != nil {
			return err
		}
		p.Set(ctx, c.plain(key), doc, ttl)
		return nil
	}
	now, err := parseHead(doc)
	if err != nil {
		return unreadable(err)
	}
	if e.Stamp != any(at.name) {
		return storage.ErrChanged
	}
	own.Length, own.Sum = now.Length, now.Sum
	head, err := appendHead(at, own)
	if err != nil {
		return err
	}
	c.keepBody(ctx, p, at.name, ttl)
	p.Set(ctx, c.plain(key), head, ttl)
	return nil
}

// change reads the value under key and runs the commands that queue adds, both of about n bytes. If the value has changed
// in between, it runs none and returns redis.TxFailedErr.
func (c *cache) change(ctx context.Context, key string, n int64, queue func(p redis.Pipeliner, value []byte) error) error {
	plain := c.plain(key)
	_, err := callLong(ctx, c, plain, max(n, 0), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.client.Watch(ctx, func(tx *redis.Tx) error {
			value, err := tx.Get(ctx, plain).Bytes()
			switch {
			case err == redis.Nil:
				return answer{storage.ErrNotFound}
			case isWrongType(err):
				return answer{unreadable(err)}
			case err != nil:
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				if err := queue(p, value); err != nil {
					return answer{err}
				}
				return nil
			})
			return err
		}, plain)
	})
	return err
}

// Delete removes the entry under key. Its body can still be read to the end.
func (c *cache) Delete(ctx context.Context, key string) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	plain := c.plain(key)
	old, err := call(ctx, c, plain, func(ctx context.Context) (*redis.StringCmd, error) {
		var old *redis.StringCmd
		_, err := c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			old = p.GetRange(ctx, plain, 0, headLine)
			p.Unlink(ctx, plain)
			return nil
		})
		if isWrongType(err) {
			err = nil // from GETRANGE; UNLINK removes any type
		}
		return old, err
	})
	if err == nil {
		c.retire(ctx, plain, old)
	}
	return err
}

// retire makes the body of an old value expire soon. If that fails, the body stays as long as its entry would
// have.
func (c *cache) retire(ctx context.Context, plain string, old *redis.StringCmd) {
	value, err := old.Bytes()
	if err != nil {
		return
	}
	if p, _, ok := cutHead(c.prefix, value); ok {
		call(ctx, c, plain, func(ctx context.Context) (bool, error) { return c.client.PExpire(ctx, p.name, idle).Result() })
	}
}

// keepBody queues a command that makes a body expire with its entry, plus idle for those who have just begun
// to read.
func (c *cache) keepBody(ctx context.Context, p redis.Pipeliner, name string, ttl time.Duration) {
	if ttl == 0 {
		p.Persist(ctx, name)
	} else {
		p.PExpire(ctx, name, ttl+idle)
	}
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
