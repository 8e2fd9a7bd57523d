package rediscache

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Batch implements storage.Batcher with a pipeline. Keys on other servers than the first get another one, unless all calls
// read.
func (c *cache) Batch(ctx context.Context, calls []storage.Call) {
	writes := false
	for i := range calls {
		writes = writes || calls[i].Put != nil || calls[i].Delete
	}
	var first, rest []*queued
	for i := range calls {
		q := &queued{Call: &calls[i], plain: c.plain(calls[i].Key)}
		q.now = c.held.begin(q.plain)
		if q.Err = c.check(ctx); q.Err != nil {
			continue
		}
		if q.breaker, q.Err = c.allow(ctx, q.plain); q.Err != nil {
			continue
		}
		if writes && len(first) > 0 && !c.together(first[0].plain, q.plain) {
			rest = append(rest, q)
		} else {
			first = append(first, q)
		}
	}
	c.send(ctx, first)
	c.send(ctx, rest)
}

// queued is a call in a pipeline.
type queued struct {
	*storage.Call
	plain   string
	now     reading
	breaker *breaker.Breaker
	err     error            // if not nil, there are no commands
	value   *redis.StringCmd // of a Get; of a Delete, the beginning of what it removes
	size    *redis.IntCmd    // of a Get of an entry whose long body is known
	last    *redis.StringCmd // the end of its value
	done    redis.Cmder      // of a Put or a Delete
}

// send makes calls with one pipeline. It sets their results.
func (c *cache) send(ctx context.Context, calls []*queued) {
	if len(calls) == 0 {
		return
	}
	own := make([]queued, len(calls)) // of the pipeline, which may be abandoned
	for i, q := range calls {
		own[i] = *q
	}
	_, err := within(ctx, c, c.timeout, func(ctx context.Context) (struct{}, error) {
		c.client.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
			for i := range own {
				own[i].queue(ctx, c, p)
			}
			return nil
		})
		for i := range own {
			if own[i].changes() {
				c.changedLate(ctx, own[i].plain)
			}
		}
		return struct{}{}, nil
	})
	for i, q := range calls {
		if err != nil {
			q.Err = c.report(ctx, q.breaker, err)
			if q.changes() { // perhaps
				c.changed(q.plain)
			}
			continue
		}
		*q = own[i]
		c.receive(ctx, q)
	}
}

// changes reports whether the call is a Put or a Delete.
func (q *queued) changes() bool { return q.Put != nil || q.Delete }

// queue adds the commands of a call to a pipeline.
func (q *queued) queue(ctx context.Context, c *cache, p redis.Pipeliner) {
	switch {
	case q.Put != nil:
		doc, err := document.Marshal(document.Own(q.Put), nil)
		if err != nil {
			q.err = err
			return
		}
		q.done = p.Set(ctx, q.plain, doc, ttl(q.Put))
	case q.Delete:
		c.parsed.forget(q.plain)
		q.value = p.GetRange(ctx, q.plain, 0, headLine)
		q.done = p.Unlink(ctx, q.plain)
	case q.knowsLong():
		q.size, q.value, q.last = p.StrLen(ctx, q.plain), p.GetRange(ctx, q.plain, 0, listChunk-1), p.GetRange(ctx, q.plain, -listChunk, -1)
	default:
		q.value = p.GetRange(ctx, q.plain, 0, firstRead-1)
	}
}

// knowsLong reports whether the caller knows an entry whose body is in one value with its metadata, and much longer.
func (q *queued) knowsLong() bool {
	if q.Known == nil {
		return false
	}
	v, ok := q.Known.Stamp.(version)
	return ok && v.length > 2*listChunk
}

// knownEntry returns the stored entry if it has the body of the known one, and nil otherwise.
func (q *queued) knownEntry(ctx context.Context, c *cache) *storage.Entry {
	if q.size.Val() < 2*listChunk {
		return nil
	}
	v := &value{key: q.plain, size: q.size.Val(), first: []byte(q.value.Val()), last: []byte(q.last.Val())}
	v.read = c.readRange(ctx, v.key, q.breaker)
	e, offset, length, err := document.Decode(v, v.size)
	if err != nil || document.Settle(e, length) != nil || e.Foreign || !e.SameBody(q.Known) {
		return nil
	}
	e.Stamp = version{size: int(v.size), end: string(v.last[len(v.last)-endBytes:]), offset: offset, length: length}
	return e
}

// receive sets the result of a call from the replies to its commands.
func (c *cache) receive(ctx context.Context, q *queued) {
	switch {
	case q.err != nil:
		q.Err = q.err
		return
	case q.done != nil:
		c.changed(q.plain)
		q.Err = c.report(ctx, q.breaker, q.done.Err())
		if q.Err == nil && q.value != nil {
			old, _ := q.value.Bytes()
			c.retire(ctx, old)
		}
		return
	}
	if q.size != nil {
		c.receiveKnown(ctx, q)
		return
	}
	first, err := q.value.Bytes()
	q.Response, q.Err = c.open(ctx, q.Key, q.plain, q.now, q.Known, first, c.report(ctx, q.breaker, err))
}

// receiveKnown is like receive for a Get of an entry whose long body is known.
func (c *cache) receiveKnown(ctx context.Context, q *queued) {
	err := c.report(ctx, q.breaker, cmp.Or(q.size.Err(), q.value.Err(), q.last.Err()))
	switch {
	case err != nil && !isWrongType(err):
		q.Err = err
		return
	case err == nil && q.size.Val() == 0:
		q.Err = storage.ErrNotFound
		return
	case err == nil:
		if e := q.knownEntry(ctx, c); e != nil {
			q.Response = &storage.Response{Entry: e}
			c.held.add(q.Key, q.now)
			return
		}
	}
	q.Response, q.Err = c.Get(ctx, q.Key)
}

var _ storage.Batcher = (*cache)(nil)

// Delete removes the entry under key. Its body can still be read to the end.
func (c *cache) Delete(ctx context.Context, key string) error {
	calls := []storage.Call{{Key: key, Delete: true}}
	c.Batch(ctx, calls)
	return calls[0].Err
}

// retire makes the body of a value that was replaced or deleted expire soon. value need only have the first line. If that
// fails, the body stays as long as its entry would have.
func (c *cache) retire(ctx context.Context, value []byte) {
	if p, _, ok := cutHead(c.prefix, value); ok {
		c.retireBody(ctx, p.name)
	}
}

// retireBody makes the body with this name expire soon. It does nothing if the name is "".
func (c *cache) retireBody(ctx context.Context, name string) {
	if name != "" {
		call(ctx, c, name, func(ctx context.Context) (bool, error) { return c.client.PExpire(ctx, name, idle).Result() })
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
