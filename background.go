package cachecontrol

import (
	"context"
	"net/http/httptrace"
	"runtime/debug"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
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

// caught logs a panic of Base or a hook that was recovered in a background goroutine, with its stack trace.
func (e *engine) caught(ctx context.Context, v any) {
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
