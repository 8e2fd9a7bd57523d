package rediscache

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	listCount = 64      // keys that SCAN looks at in one call
	listChunk = 8 << 10 // bytes of a value that are read from either end at first; most metadata is shorter
)

// List implements storage.Lister with SCAN on each server. Of a value, it reads the metadata and not the body. If a
// server resizes its table of keys meanwhile, an entry may be listed twice.
func (c *cache) List(ctx context.Context) iter.Seq2[storage.Listed, error] {
	return func(yield func(storage.Listed, error) bool) {
		if err := c.check(ctx); err != nil {
			yield(storage.Listed{}, err)
			return
		}
		nodes, err := c.listNodes(ctx)
		if err != nil && !yield(storage.Listed{}, err) {
			return
		}
		for _, node := range nodes {
			if !c.listNode(ctx, node, yield) {
				return
			}
		}
	}
}

// listedNode is a server whose keys are listed.
type listedNode struct {
	client  redis.Cmdable
	breaker *breaker.Breaker
}

// listNodes returns the servers that have keys.
func (c *cache) listNodes(ctx context.Context) (nodes []listedNode, err error) {
	var mu sync.Mutex
	add := func(_ context.Context, node *redis.Client) error {
		b, _ := c.nodes.LoadOrStore(node.Options().Addr, new(breaker.Breaker))
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, listedNode{node, b.(*breaker.Breaker)})
		return nil
	}
	each := eachServer(c.client)
	if each == nil {
		return []listedNode{{c.client, &c.whole}}, nil
	}
	_, err = callFor(ctx, c, c.timeout, &c.whole, func(ctx context.Context) (struct{}, error) { return struct{}{}, each(ctx, add) })
	mu.Lock() // the call may go on
	defer mu.Unlock()
	return nodes, err
}

// listNode lists the entries of a server. It reports whether to continue.
func (c *cache) listNode(ctx context.Context, node listedNode, yield func(storage.Listed, error) bool) bool {
	type scanned struct {
		keys []string
		next uint64
	}
	pattern := escapePattern(c.prefix) + "*"
	for cursor := uint64(0); ; {
		page, err := callFor(ctx, c, c.timeout, node.breaker, func(ctx context.Context) (scanned, error) {
			keys, next, err := node.client.Scan(ctx, cursor, pattern, listCount).Result()
			return scanned{keys, next}, err
		})
		if err == nil {
			page.keys, err = c.entryKeys(page.keys), ctx.Err()
		}
		var values []*value
		if err == nil && len(page.keys) > 0 {
			values, err = callFor(ctx, c, c.timeout, node.breaker, func(ctx context.Context) ([]*value, error) { return c.readValues(ctx, page.keys) })
		}
		if err != nil {
			return yield(storage.Listed{}, err) && ctx.Err() == nil
		}
		for _, v := range values {
			l, err := c.listed(ctx, v, node.breaker)
			if ended := ctx.Err(); ended != nil {
				yield(storage.Listed{}, ended)
				return false
			}
			if (l.Entry != nil || err != nil) && !yield(l, err) {
				return false
			}
		}
		if cursor = page.next; cursor == 0 {
			return true
		}
	}
}

// entryKeys returns the keys that may be those of entries.
func (c *cache) entryKeys(all []string) []string {
	keys := all[:0]
	for _, key := range all {
		if isEntryName(c.prefix, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// value is a value in Redis, of which the first and the last bytes are known. It implements io.ReaderAt, which reads the
// other bytes when they are needed.
type value struct {
	key         string
	size        int64
	first, last []byte
	read        func(off int64, n int) ([]byte, error)
}

// readValues reads the values of the keys that have one.
func (c *cache) readValues(ctx context.Context, keys []string) (values []*value, err error) {
	type commands struct {
		size        *redis.IntCmd
		first, last *redis.StringCmd
	}
	sent := make([]commands, len(keys))
	c.client.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
		for i, key := range keys {
			sent[i] = commands{p.StrLen(ctx, key), p.GetRange(ctx, key, 0, listChunk-1), p.GetRange(ctx, key, -listChunk, -1)}
		}
		return nil
	})
	for i, s := range sent {
		err := cmp.Or(s.size.Err(), s.first.Err(), s.last.Err())
		switch size := s.size.Val(); {
		case isWrongType(err):
		case err != nil:
			return nil, err
		case size > 0:
			values = append(values, &value{key: keys[i], size: size, first: []byte(s.first.Val()), last: []byte(s.last.Val())})
		}
	}
	return values, nil
}

func (v *value) ReadAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	switch start := v.size - int64(len(v.last)); {
	case end <= int64(len(v.first)):
		return copy(p, v.first[off:]), nil
	case off >= start && end <= v.size:
		return copy(p, v.last[off-start:]), nil
	}
	data, err := v.read(off, len(p))
	if err != nil {
		return 0, err
	}
	if n := copy(p, data); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

// readRange returns a function that reads bytes of a value.
func (c *cache) readRange(ctx context.Context, key string, b *breaker.Breaker) func(off int64, n int) ([]byte, error) {
	return func(off int64, n int) ([]byte, error) {
		return callFor(ctx, c, c.timeout, b, func(ctx context.Context) ([]byte, error) {
			return c.client.GetRange(ctx, key, off, off+int64(n)-1).Bytes()
		})
	}
}

// listed returns the entry of a value as storage.Lister returns it, or the zero value if there is no usable one.
func (c *cache) listed(ctx context.Context, v *value, b *breaker.Breaker) (l storage.Listed, err error) {
	v.read = c.readRange(ctx, v.key, b)
	l = storage.Listed{Key: c.keyOf(v.key), Size: v.size}
	if strings.HasPrefix(string(v.first[:min(len(v.first), len(headMagic))]), headMagic) {
		whole := v.first
		if v.size > int64(len(whole)) {
			if whole, err = v.read(0, int(v.size)); err != nil {
				return storage.Listed{}, err
			}
		}
		if _, doc, ok := cutHead(c.prefix, whole); ok {
			if e, err := parseHead(doc); err == nil {
				l.Entry = e
				l.Size += e.Length
				return l, nil
			}
		}
		return storage.Listed{}, nil
	}
	e, _, length, err := document.Decode(v, v.size)
	var syntax *document.SyntaxError
	switch {
	case errors.Is(err, document.ErrVersion), errors.As(err, &syntax), err == nil && document.Settle(e, length) != nil:
		return storage.Listed{}, nil // damaged, or of another program
	case err != nil:
		return storage.Listed{}, err
	}
	l.Entry = e
	return l, nil
}
