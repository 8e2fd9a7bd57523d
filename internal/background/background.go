// Package background runs work that continues after the request that caused it was answered.
package background

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
)

// maxTasks limits the tasks of a Group that run at once. Beyond it, the work is left to a later request.
const maxTasks = 16

// Group runs tasks. It runs one task per key at a time.
type Group struct {
	ctx     context.Context
	cancel  context.CancelFunc
	timeout time.Duration
	onPanic func(ctx context.Context, value any)

	mu      sync.Mutex // guards the following fields
	running map[string]bool
	count   int // running tasks, including those without a key
	stopped bool
	done    sync.WaitGroup
}

// New returns a Group whose tasks each have the timeout. If a task panics, onPanic is called with the value.
func New(timeout time.Duration, onPanic func(ctx context.Context, value any)) *Group {
	g := &Group{timeout: timeout, onPanic: onPanic, running: make(map[string]bool)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Run calls task in its own goroutine. The context has the values of ctx, but ends only after the timeout, when the
// task returns, or when g is stopped. If a task with this key is running already, or too many tasks are, Run does
// nothing and returns false. An empty key stands for no key.
func (g *Group) Run(ctx context.Context, key string, task func(context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.running[key] || g.count >= maxTasks {
		return false
	}
	if key != "" {
		g.running[key] = true
	}
	g.count++
	g.done.Go(func() {
		defer func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.count--
			delete(g.running, key)
		}()
		ctx, cancel := context.WithTimeout(detached{g.ctx, ctx}, g.timeout)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				g.onPanic(ctx, v)
			}
		}()
		task(ctx)
	})
	return true
}

// Stop ends all tasks and waits for them. Nothing runs afterwards.
func (g *Group) Stop() {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.cancel()
	g.done.Wait()
}

// detached is the context of a task. It has the values of the context of the request that caused the task, except for
// its trace and for the value of foreground.Key, which belong to a request that is over.
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
