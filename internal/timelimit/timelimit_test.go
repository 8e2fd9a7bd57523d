package timelimit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestContext compares each context with the one that the package context makes.
func TestContext(t *testing.T) {
	type limited interface {
		context.Context
		End()
	}
	for name, parent := range map[string]func() (context.Context, context.CancelFunc){
		"no deadline": func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		"an earlier one": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Second)
		},
		"a later one": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Minute)
		},
	} {
		for how, end := range map[string]func(c limited, cancel context.CancelFunc){
			"deadline": func(limited, context.CancelFunc) { time.Sleep(10 * time.Second) },
			"parent":   func(_ limited, cancel context.CancelFunc) { cancel() },
			"End":      func(c limited, _ context.CancelFunc) { c.End() },
		} {
			for when, waits := range map[string]bool{"Done before": true, "Done afterwards": false} {
				synctest.Test(t, func(t *testing.T) {
					p, cancel := parent()
					defer cancel()
					want, stop := context.WithTimeout(p, 10*time.Second)
					defer stop()
					got := New(p, 10*time.Second)
					defer got.End()
					child, endChild := WithTimeout(got, time.Hour)
					defer endChild()
					at, _ := want.Deadline()
					for _, c := range []context.Context{got, child} {
						if d, ok := c.Deadline(); !ok || !d.Equal(at) || c.Err() != nil {
							t.Errorf("%s: deadline = %v, %t, error = %v, want %v and no error", name, d, ok, c.Err(), at)
						}
					}
					if waits {
						got.Done()
					}
					end(got, cancel)
					synctest.Wait()
					if how == "End" {
						stop()
					}
					<-want.Done()
					if got.Err() != want.Err() {
						t.Errorf("%s, %s, %s: error = %v, want %v", name, how, when, got.Err(), want.Err())
					}
					<-got.Done()
					if got.Err() != want.Err() {
						t.Errorf("%s, %s, %s: error after Done = %v, want %v", name, how, when, got.Err(), want.Err())
					}
					if how != "End" && child.Err() != want.Err() {
						t.Errorf("%s, %s, %s: error of the child = %v, want %v", name, how, when, child.Err(), want.Err())
					}
				})
			}
		}
	}
}

// A context made of another ends with it, and has its values.
func TestChild(t *testing.T) {
	type key struct{}
	c := New(context.WithValue(t.Context(), key{}, "value"), time.Hour)
	child, cancel := context.WithCancel(c)
	defer cancel()
	if v := child.Value(key{}); v != "value" {
		t.Errorf("value = %v, want that of the parent", v)
	}
	c.End()
	<-child.Done()
	if err := child.Err(); err != context.Canceled {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

// Nothing is allocated but the context.
func TestAllocations(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		c := New(ctx, time.Hour)
		if c.Err() != nil {
			t.Error(c.Err())
		}
		c.End()
	}); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}
