package storagetest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// concurrent runs writers, updaters, a deleter and readers on one key.
func concurrent(t *tester) {
	const writers, rounds = 3, 40
	e, body := seeded(0)
	t.put(url, e, body)

	var failures failures
	var work, readers sync.WaitGroup
	for i := range writers {
		work.Go(func() {
			for round := range rounds {
				e, body := seeded(1 + i*rounds + round)
				if err := t.tryPut(url, e, []byte(body)); err != nil {
					failures.add("a Writer must be able to commit while others do: got error %v", err)
				}
			}
		})
	}
	for i := range 2 {
		work.Go(func() {
			for round := range rounds {
				t.updateSeeded(&failures, fmt.Sprint(i, round))
			}
		})
	}
	work.Go(func() {
		for range rounds / 4 {
			t.readSeeded(&failures)
			if err := t.store.Delete(t.Context(), url); err != nil {
				failures.add("Delete = %v while others write, want nil", err)
			}
		}
	})
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					t.readSeeded(&failures)
				}
			}
		})
	}
	work.Wait()
	close(done)
	readers.Wait()
	failures.report(t)

	e, body = seeded(9)
	t.put(url, e, body)
	t.has("the store must be usable afterwards", url, e, body)
}

// seeded returns an entry and its body. The body depends on the header, so that a reader detects an entry with the body
// of another.
func seeded(seed int) (*storage.Entry, string) {
	e := Entry()
	e.Header.Set("X-Seed", strconv.Itoa(seed))
	return e, text(2000+seed%3*50000, uint64(seed))
}

// readSeeded reads a seeded entry, if there is one.
func (t *tester) readSeeded(failures *failures) {
	r, err := t.store.Get(t.Context(), url)
	if errors.Is(err, storage.ErrNotFound) {
		return // deleted, or in doubt
	}
	if err != nil {
		failures.add("Get must not fail while others write: Get = %v, want no error or ErrNotFound", err)
		return
	}
	defer r.Body.Close()
	seed, _ := strconv.Atoi(r.Entry.Header.Get("X-Seed"))
	_, want := seeded(seed)
	if got, err := io.ReadAll(r.Body); err != nil || string(got) != want {
		failures.add("an entry must never have another body or a part of one: seed %d: got body %s, %v, want %s",
			seed, short(string(got)), err, short(want))
	}
}

// updateSeeded updates a seeded entry, if there is one.
func (t *tester) updateSeeded(failures *failures, value string) {
	r, err := t.store.Get(t.Context(), url)
	if err != nil {
		return
	}
	r.Body.Close()
	e := r.Entry.Clone()
	e.Header.Set("X-Updated", value)
	err = t.store.Update(t.Context(), url, e)
	if err != nil && !errors.Is(err, storage.ErrChanged) && !errors.Is(err, storage.ErrNotFound) {
		failures.add("Update = %v while others write, want nil, ErrChanged or ErrNotFound", err)
	}
}

// failures collects the failures of goroutines, up to three of each kind.
type failures struct {
	mu   sync.Mutex
	seen map[string]int
	all  []string
}

func (f *failures) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = make(map[string]int)
	}
	if f.seen[format]++; f.seen[format] <= 3 {
		f.all = append(f.all, fmt.Sprintf(format, args...))
	}
}

func (f *failures) report(t *tester) {
	t.Helper()
	for _, s := range f.all {
		t.Error(s)
	}
}
