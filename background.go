package cachecontrol

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"runtime/debug"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// maxBackground limits the revalidations that run at once, and likewise the bodies that are drained. Beyond the limit, the work is
// left to a later request.
const maxBackground = 16

// background runs work that continues after a request was answered. It runs one task per key at a time. stop ends all tasks.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex // guards the following fields
	running map[string]bool
	count   int // running tasks, including those without a key
	stopped bool
	done    sync.WaitGroup
}

func (b *background) start() {
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.running = make(map[string]bool)
}

// run calls work in its own goroutine. The context has the values of ctx, but ends only when b is stopped. If work with this key is
// running already, run does nothing and returns false. An empty key stands for no key.
func (b *background) run(ctx context.Context, key string, work func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || b.running[key] || b.count >= maxBackground {
		return false
	}
	if key != "" {
		b.running[key] = true
	}
	b.count++
	b.done.Add(1)
	go func() {
		defer b.done.Done()
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.count--
			delete(b.running, key)
		}()
		work(detached{b.ctx, ctx})
	}()
	return true
}

// stop ends the work and waits for it. Nothing runs afterwards.
func (b *background) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.cancel()
	b.done.Wait()
}

// inBackground starts a validation of m in the background, unless the request forbids it. validate answers a query. It
// reports whether it has started one; it has not if one is already running for the key. A part is validated with the
// requested range.
func (e *engine) inBackground(q *query, at place, m *match, validate func(*query) (answer, error)) bool {
	if q.cc.NoStore || q.offline {
		return false
	}
	later := q.forValidation(e, m.entry.Range != nil)
	return e.background.run(q.ctx, at.key, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, e.backgroundTimeout)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				e.logPanic(ctx, v)
			}
		}()
		q := later
		q.ctx, q.req = ctx, later.req.WithContext(ctx)
		if hasBody(q.req) { // the original has been closed by now
			var err error
			if q.req.Body, err = later.req.GetBody(); err != nil {
				return
			}
		}
		e.counters.background.Add(1)
		a, err := validate(&q)
		if err != nil {
			if e.logger != nil {
				e.logger.DebugContext(ctx, "cachecontrol: revalidation in the background failed", "url", requestURL(q.req), "error", err)
			}
			return
		}
		defer a.resp.Body.Close()
		io.Copy(io.Discard, a.resp.Body) // so that it is stored
	})
}

// forValidation returns the query of a background validation. Its request is a copy, because the caller may reuse the
// original, and has no conditions and directives, and no Range unless a part is validated.
func (q *query) forValidation(e *engine, part bool) query {
	req := q.req.Clone(context.Background())
	maps.DeleteFunc(req.Header, func(name string, _ []string) bool {
		switch http.CanonicalHeaderKey(name) {
		case "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Cache-Control", "Pragma":
			return true
		case "Range":
			return !part
		}
		return false
	})
	//lint:ignore SA1019 http.Client sets it, and it ends with the caller
	req.Cancel = nil
	later := query{
		req: req, header: canonicalNames(req.Header), partition: q.partition, digest: q.digest, background: true,
		cc: rules.Request{Lifetime: q.cc.Lifetime},
	}
	later.negotiated = q.negotiated || q.ranged && !part && e.negotiate && later.header["Accept-Encoding"] == nil
	if part {
		later.ranged, later.byteRange = q.ranged, q.byteRange
	}
	return later
}

// logPanic logs a panic of Base or a hook that was recovered in a background goroutine, with its stack trace.
func (e *engine) logPanic(ctx context.Context, v any) {
	if e.logger != nil {
		e.logger.ErrorContext(ctx, "cachecontrol: panic", "value", v, "stack", string(debug.Stack()))
	}
}

// detached is the context of background work. It has the values of the context of the request that caused the work, except
// for its trace and for the value of foreground.Key, which belong to a request that is over.
type detached struct {
	context.Context
	values context.Context
}

func (d detached) Value(key any) any {
	if key == (foreground.Key{}) {
		return nil
	}
	v := d.Context.Value(key)
	if v == nil {
		v = d.values.Value(key)
	}
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}
