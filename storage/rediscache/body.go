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

// window is the number of chunks that one call reads or writes. While the reader uses the chunks of one call, the next call is
// made, and while chunks are written, the next ones are received: so a body takes at most twice the window, 2 MiB, and the
// chunk that is being filled. Redis is not asked for the next chunks before readsOn bytes of the body were read, which is more
// than it takes to look at it.
const (
	window  = 4
	readsOn = 32 << 10
)

// keptFor is the least time for which a body is kept after a call has read some of it. The next call is made when up to a window
// of chunks was used, and a reader may take idle for each.
const keptFor = (window + 1) * idle

// chunkedBody reads a body stored in chunks.
//
// The checksum covers the chunks from the first, as long as none is skipped. If it is wrong, the last chunk
// is not returned.
type chunkedBody struct {
	closed atomic.Bool
	end    context.CancelFunc
	key    string
	entry  *storage.Entry
	stored storedChunks

	mu     sync.Mutex // guards the fields below; a body may be read and closed concurrently, as in net/http
	ahead  readAhead
	off    int64
	from   int64  // where the last Seek went
	data   []byte // the chunk with number at
	at     int64  // -1 if there is none
	sum    uint32
	summed int64 // sum is the checksum of the chunks before this one
	err    error // returned by all later reads
}

// storedChunks are the chunks of a body in Redis.
type storedChunks struct {
	cache *cache
	ctx   context.Context // ends with Close of the body, not with the one passed to Get, which is over
	part  part
	count int64
}

// readAhead reads chunks in order, before they are needed.
type readAhead struct {
	ready    [][]byte  // the chunks after the current one that were read
	next     *fetching // the call that reads those after that, or nil
	grow     int64     // number of chunks that the call after that one reads
	unwanted *fetching // the call that a Seek has made useless, or nil
}

// fetching is a call that reads chunks.
type fetching struct {
	done   chan struct{} // closed when the call has returned
	chunks [][]byte
	err    error
}

// newBody returns a body that ends with Close, but not with ctx.
func (c *cache) newBody(ctx context.Context, key string, e *storage.Entry, p part) *chunkedBody {
	b := &chunkedBody{key: key, entry: e, at: -1, ahead: readAhead{grow: 2}, stored: storedChunks{cache: c, part: p, count: p.chunks(e.Length)}}
	b.stored.ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
	return b
}

// first reads the first chunk, so that an entry whose body is missing is a miss, not an incomplete response.
func (b *chunkedBody) first(ctx context.Context) error {
	chunks, err := call(ctx, b.stored.cache, b.stored.part.name, b.stored.fetch(0, 1))
	if err != nil {
		return err
	}
	if err := b.setChunk(0, chunks[0]); err != nil {
		b.drop()
		return err
	}
	return nil
}

// fetch returns a function that reads chunks and prevents the body from expiring while it is read. A chunk that is missing is
// nil.
func (s *storedChunks) fetch(first, count int64) func(context.Context) ([][]byte, error) {
	client, name := s.cache.client, s.part.name
	return func(ctx context.Context) ([][]byte, error) {
		sent := make([]*redis.StringCmd, count)
		var left *redis.DurationCmd
		client.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
			for i := range sent {
				sent[i] = p.HGet(ctx, name, strconv.FormatInt(first+int64(i), 10))
			}
			left = p.PTTL(ctx, name)
			return nil
		})
		chunks := make([][]byte, count)
		for i, cmd := range sent {
			data, err := cmd.Bytes()
			if err != nil && err != redis.Nil && !isWrongType(err) { // of another type: there is no such body
				return nil, err
			}
			if err == nil {
				chunks[i] = data
			}
		}
		if ttl := left.Val(); ttl > 0 && ttl < keptFor {
			client.PExpire(ctx, name, keptFor)
		}
		return chunks, nil
	}
}

// read reads chunks after the response was returned to a caller. So no breaker applies, and the timeout is longer.
func (s *storedChunks) read(first, count int64) ([][]byte, error) {
	return callFor(s.ctx, s.cache, patience*s.cache.timeout, new(breaker.Breaker), s.fetch(first, count))
}

// readOn begins to read the chunks after those that were read, if there are any and no call reads ahead already. at is the
// number of the current chunk.
func (a *readAhead) readOn(stored *storedChunks, at int64) {
	first := at + 1 + int64(len(a.ready))
	count := min(a.grow, stored.count-first)
	if a.next != nil || count <= 0 {
		return
	}
	if a.unwanted != nil {
		select {
		case <-a.unwanted.done:
			a.unwanted = nil
		default:
			return // a reader that seeks must not make more and more calls
		}
	}
	a.grow = min(2*a.grow, window)
	next := &fetching{done: make(chan struct{})}
	a.next = next
	go func() {
		defer close(next.done)
		next.chunks, next.err = stored.read(first, count)
	}()
}

// take returns chunk n, and keeps those that were read with it. at is the number of the current chunk, or -1.
func (a *readAhead) take(stored *storedChunks, n, at int64) (data []byte, err error) {
	if n != at+1 || at < 0 { // after a Seek
		if a.next != nil {
			a.unwanted = a.next
		}
		a.ready, a.next, a.grow = nil, nil, 1
	}
	if len(a.ready) == 0 {
		if next := a.next; next != nil {
			select {
			case <-next.done:
			case <-stored.ctx.Done():
				return nil, http.ErrBodyReadAfterClose
			}
			a.ready, err, a.next = next.chunks, next.err, nil
		} else {
			a.ready, err = stored.read(n, 1)
		}
		if err != nil {
			return nil, err
		}
	}
	data, a.ready = a.ready[0], a.ready[1:]
	return data, nil
}

// chunk returns the rest of the chunk at off, which must be before the end. If on is true, the caller will read on.
func (b *chunkedBody) chunk(on bool) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	n := b.off / b.stored.part.chunk
	if n != b.at {
		data, err := b.ahead.take(&b.stored, n, b.at)
		b.data, b.at = nil, -1
		if err != nil {
			b.err = err
			return nil, err
		}
		if err := b.setChunk(n, data); err != nil {
			b.drop()
			return nil, err
		}
	}
	if on {
		b.ahead.readOn(&b.stored, b.at)
	}
	return b.data[b.off-n*b.stored.part.chunk:], nil
}

// setChunk verifies chunk n and makes it the current one.
func (b *chunkedBody) setChunk(n int64, data []byte) error {
	size := b.stored.part.chunk
	want := min(size, b.entry.Length-n*size)
	switch {
	case data == nil:
		b.err = unreadable(errGone)
	case int64(len(data)) != want:
		b.err = unreadable(fmt.Errorf("a chunk has %d bytes instead of %d", len(data), want))
	case n == b.summed:
		b.sum = checksum.Update(b.sum, data)
		b.summed++
		if b.summed == b.stored.count && b.sum != b.entry.Sum {
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
	c, part := b.stored.cache, &b.stored.part
	ctx, cancel := context.WithTimeout(b.stored.ctx, c.timeout)
	defer cancel()
	if removed, _ := c.unlink(ctx, c.plain(b.key), part.line()); removed {
		call(ctx, c, part.name, func(ctx context.Context) (int64, error) { return c.client.Unlink(ctx, part.name).Result() })
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
	data, err := b.chunk(b.off+int64(len(p)) > b.from+readsOn)
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
		data, err := b.chunk(true)
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
	off, err := bytesbody.Seek(&b.off, b.entry.Length, offset, whence)
	b.from = b.off
	return off, err
}

// Close does not wait for a call of Redis that is under way. That ends with its timeout.
func (b *chunkedBody) Close() error {
	b.closed.Store(true)
	b.end()
	if b.mu.TryLock() {
		defer b.mu.Unlock()
		b.data, b.at, b.ahead = nil, -1, readAhead{}
	}
	return nil
}
