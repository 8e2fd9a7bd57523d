package detachable_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/detachable"
)

type key struct{}

// parent returns a context that ends after an hour, and its cancel function.
func parent(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Hour)
}

func TestContext(t *testing.T) {
	for name, test := range map[string]struct {
		do       func(c *detachable.Context, cancel context.CancelFunc)
		detaches bool
		want     error
	}{
		"nothing":              {func(*detachable.Context, context.CancelFunc) {}, true, nil},
		"parent canceled":      {func(_ *detachable.Context, cancel context.CancelFunc) { cancel() }, false, context.Canceled},
		"parent's deadline":    {func(*detachable.Context, context.CancelFunc) { time.Sleep(time.Hour) }, false, context.DeadlineExceeded},
		"canceled":             {func(c *detachable.Context, _ context.CancelFunc) { c.Cancel(); c.Cancel() }, false, context.Canceled},
		"detached":             {func(c *detachable.Context, cancel context.CancelFunc) { c.Detach(); cancel() }, true, nil},
		"canceled after that":  {func(c *detachable.Context, _ context.CancelFunc) { c.Detach(); c.Cancel() }, false, context.Canceled},
		"released, parent not": {func(c *detachable.Context, _ context.CancelFunc) { c.Release() }, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := parent(t)
				defer cancel()
				c := detachable.New(ctx)
				derived, end := context.WithCancel(c)
				defer end()
				if at, ok := c.Deadline(); !ok || time.Until(at) != time.Hour {
					t.Errorf("Deadline() = %v, %v, want that of the parent", at, ok)
				}
				called := false
				context.AfterFunc(c, func() { called = true })
				stop := context.AfterFunc(c, func() { t.Error("a function was called after stop") })
				if !stop() || stop() {
					t.Error("stop = false or true again, want true once")
				}
				test.do(c, cancel)
				synctest.Wait()
				ended := false
				select {
				case <-c.Done():
					ended = true
				default:
				}
				if c.Err() != test.want || derived.Err() != test.want || ended != (test.want != nil) || called != ended {
					t.Errorf("Err() = %v, derived %v, done %v, AfterFunc called %v, want %v", c.Err(), derived.Err(), ended, called, test.want)
				}
				if c.Value(key{}) != "value" {
					t.Errorf("Value = %v, want value", c.Value(key{}))
				}
				if got := c.Detach(); got != test.detaches {
					t.Errorf("Detach() = %v, want %v", got, test.detaches)
				}
				if at, ok := c.Deadline(); ok && test.detaches {
					t.Errorf("after Detach: Deadline() = %v, want none", at)
				}
				c.Cancel()
				synctest.Wait()
				if !called {
					t.Error("the function was not called after Cancel")
				}
			})
		})
	}
}

// A context that ends at once is seen by Err before any goroutine has run.
func TestErrIsCurrent(t *testing.T) {
	ctx, cancel := parent(t)
	c := detachable.New(ctx)
	cancel()
	if c.Err() != context.Canceled {
		t.Errorf("Err() = %v, want %v", c.Err(), context.Canceled)
	}
	<-c.Done()
}

// No goroutine waits for a context, nor for one that is derived from it.
func TestGoroutines(t *testing.T) {
	ctx, cancel := parent(t)
	defer cancel()
	before := runtime.NumGoroutine()
	for range 100 {
		_, end := context.WithCancel(detachable.New(ctx))
		defer end()
	}
	if n := runtime.NumGoroutine() - before; n > 0 {
		t.Errorf("%d goroutines were started, want none", n)
	}
}

// A Context whose parent never ends can be ended, with any error.
func TestNewCancelable(t *testing.T) {
	c := detachable.NewCancelable(context.Background())
	if !c.Detach() || c.Err() != nil {
		t.Errorf("Err() = %v, want nil", c.Err())
	}
	c.End(context.DeadlineExceeded)
	c.End(context.Canceled)
	<-c.Done()
	if c.Err() != context.DeadlineExceeded || c.Detach() {
		t.Errorf("after End: Err() = %v, want the first error, %v", c.Err(), context.DeadlineExceeded)
	}
}

func TestNil(t *testing.T) {
	c := detachable.New(context.Background())
	c.Release()
	c.Cancel()
	if c != nil || !c.Detach() {
		t.Errorf("New = %v, Detach = %v, want nil, true", c, c.Detach())
	}
}
