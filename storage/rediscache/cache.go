package rediscache

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Cache keeps entries in Redis. It is a storage.Store and a storage.Watcher.
//
// All methods are safe for concurrent use, by any number of processes. Every method of a nil *Cache, or of one that was
// given no client, returns storage.ErrClosed.
type Cache struct {
	client redis.UniversalClient
	heeds  bool // the client ends its calls with their contexts

	prefix   string
	maxPlain int64
	timeout  time.Duration

	whole breaker.Breaker // of the server, or of what a Cluster's client knows of its servers
	nodes sync.Map        // *breaker.Breaker by address, of the servers of a Cluster
}

// Option sets up a Cache.
type Option func(*Cache)

// Prefix is put before every key. Without one the keys are those of Python's RedisCache, and Clear refuses.
func Prefix(prefix string) Option { return func(c *Cache) { c.prefix = prefix } }

// MaxPlain is the longest body, in bytes, that is kept in one value with its head, as Python's RedisCache has it: Python
// does not see what is longer. n <= 0 leaves the default of 1 MiB.
func MaxPlain(n int64) Option {
	return func(c *Cache) {
		if n > 0 {
			c.maxPlain = min(n, maxMaxPlain)
		}
	}
}

// Timeout is for how long a call of Redis may take. d <= 0 leaves the default of 500 milliseconds.
func Timeout(d time.Duration) Option {
	return func(c *Cache) {
		if d > 0 {
			c.timeout = d
		}
	}
}

const (
	defaultMaxPlain = 1 << 20
	maxMaxPlain     = 256 << 20 // Redis takes 512 MiB in one value

	// chunkSize is how much of a longer body is written, and read, at a time: at 1 ms for a round trip that is 256 MB/s.
	// With its header a chunk fills 256 KiB; the next size that Redis' allocator has is a quarter larger.
	chunkSize = 256<<10 - 64
	maxChunk  = 64 << 20 // of what is read

	defaultTimeout = 500 * time.Millisecond

	// idle is how long a body that belongs to no entry stays: one that is being written, and one that was replaced or
	// deleted. Whoever writes or reads it starts that time anew.
	idle = 10 * time.Minute

	// patience is how many timeouts the reader of a body waits for a chunk: it has an answer to lose.
	patience = 10
)

// New returns a Cache over client, which stays the caller's: the Cache never closes it. One Redis, behind Sentinel or
// not, and a Cluster are all the same to it.
//
// Calls end in time whatever client it is; with ContextTimeoutEnabled set in the client's options that takes no goroutine
// for each.
func New(client redis.UniversalClient, opts ...Option) *Cache {
	c := &Cache{client: client, maxPlain: defaultMaxPlain, timeout: defaultTimeout}
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
	}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	return c
}

// pause is for how long the breaker stays open: a server that does not answer costs a tenth of the time at most.
func (c *Cache) pause() time.Duration { return 10 * c.timeout }

// plain returns the key in Redis under which the entry of a key is. go-redis takes an empty one for none, and a command
// without a key for one that any node of a Cluster can answer.
func (c *Cache) plain(key string) string {
	if plain := c.prefix + key; plain != "" {
		return plain
	}
	return "go-cachecontrol-no-key"
}

func (c *Cache) check(ctx context.Context) error {
	if c == nil || c.client == nil {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// Get returns the entry under key, or an error that wraps storage.ErrNotFound. A body that is kept with its head was
// verified. One in chunks is read as it is asked for, and verified on the way: where it is not the one that was stored,
// or is gone, the read that would complete it returns an *UnreadableError. The body is an io.Seeker and an io.WriterTo.
func (c *Cache) Get(ctx context.Context, key string) (*storage.Response, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	plain := c.plain(key)
	value, err := call(ctx, c, plain, func(ctx context.Context) ([]byte, error) { return c.client.Get(ctx, plain).Bytes() })
	switch {
	case errors.Is(err, redis.Nil):
		return nil, storage.ErrNotFound
	case isWrongType(err):
		return nil, &storage.UnreadableError{Key: key, Err: err}
	case err != nil:
		return nil, err
	}
	p, doc, ok := cutHead(c.prefix, value)
	if !ok {
		return storage.ParseDocument(key, value)
	}
	e, err := parseHead(doc)
	if err != nil {
		return nil, &storage.UnreadableError{Key: key, Err: err}
	}
	e.Stamp = p.name
	b := &body{cache: c, ctx: context.WithoutCancel(ctx), key: key, entry: e, part: p, at: -1}
	if err := b.first(ctx); err != nil {
		return nil, err
	}
	return &storage.Response{Entry: e, Body: b}, nil
}

// maxUpdates is how often Update tries again where others change the same key at the same time.
const maxUpdates = 16

// Update gives the entry under key the head e, if its body is still the one that e was read with. A body in chunks stays
// where it is; a plain one is a part of the value, which is read and written whole.
func (c *Cache) Update(ctx context.Context, key string, e *serialize.Entry) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	own := e.Clone()
	own.Foreign, own.Stamp, own.BodyTime = false, nil, time.Time{}
	for range maxUpdates {
		err := c.change(ctx, key, func(p redis.Pipeliner, value []byte) error { return c.update(ctx, p, key, value, e, own) })
		if err != redis.TxFailedErr {
			return err
		}
	}
	return storage.ErrChanged
}

// update queues what replaces value, the one under key, by one with the head own. e is the entry it was made from.
func (c *Cache) update(ctx context.Context, p redis.Pipeliner, key string, value []byte, e, own *serialize.Entry) error {
	ttl := ttl(own)
	at, doc, ok := cutHead(c.prefix, value)
	if !ok {
		now, err := storage.ParseDocument(key, value)
		if err != nil {
			return err
		}
		if !storage.SameBody(now.Entry, e) {
			return storage.ErrChanged
		}
		_, body, err := serialize.Unmarshal(value)
		if err != nil {
			return err
		}
		doc, err := serialize.Marshal(own, body)
		if err != nil {
			return err
		}
		p.Set(ctx, c.plain(key), doc, ttl)
		return nil
	}
	now, err := parseHead(doc)
	if err != nil {
		return &storage.UnreadableError{Key: key, Err: err}
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

// change reads the value under key and makes what queue asks for, provided that nobody changes the value between the
// two; otherwise it returns redis.TxFailedErr.
func (c *Cache) change(ctx context.Context, key string, queue func(p redis.Pipeliner, value []byte) error) error {
	plain := c.plain(key)
	_, err := call(ctx, c, plain, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.client.Watch(ctx, func(tx *redis.Tx) error {
			value, err := tx.Get(ctx, plain).Bytes()
			switch {
			case err == redis.Nil:
				return answer{storage.ErrNotFound}
			case isWrongType(err):
				return answer{&storage.UnreadableError{Key: key, Err: err}}
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

// Delete removes the entry under key. Whoever is reading its body can go on.
func (c *Cache) Delete(ctx context.Context, key string) error {
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
			err = nil // that of GETRANGE: UNLINK removes anything
		}
		return old, err
	})
	if err == nil {
		c.retire(ctx, plain, old)
	}
	return err
}

// retire lets the body of the head that begins as old go, in a while. Should that fail, the body lives as long as its
// entry was to.
func (c *Cache) retire(ctx context.Context, plain string, old *redis.StringCmd) {
	value, err := old.Bytes()
	if err != nil {
		return
	}
	if p, _, ok := cutHead(c.prefix, value); ok {
		call(ctx, c, plain, func(ctx context.Context) (bool, error) { return c.client.PExpire(ctx, p.name, idle).Result() })
	}
}

// keepBody queues that a body lives as long as its entry, and a little longer for those who have just begun to read it.
func (c *Cache) keepBody(ctx context.Context, p redis.Pipeliner, name string, ttl time.Duration) {
	if ttl == 0 {
		p.Persist(ctx, name)
	} else {
		p.PExpire(ctx, name, ttl+idle)
	}
}

// ttl returns how long an entry can be of use from now on; 0: no end is known.
func ttl(e *serialize.Entry) time.Duration {
	if e.Keep <= 0 {
		return 0
	}
	keep := e.Keep
	if !e.ResponseTime.IsZero() {
		keep -= max(time.Since(e.ResponseTime), 0)
	}
	return min(max(keep, time.Second), math.MaxInt64-idle) // a body is kept for idle longer
}

// Clear removes every key that begins with the prefix. It goes through all keys of the database, by SCAN, which does not
// hold others up; an entry that is stored meanwhile may stay. Without a prefix it returns an error and removes
// nothing: the keys could be anybody's.
//
// It has no deadline but the context's, and each of its calls that of the Cache.
func (c *Cache) Clear(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if c.prefix == "" {
		return errors.New("rediscache: Clear needs a Prefix")
	}
	return c.eachMaster(ctx, func(ctx context.Context, node redis.Cmdable) error {
		for cursor := uint64(0); ; {
			type page struct {
				keys []string
				next uint64
			}
			got, err := callFor(ctx, c, c.timeout, new(breaker.Breaker), func(ctx context.Context) (page, error) {
				keys, next, err := node.Scan(ctx, cursor, glob(c.prefix)+"*", 1000).Result()
				return page{keys, next}, err
			})
			if err == nil && len(got.keys) > 0 {
				_, err = callFor(ctx, c, c.timeout, new(breaker.Breaker), func(ctx context.Context) ([]redis.Cmder, error) {
					return node.Pipelined(ctx, func(p redis.Pipeliner) error {
						for _, key := range got.keys { // one by one: in a Cluster they are in many slots
							p.Unlink(ctx, key)
						}
						return nil
					})
				})
			}
			if err != nil {
				return err
			}
			if cursor = got.next; cursor == 0 {
				return nil
			}
		}
	})
}

// eachMaster calls f for every server that holds keys of its own.
func (c *Cache) eachMaster(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	switch client := c.client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return f(ctx, node) })
	case *redis.Ring:
		return client.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error { return f(ctx, node) })
	}
	return f(ctx, c.client)
}

// glob quotes what has a meaning in a pattern of SCAN.
func glob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}
