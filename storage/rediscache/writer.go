package rediscache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var errEnded = errors.New("rediscache: write after Commit or Abort")

func (c *cache) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	if _, err := c.allow(ctx, c.plain(key)); err != nil {
		return nil, err
	}
	w := &writer{cache: c, ctx: ctx, key: key, entry: e}
	if e.Length > c.maxPlain {
		w.inChunks()
	} else if e.Length > 0 {
		w.buf = make([]byte, 0, min(e.Length, chunkSize))
	}
	return w, nil
}

// writer buffers a body in buf. If the body is too long to be stored with its metadata, full chunks are moved
// from buf to Redis.
type writer struct {
	cache *cache
	ctx   context.Context
	key   string
	entry *storage.Entry // the caller's entry, some fields of which may be set until Commit; see Store.Create
	part  part           // where the chunks are; the name is empty if there are none
	moved int64          // number of chunks that were written, or are in flying
	buf   []byte
	full  [][]byte // chunks after those
	free  [][]byte // buffers of chunks that were written

	flying *flying // nil if no chunks are being written
	n      int64   // length of the body
	sum    uint32
	err    error // returned by all later calls
	ended  bool
}

func (w *writer) inChunks() {
	w.part = part{newBodyName(w.cache.prefix, w.cache.plain(w.key)), chunkSize}
	if cap(w.buf) == 0 {
		w.buf = make([]byte, 0, chunkSize)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	switch {
	case w.ended:
		return 0, errEnded
	case w.err != nil:
		return 0, w.err
	}
	for rest := p; len(rest) > 0; {
		// The buffer never holds more than one chunk, or a body that can be stored with its metadata.
		room := chunkSize - len(w.buf)
		if w.part.name == "" {
			room = int(w.cache.maxPlain) - len(w.buf)
		}
		n := min(len(rest), room)
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
		if len(rest) == 0 {
			break
		}
		if w.part.name == "" {
			w.inChunks()
		}
		if w.move(false); w.err != nil {
			return 0, w.err
		}
	}
	w.n += int64(len(p))
	w.sum = checksum.Update(w.sum, p)
	return len(p), nil
}

// move begins to write full chunks to Redis. If all is true, it writes the rest, too, and waits until everything is written.
func (w *writer) move(all bool) {
	for buf := w.buf; ; {
		n := min(len(buf), chunkSize)
		if n < chunkSize && !(all && n > 0) {
			w.buf = append(w.empty(), buf...)
			break
		}
		w.full = append(w.full, buf[:n:n])
		buf = buf[n:]
	}
	for w.err == nil {
		w.send()
		if len(w.full) < window && (!all || len(w.full) == 0 && w.flying == nil) {
			break
		}
		w.await()
	}
	if w.err != nil {
		w.buf, w.full, w.free = nil, nil, nil // the client may still be reading them
	}
}

// empty returns an empty buffer for a chunk.
func (w *writer) empty() []byte {
	if n := len(w.free); n > 0 {
		buf := w.free[n-1]
		w.free = w.free[:n-1]
		return buf[:0]
	}
	return make([]byte, 0, chunkSize)
}

// send writes the full chunks, unless others are being written.
func (w *writer) send() {
	if w.flying != nil {
		select {
		case <-w.flying.done:
			w.await()
		default:
			return
		}
	}
	if w.err != nil || len(w.full) == 0 {
		return
	}
	f := &flying{chunks: w.full, done: make(chan struct{})}
	w.flying, w.full = f, nil
	first := w.moved
	w.moved += int64(len(f.chunks))
	go func() {
		defer close(f.done)
		f.err = w.cache.writeChunks(w.ctx, w.part.name, first, f.chunks)
	}()
}

// await waits until the chunks that are being written are.
func (w *writer) await() {
	f := w.flying
	if f == nil {
		return
	}
	<-f.done
	w.flying = nil
	if f.err != nil {
		w.err = f.err
		return
	}
	for _, chunk := range f.chunks {
		if cap(chunk) == chunkSize && len(w.free) < 2*window {
			w.free = append(w.free, chunk)
		}
	}
}

// flying is a call that writes chunks.
type flying struct {
	chunks [][]byte
	done   chan struct{} // closed when the call has returned
	err    error
}

// writeChunks writes chunks, in a transaction, so that every chunk expires even if the process or its connection ends at any
// time.
func (c *cache) writeChunks(ctx context.Context, name string, first int64, chunks [][]byte) error {
	fields := make([]any, 0, 2*len(chunks))
	for i, chunk := range chunks {
		fields = append(fields, strconv.FormatInt(first+int64(i), 10), chunk)
	}
	have, err := callLong(ctx, c, name, int64(len(chunks)-1)*chunkSize, func(ctx context.Context) (int64, error) {
		var have *redis.IntCmd
		_, err := c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, name, fields...)
			p.PExpire(ctx, name, idle)
			have = p.HLen(ctx, name)
			return nil
		})
		if err != nil {
			return 0, err
		}
		return have.Val(), nil
	})
	if err != nil {
		return err
	}
	if want := first + int64(len(chunks)); have != want {
		return fmt.Errorf("rediscache: Redis has removed chunks of the body: %d of %d are left", have, want)
	}
	return nil
}

// Written implements storage.RereadingWriter. The reader keeps one chunk in memory.
func (w *writer) Written() (io.Reader, error) {
	for w.err == nil && (len(w.full) > 0 || w.flying != nil) {
		w.send()
		w.await()
	}
	switch {
	case w.ended:
		return nil, errEnded
	case w.err != nil:
		return nil, w.err
	}
	chunks := &storedChunks{cache: w.cache, part: w.part}
	all := make([]io.Reader, 0, w.moved+1)
	for i := range w.moved {
		all = append(all, &chunkReader{ctx: w.ctx, stored: chunks, number: i})
	}
	return io.MultiReader(append(all, bytes.NewReader(w.buf))...), nil
}

// chunkReader reads a chunk from Redis when it is needed.
type chunkReader struct {
	ctx    context.Context
	stored *storedChunks
	number int64
	chunk  *bytes.Reader // nil until it was read
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if r.chunk == nil {
		chunks, err := call(r.ctx, r.stored.cache, r.stored.part.name, r.stored.fetch(r.number, 1))
		if err != nil {
			return 0, err
		}
		if chunks[0] == nil {
			return 0, unreadable(errGone)
		}
		r.chunk = bytes.NewReader(chunks[0])
	}
	n, err := r.chunk.Read(p)
	if err == io.EOF {
		r.chunk.Reset(nil)
	}
	return n, err
}

func (w *writer) Commit() error { return w.CommitIf(nil) }

// CommitIf implements storage.ComparingWriter.
func (w *writer) CommitIf(may func(now *storage.Entry) bool) error {
	switch {
	case w.ended:
		return errEnded
	case w.err != nil:
		w.end()
		return w.err
	}
	own := w.entry.Clone()
	own.Foreign, own.Stamp, own.BodyTime = false, nil, time.Time{}
	own.Length, own.Sum = w.n, w.sum
	var value []byte
	var err error
	if w.moved == 0 && w.n <= w.cache.maxPlain {
		w.part = part{}
		value, err = document.Marshal(own, w.buf)
	} else if w.move(true); w.err != nil {
		err = w.err
	} else {
		value, err = appendHead(w.part, own)
	}
	if err == nil {
		s := storing{key: w.key, entry: own, head: value, body: w.part.name, ttl: ttl(own)}
		if may == nil {
			err = w.cache.put(w.ctx, &s)
		} else {
			err = w.cache.putIf(w.ctx, &s, may)
		}
	}
	if err != nil {
		w.end()
		return err
	}
	w.ended, w.buf, w.free = true, nil, nil
	return nil
}

func (w *writer) Abort() error {
	if !w.ended {
		w.end()
	}
	return nil
}

// end discards the body, also if the context is canceled, but not after its deadline. If that fails, the body expires later.
func (w *writer) end() {
	w.await()
	w.ended, w.buf, w.full, w.free = true, nil, nil, nil
	if w.part.name == "" {
		return
	}
	ctx := context.WithoutCancel(w.ctx)
	if deadline, ok := w.ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if ctx.Err() != nil {
		return
	}
	name, client := w.part.name, w.cache.client
	call(ctx, w.cache, name, func(ctx context.Context) (int64, error) {
		return client.Unlink(ctx, name).Result()
	})
}
