package cachecontrol

import (
	"context"
	"net/http/httptrace"
	"runtime/debug"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
)

// maxBackground is how many revalidations may run at once, and how many bodies may be drained. One that finds no place is left
// to a later request.
const maxBackground = 16

// background is the work that goes on after a request was answered. It runs one task for a key at a time, and stop ends all of
// them.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	running map[string]bool
	count   int // tasks that are running, those without a key included
	stopped bool
	done    sync.WaitGroup
}

func (b *background) start() {
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.running = make(map[string]bool)
}

// run does the work in a goroutine of its own, with a context that has the values of ctx, but ends with the
// background alone. It does nothing, and returns false, if work under this key is running already. An empty key is no key.
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

// caught tells the logger, if there is one, what Base or a hook has panicked with in a goroutine that is not its caller's,
// and where, which nobody else can tell later.
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
