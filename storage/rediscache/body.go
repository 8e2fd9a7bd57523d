package rediscache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var (
	errGone = errors.New("a part of the body is missing")
	errSum  = errors.New("wrong checksum")
)

// chunkedBody reads a body stored in chunks. It keeps one chunk in memory.
//
// The checksum covers the chunks from the first, as long as none is skipped. If it is wrong, the last chunk
// is not returned.
type chunkedBody struct {
	closed atomic.Bool

	cache *cache
	ctx   context.Context // never ends, because the one passed to Get is over
	key   string
	entry *storage.Entry
	part  part

	mu     sync.Mutex // guards the fields below; a body may be read and closed concurrently, as in net/http
	off    int64
	data   []byte // the chunk with number at
	at     int64  // -1 if there is none
	sum    uint32
	summed int64 // sum is the checksum of the chunks before this one
	err    error // returned by all later reads
}

// first reads the first chunk, so that an entry whose body is missing is a miss, not an incomplete response.
func (b *chunkedBody) first(ctx context.Context) error {
	data, err := call(ctx, b.cache, b.part.name, b.fetch(0))
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if err := b.take(0, data); err != nil {
		b.drop()
		return err
	}
	return nil
}

// fetch returns a function that reads a chunk and prevents the body from expiring while it is read.
func (b *chunkedBody) fetch(n int64) func(context.Context) ([]byte, error) {
	client, name := b.cache.client, b.part.name
	return func(ctx context.Context) ([]byte, error) {
		var data *redis.StringCmd
		var left *redis.DurationCmd
		if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			data = p.HGet(ctx, name, strconv.FormatInt(n, 10))
			left = p.PTTL(ctx, name)
			return nil
		}); isWrongType(err) {
			return nil, redis.Nil // there is no such body
		} else if err != nil {
			return nil, err
		}
		if ttl := left.Val(); ttl > 0 && ttl < idle {
			client.PExpire(ctx, name, idle)
		}
		return data.Bytes()
	}
}

// chunk returns the rest of the chunk at off, which must be before the end.
func (b *chunkedBody) chunk() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	n := b.off / b.part.chunk
	if n != b.at {
		b.data, b.at = nil, -1
		// No breaker applies, and the timeout is longer, because the response has already been returned to a
		// caller.
		data, err := callFor(b.ctx, b.cache, patience*b.cache.timeout, new(breaker.Breaker), b.fetch(n))
		if err != nil && !errors.Is(err, redis.Nil) {
			b.err = err
			return nil, err
		}
		if err := b.take(n, data); err != nil {
			b.drop()
			return nil, err
		}
	}
	return b.data[b.off-n*b.part.chunk:], nil
}

// take verifies chunk n and stores it as the current chunk.
func (b *chunkedBody) take(n int64, data []byte) error {
	want := min(b.part.chunk, b.entry.Length-n*b.part.chunk)
	switch {
	case data == nil:
		b.err = unreadable(errGone)
	case int64(len(data)) != want:
		b.err = unreadable(fmt.Errorf("a chunk has %d bytes instead of %d", len(data), want))
	case n == b.summed:
		b.sum = checksum.Update(b.sum, data)
		b.summed++
		if b.summed == b.part.chunks(b.entry.Length) && b.sum != b.entry.Sum {
			b.err = unreadable(errSum)
		}
	}
	if b.err != nil {
		return b.err
	}
	b.data, b.at = data, n
	return nil
}

// drop removes the entry if it still has this body.
func (b *chunkedBody) drop() {
	c := b.cache
	ctx, cancel := context.WithTimeout(b.ctx, c.timeout)
	defer cancel()
	if removed, _ := c.unlink(ctx, c.plain(b.key), b.part.line()); removed {
		call(ctx, c, b.part.name, func(ctx context.Context) (int64, error) { return c.client.Unlink(ctx, b.part.name).Result() })
	}
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err == nil && b.off >= b.entry.Length {
		return 0, io.EOF
	}
	data, err := b.chunk()
	if err != nil {
		return 0, err
	}
	n := copy(p, data)
	b.off += int64(n)
	return n, nil
}

func (b *chunkedBody) WriteTo(w io.Writer) (written int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	for b.err != nil || b.off < b.entry.Length {
		data, err := b.chunk()
		if err != nil {
			return written, err
		}
		n, err := w.Write(data)
		written += int64(n)
		b.off += int64(n)
		if err == nil && n < len(data) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (b *chunkedBody) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytesbody.Seek(&b.off, b.entry.Length, offset, whence)
}

// Close does not wait for a call of Redis that is under way.
func (b *chunkedBody) Close() error {
	b.closed.Store(true)
	if b.mu.TryLock() {
		defer b.mu.Unlock()
		b.data, b.at = nil, -1
	}
	return nil
}
