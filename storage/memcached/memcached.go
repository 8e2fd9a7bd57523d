// Package memcached keeps stored responses in memcached servers, through a client of github.com/bradfitz/gomemcache.
//
//	client := memcache.New("10.0.0.1:11211", "10.0.0.2:11211")
//	cache := &cachecontrol.Transport{Store: memcached.New(client)}
//
// # What is stored
//
// An entry is one item: the document that Python's CacheControl gives its caches, under the key itself, or under the
// key's SHA-256 where memcached forbids the key: it takes 250 bytes, and neither spaces nor control characters. An item
// ends when its entry can be of no more use, not even validated, and whenever memcached needs the room.
//
// memcached keeps no item above its limit, 1 MiB unless it is started with another -I. A response that does not fit is
// not stored, and its Status says so. It has no transactions either: where two processes refresh the same entry at the same
// time the later one wins, head and body together.
//
// # When memcached fails
//
// A call ends after the client's Timeout, 500 milliseconds by default. After a call that got no answer in that time calls
// return storage.ErrSuspended at once, for ten times as long; then one call is let through, and the others only once that
// one was answered. A connection that is refused, or an error that a server answers with, suspends nothing.
package memcached

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// defaultItemBytes is memcached's own limit for an item.
const defaultItemBytes = 1 << 20

// overhead is what memcached counts for an item beside key and value.
const overhead = 128

// Option sets up a store.
type Option func(*kv)

// Prefix goes before every key, so that several caches can share the servers.
func Prefix(prefix string) Option { return func(c *kv) { c.prefix = prefix } }

// MaxItemBytes is the servers' limit for an item, their option -I; n <= 0 leaves the default of 1 MiB.
func MaxItemBytes(n int64) Option {
	return func(c *kv) {
		if n > 0 {
			c.maxItem = n
		}
	}
}

// Servers tells which server a key is on, for a client that was made with this selector: one that does not answer then
// suspends its own keys only, and not those of the others.
func Servers(s memcache.ServerSelector) Option { return func(c *kv) { c.servers = s } }

// New returns a store over client, which stays the caller's to close. It is safe for concurrent use, by several processes
// too. Where client is nil every method returns storage.ErrClosed.
func New(client *memcache.Client, opts ...Option) storage.Store {
	if client == nil {
		return storage.FromKV(nil)
	}
	c := &kv{client: client, maxItem: defaultItemBytes}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	return storage.FromKV(c)
}

// kv is memcached as a storage.KV.
type kv struct {
	client   *memcache.Client
	prefix   string
	maxItem  int64
	servers  memcache.ServerSelector // nil: not known
	breakers sync.Map                // a *breaker.Breaker for each server
}

// MaxValueBytes returns the size of the longest value that is kept.
func (c *kv) MaxValueBytes() int64 { return c.maxItem - overhead - longestKey }

func (c *kv) Get(ctx context.Context, key string) ([]byte, error) {
	var item *memcache.Item
	err := c.call(ctx, key, func(key string) (err error) {
		item, err = c.client.Get(key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return item.Value, nil
}

func (c *kv) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if int64(len(value)) > c.MaxValueBytes() {
		return storage.ErrTooLarge
	}
	return c.call(ctx, key, func(key string) error {
		return c.client.Set(&memcache.Item{Key: key, Value: value, Expiration: expiration(ttl, time.Now())})
	})
}

func (c *kv) Delete(ctx context.Context, key string) error {
	err := c.call(ctx, key, c.client.Delete)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// call makes one call about key, unless its server is suspended.
func (c *kv) call(ctx context.Context, key string, f func(key string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	key = itemKey(c.prefix + key)
	server := ""
	if c.servers != nil {
		if addr, err := c.servers.PickServer(key); err == nil {
			server = addr.String()
		}
	}
	pause := 10 * c.client.Timeout
	if pause <= 0 {
		pause = 10 * memcache.DefaultTimeout
	}
	of, _ := c.breakers.LoadOrStore(server, new(breaker.Breaker))
	b := of.(*breaker.Breaker)
	if !b.Allow(time.Now(), pause) {
		return storage.ErrSuspended
	}
	err := f(key)
	if slow := net.Error(nil); errors.As(err, &slow) && slow.Timeout() {
		b.Failed(time.Now(), pause)
	} else {
		b.Answered()
	}
	return wrap(err)
}

// wrap gives an error of the client the form that stores return.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case err == memcache.ErrCacheMiss:
		return storage.ErrNotFound
	case strings.Contains(err.Error(), "object too large for cache"): // the client has no error of its own for it
		return storage.ErrTooLarge
	}
	return fmt.Errorf("memcached: %w", err)
}

const (
	longestKey = 250
	hashed     = "sha256:"
)

// itemKey returns the key of the item for a store's key. What memcached forbids is hashed, and so is what could be taken
// for such a hash.
func itemKey(key string) string {
	forbidden := func(r rune) bool { return r <= ' ' || r == 0x7f }
	if len(key) > 0 && len(key) <= longestKey && !strings.HasPrefix(key, hashed) && strings.IndexFunc(key, forbidden) < 0 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hashed + hex.EncodeToString(sum[:])
}

// expiration returns what memcached is told of a ttl. Up to 30 days it takes seconds, and the time itself beyond.
func expiration(ttl time.Duration, now time.Time) int32 {
	const month = 30 * 24 * time.Hour
	switch {
	case ttl <= 0:
		return 0
	case ttl <= month:
		return int32((ttl + time.Second - 1) / time.Second)
	}
	at := now.Add(ttl).Unix()
	if at > math.MaxInt32 {
		return 0 // no end is nearer to it than any that can be said
	}
	return int32(at)
}
