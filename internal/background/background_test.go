package background_test

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/background"
	"github.com/go-cachecontrol/cachecontrol/internal/foreground"
)

const timeout = time.Minute

func newGroup(t *testing.T) *background.Group {
	return background.New(timeout, func(_ context.Context, v any) { t.Errorf("panic: %v", v) })
}

// wait is a task that ends with its context.
func wait(ctx context.Context) { <-ctx.Done() }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t)
		run := func(key string, want bool) {
			t.Helper()
			if got := g.Run(t.Context(), key, wait); got != want {
				t.Errorf("Run(%q) = %v, want %v", key, got, want)
			}
		}
		run("a", true)
		run("a", false)
		run("b", true)
		run("", true)
		run("", true)
		for i := range 12 {
			run(fmt.Sprint(i), true)
		}
		run("one too many", false)
		run("", false)
		time.Sleep(timeout)
		synctest.Wait()
		run("a", true)
		start := time.Now()
		g.Stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("Stop took %v, want no time", took)
		}
		run("a", false)
	})
}

func TestStopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t)
		ended := false
		g.Run(t.Context(), "", func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		if g.Stop(); !ended {
			t.Error("Stop returned before the task, want it to wait")
		}
	})
}

func TestPanic(t *testing.T) {
	var got any
	g := background.New(timeout, func(_ context.Context, v any) { got = v })
	g.Run(t.Context(), "a", func(context.Context) { panic("at the origin") })
	if g.Stop(); got != "at the origin" {
		t.Errorf("onPanic was called with %v, want the value of the panic", got)
	}
}

// A task has the values of the request's context, but does not end with it.
func TestContext(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	ctx = context.WithValue(ctx, foreground.Key{}, true)
	ctx = httptrace.WithClientTrace(ctx, new(httptrace.ClientTrace))
	cancel()
	g := newGroup(t)
	done := make(chan struct{})
	g.Run(ctx, "", func(ctx context.Context) {
		defer close(done)
		if err, v := ctx.Err(), ctx.Value(key{}); err != nil || v != "value" {
			t.Errorf("Err() = %v, Value = %v, want nil, value", err, v)
		}
		if v := ctx.Value(foreground.Key{}); v != nil {
			t.Errorf("Value(foreground.Key) = %v, want nil", v)
		}
		if trace := httptrace.ContextClientTrace(ctx); trace != nil {
			t.Errorf("the trace is %v, want nil", trace)
		}
	})
	<-done
	g.Stop()
}
