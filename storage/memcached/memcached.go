// Package memcached stores responses in memcached servers, through a client of
// github.com/bradfitz/gomemcache.
//
//	client := memcache.New("10.0.0.1:11211", "10.0.0.2:11211")
//	cache := &cachecontrol.Transport{Store: memcached.New(client)}
//
// # What is stored
//
// An entry is one item. Its value is the document that Python's CacheControl passes to its caches. Its key is
// that of the entry, or the SHA-256 of the key if memcached does not allow the key: it has more than 250
// bytes, or contains spaces or control characters. An item expires when its entry can no longer be used, not
// even for validation. memcached removes it earlier if it needs the memory.
//
// memcached does not store items above a limit, 1 MiB unless it is started with another -I. A response that
// does not fit is not stored, and its Status says so. memcached has no transactions either: if two processes
// refresh the same entry at the same time, the later one wins, metadata and body together.
//
// # When memcached fails
//
// A call ends after the client's Timeout, 500 milliseconds by default. If several calls in a row get no answer from a
// server, over two such times, calls for its keys return storage.ErrSuspended at once. After a pause, which grows from
// Timeout to ten times as long, the next call makes the store try a call in the background. Once that is answered, calls
// are made again. A refused connection, or an error reply of a server, suspends nothing.
package memcached

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// DefaultMaxItemBytes is memcached's default limit for an item.
const DefaultMaxItemBytes = 1 << 20

// overhead is the memory that memcached counts for an item in addition to its key and value.
const overhead = 128

// Option configures a store.
type Option func(*values)

// Prefix sets a prefix for every key, so that several caches can share the servers.
func Prefix(prefix string) Option { return func(c *values) { c.prefix = prefix } }

// MaxItemBytes is the servers' limit for an item, which their option -I sets. Zero means DefaultMaxItemBytes. A negative
// value means no limit.
func MaxItemBytes(n int64) Option {
	return func(c *values) {
		if c.maxItem = cmp.Or(n, DefaultMaxItemBytes); n < 0 {
			c.maxItem = math.MaxInt64
		}
	}
}

// Servers sets the selector that the client was created with, which tells the server of a key. It is needed only
// with a version of the client in which this package cannot find the selector.
func Servers(s memcache.ServerSelector) Option { return func(c *values) { c.servers = s } }

// New returns a store that uses client, which the caller must close. It is safe for concurrent use, also by
// several processes. If client is nil, every method returns storage.ErrClosed.
//
// The store implements storage.Leaser with items that expire up to two seconds after the lease should end. A lease does
// not end when its holder dies. It is lost if memcached removes the item for lack of memory.
func New(client *memcache.Client, opts ...Option) storage.Store {
	if client == nil {
		return kv.FromKV(nil)
	}
	c := &values{client: client, maxItem: DefaultMaxItemBytes, servers: selectorOf(client)}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	return &store{kv.FromKV(c), c}
}

// Traits implements storage.Describer.
func (s *store) Traits() (t storage.Traits) {
	s.values.breakers.Range(func(server, b any) bool {
		if b.(*breaker.Breaker).Open() {
			t.Suspended = append(t.Suspended, cmp.Or(server.(string), "memcached"))
		}
		return true
	})
	slices.Sort(t.Suspended)
	return t
}

// leasePrefix begins the keys of leases, after the prefix of all keys. No URL begins like this.
const leasePrefix = "go-cachecontrol-lease:"

// store is a store of documents that implements storage.Leaser.
type store struct {
	storage.Store
	values *values
}

// Lease implements storage.Leaser. The lease is an item with a value that only its holder knows.
func (s *store) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	key, token := leasePrefix+key, rand.Text()
	err = s.values.call(ctx, key, func(key string) error {
		// An item that expires in n seconds does so when memcached's clock ticks for the n-th time.
		ttl := min(max(d, 1), math.MaxInt64-time.Second) + time.Second
		return s.values.client.Add(&memcache.Item{Key: key, Value: []byte(token), Expiration: expiration(ttl, time.Now())})
	})
	switch {
	case errors.Is(err, memcache.ErrNotStored):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return func() { s.values.release(key, token) }, true, nil
}

// release removes the item of a lease if its value is still token. If memcached fails, the item stays until it expires.
func (c *values) release(key, token string) {
	_ = c.call(context.Background(), key, func(key string) error {
		item, err := c.client.Get(key)
		if err != nil || string(item.Value) != token {
			return err
		}
		item.Expiration = -1 // the item expires in the step that compares it
		return c.client.CompareAndSwap(item)
	})
}

// values implements kv.KV with memcached.
type values struct {
	client   *memcache.Client
	prefix   string
	maxItem  int64
	servers  memcache.ServerSelector // nil if unknown
	breakers sync.Map                // the *breaker.Breaker of each server
}

// MaxValueBytes returns the length of the longest value that can be stored.
func (c *values) MaxValueBytes() int64 { return c.maxItem - overhead - longestKey }

func (c *values) Get(ctx context.Context, key string) ([]byte, error) {
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

func (c *values) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if int64(len(value)) > c.MaxValueBytes() {
		return storage.ErrTooLarge
	}
	return c.call(ctx, key, func(key string) error {
		return c.client.Set(&memcache.Item{Key: key, Value: value, Expiration: expiration(ttl, time.Now())})
	})
}

func (c *values) Delete(ctx context.Context, key string) error {
	err := c.call(ctx, key, c.client.Delete)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// call makes one call concerning key, unless its server is suspended.
func (c *values) call(ctx context.Context, key string, f func(key string) error) error {
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
	timeout := c.client.Timeout
	if timeout <= 0 {
		timeout = memcache.DefaultTimeout
	}
	of, ok := c.breakers.Load(server)
	if !ok {
		of, _ = c.breakers.LoadOrStore(server, new(breaker.Breaker))
	}
	b := of.(*breaker.Breaker)
	if !b.Allow(timeout, func() bool {
		_, err := c.client.Get(key)
		return !timedOut(err)
	}) {
		return storage.ErrSuspended
	}
	err := f(key)
	if timedOut(err) {
		b.Failed(timeout)
	} else {
		b.Answered()
	}
	return wrap(err)
}

// timedOut reports whether err means that a server did not answer in time.
func timedOut(err error) bool {
	slow := net.Error(nil)
	return errors.As(err, &slow) && slow.Timeout()
}

// selectorOf returns the selector of a client, or nil if the client has no field for it any more. The client has no method
// that returns it. Without it, a server that hangs would suspend the keys of all servers.
func selectorOf(client *memcache.Client) memcache.ServerSelector {
	f := reflect.ValueOf(client).Elem().FieldByName("selector")
	if f.Kind() != reflect.Interface || f.Type() != reflect.TypeFor[memcache.ServerSelector]() {
		return nil
	}
	return *(*memcache.ServerSelector)(f.Addr().UnsafePointer())
}

// wrap converts an error of the client to the error that a store returns.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case err == memcache.ErrCacheMiss:
		return storage.ErrNotFound
	case strings.Contains(err.Error(), "object too large for cache"): // the client has no error value for this
		return storage.ErrTooLarge
	}
	return fmt.Errorf("memcached: %w", err)
}

const (
	longestKey = 250
	hashed     = "sha256:"
)

// itemKey returns the key of the item for a store's key. If memcached does not allow the key, or the key
// begins like a hashed one, it is hashed.
func itemKey(key string) string {
	forbidden := func(r rune) bool { return r <= ' ' || r == 0x7f }
	if len(key) > 0 && len(key) <= longestKey && !strings.HasPrefix(key, hashed) && strings.IndexFunc(key, forbidden) < 0 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hashed + hex.EncodeToString(sum[:])
}

// expiration converts a ttl for memcached, which takes seconds up to 30 days, and a Unix time beyond.
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
		return 0 // the time does not fit; 0 means no limit
	}
	return int32(at)
}
