// Package behind finishes work that a caller does not have to wait for.
package behind

import (
	"sync"
	"time"
)

// maxTasks limits the tasks that run at once. Beyond it, callers wait.
const maxTasks = 256

// Tasks are tasks that may go on after their callers were answered. The zero value is ready to use.
type Tasks struct {
	mu      sync.Mutex // guards the following fields
	byKey   map[string]*tasks
	count   int
	stopped bool
	done    sync.WaitGroup
}

// tasks are the running tasks with one key.
type tasks struct {
	count int
	ended chan struct{} // closed when all have ended
}

// Do calls f, and returns when f returns, or after d. In the second case f goes on. After Stop, and while too many tasks
// are running, Do returns when f does.
func (t *Tasks) Do(key string, d time.Duration, f func()) {
	if !t.start(key) {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.end(key)
		f()
	}()
	wait(done, d)
}

func (t *Tasks) start(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped || t.count >= maxTasks {
		return false
	}
	of := t.byKey[key]
	if of == nil {
		of = &tasks{ended: make(chan struct{})}
		if t.byKey == nil {
			t.byKey = make(map[string]*tasks)
		}
		t.byKey[key] = of
	}
	of.count++
	t.count++
	t.done.Add(1) // with mu held, so that Stop waits for it
	return true
}

func (t *Tasks) end(key string) {
	defer t.done.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count--
	of := t.byKey[key]
	if of.count--; of.count == 0 {
		delete(t.byKey, key)
		close(of.ended)
	}
}

// Wait returns when no task with this key is running, or after d.
func (t *Tasks) Wait(key string, d time.Duration) {
	t.mu.Lock()
	of := t.byKey[key]
	t.mu.Unlock()
	if of != nil {
		wait(of.ended, d)
	}
}

func wait(done <-chan struct{}, d time.Duration) {
	select {
	case <-done:
		return
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// Stop waits for all tasks. Afterwards no task goes on after its caller was answered.
func (t *Tasks) Stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.done.Wait()
}
