package behind_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/behind"
)

// took returns how long f takes.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func sleep(d time.Duration) func() { return func() { time.Sleep(d) } }

func TestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks behind.Tasks
		want := func(what string, got, want time.Duration) {
			t.Helper()
			if got != want {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		want("a quick task", took(func() { tasks.Do("a", time.Second, sleep(time.Millisecond)) }), time.Millisecond)
		want("a slow task", took(func() { tasks.Do("a", time.Second, sleep(10*time.Second)) }), time.Second)
		want("another with its key", took(func() { tasks.Do("a", time.Second, sleep(3*time.Second)) }), time.Second)
		want("Wait for another key", took(func() { tasks.Wait("b", time.Hour) }), 0)
		want("Wait for a while", took(func() { tasks.Wait("a", time.Second) }), time.Second)
		want("Wait for both", took(func() { tasks.Wait("a", time.Hour) }), 7*time.Second)
		want("Wait for none", took(func() { tasks.Wait("a", time.Hour) }), 0)

		for range 256 {
			tasks.Do("", 0, sleep(time.Minute))
		}
		want("one too many", took(func() { tasks.Do("c", 0, sleep(time.Second)) }), time.Second)
		want("Stop", took(tasks.Stop), 59*time.Second)
		want("a task after Stop", took(func() { tasks.Do("a", 0, sleep(time.Second)) }), time.Second)
	})
}

// No task is left when Stop returns, also if it is called while tasks begin. The race detector sees that best.
func TestStopDuringDo(t *testing.T) {
	for range 200 {
		var tasks behind.Tasks
		var running atomic.Int32
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				tasks.Do("a", 0, func() {
					running.Add(1)
					runtime.Gosched()
					running.Add(-1)
				})
			})
		}
		tasks.Stop()
		callers.Wait() // those that came later have waited for their tasks themselves
		if n := running.Load(); n > 0 {
			t.Fatalf("%d tasks are running after Stop, want none", n)
		}
	}
}
