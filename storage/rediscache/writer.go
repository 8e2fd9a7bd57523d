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
	moved int64          // number of chunks written
	buf   []byte
	n     int64 // length of the body
	sum   uint32
	err   error // returned by all later calls
	ended bool
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

// move writes full chunks to Redis. If all is true, it also writes the rest.
func (w *writer) move(all bool) {
	buf := w.buf
	for len(buf) >= chunkSize || all && len(buf) > 0 {
		n := min(len(buf), chunkSize)
		if err := w.writeChunk(buf[:n]); err != nil {
			w.err, w.buf = err, nil // the client may still be reading the buffer
			return
		}
		buf = buf[n:]
	}
	if cap(w.buf) > chunkSize {
		w.buf = make([]byte, 0, chunkSize)
	}
	w.buf = append(w.buf[:0], buf...)
}

// writeChunk writes one chunk, in a transaction, so that every chunk expires even if the process or its
// connection ends at any time.
func (w *writer) writeChunk(chunk []byte) error {
	client, name, number := w.cache.client, w.part.name, w.moved
	have, err := call(w.ctx, w.cache, name, func(ctx context.Context) (int64, error) {
		var have *redis.IntCmd
		_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, name, strconv.FormatInt(number, 10), chunk)
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
	w.moved++
	if have != w.moved {
		return fmt.Errorf("rediscache: Redis has removed chunks of the body: %d of %d are left", have, w.moved)
	}
	return nil
}

// Written implements storage.RereadingWriter. The reader keeps one chunk in memory.
func (w *writer) Written() (io.Reader, error) {
	switch {
	case w.ended:
		return nil, errEnded
	case w.err != nil:
		return nil, w.err
	}
	chunks := &chunkedBody{cache: w.cache, part: w.part}
	all := make([]io.Reader, 0, w.moved+1)
	for i := range w.moved {
		all = append(all, &chunkReader{ctx: w.ctx, body: chunks, number: i})
	}
	return io.MultiReader(append(all, bytes.NewReader(w.buf))...), nil
}

// chunkReader reads a chunk from Redis when it is needed.
type chunkReader struct {
	ctx    context.Context
	body   *chunkedBody
	number int64
	chunk  *bytes.Reader // nil until it was read
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if r.chunk == nil {
		data, err := call(r.ctx, r.body.cache, r.body.part.name, r.body.fetch(r.number))
		if err != nil {
			return 0, err
		}
		r.chunk = bytes.NewReader(data)
	}
	n, err := r.chunk.Read(p)
	if err == io.EOF {
		r.chunk.Reset(nil)
	}
	return n, err
}

func (w *writer) Commit() error {
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
		err = w.cache.put(w.ctx, &storing{key: w.key, entry: own, head: value, body: w.part.name, ttl: ttl(own)})
	}
	if err != nil {
		w.end()
		return err
	}
	w.ended, w.buf = true, nil
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
	w.ended, w.buf = true, nil
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
