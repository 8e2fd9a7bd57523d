package storagetest

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// concurrent runs writers, updaters, a deleter and readers on one key.
func concurrent(t *tester) {
	const writers = 3
	rounds := repeated(40)
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

// compareConcurrently runs CommitIf and UpdateIf on one key, with conditions that let only later entries replace earlier
// ones, while readers check that they never see an earlier entry after a later one.
func compareConcurrently(t *tester) {
	c, ok := t.store.(storage.Comparer)
	if !ok {
		t.Skip("the store does not implement Comparer")
	}
	const writers = 3
	rounds := repeated(30)
	e, body := seeded(0)
	t.put(url, e, body)

	var failures failures
	var work, readers sync.WaitGroup
	allowed := func(name string, err error) {
		if err != nil && !errors.Is(err, storage.ErrChanged) && !errors.Is(err, storage.ErrNotFound) {
			failures.add("%s = %v while others write, want nil, ErrChanged or ErrNotFound", name, err)
		}
	}
	for i := range writers {
		work.Go(func() {
			for round := range rounds {
				seed := 1 + i + round*writers
				e, body := seeded(seed)
				allowed("CommitIf", t.tryCommitIf(e, body, func(now *storage.Entry) bool { return seedOf(now) < seed }))
			}
		})
	}
	work.Go(func() {
		for range rounds {
			if r, err := t.store.Get(t.Context(), url); err == nil {
				r.Body.Close()
				e := r.Entry.Clone()
				e.Header.Set("X-Updated", "1")
				allowed("UpdateIf", c.UpdateIf(t.Context(), url, e, func(now *storage.Entry) bool { return seedOf(now) <= seedOf(e) }))
			}
		}
	})
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() { t.readInOrder(&failures, done) })
	}
	work.Wait()
	close(done)
	readers.Wait()
	failures.report(t)

	r := t.get(url)
	r.Body.Close()
	if got := seedOf(r.Entry); got != writers*rounds {
		t.Errorf("the last entry must be stored: got entry %d, want %d", got, writers*rounds)
	}
}

// readInOrder reads seeded entries until done is closed. None may be earlier than the one before.
func (t *tester) readInOrder(failures *failures, done <-chan struct{}) {
	for last := 0; ; {
		select {
		case <-done:
			return
		default:
		}
		r, err := t.store.Get(t.Context(), url)
		if err != nil {
			continue
		}
		r.Body.Close()
		seed := seedOf(r.Entry)
		if seed < last {
			failures.add("CommitIf and UpdateIf must not replace an entry for which may returns false: got entry %d after %d", seed, last)
		}
		last = max(last, seed)
	}
}

// deleteWhileComparing deletes an entry while UpdateIf or CommitIf compares it.
func deleteWhileComparing(t *tester) {
	c, ok := t.store.(storage.Comparer)
	if !ok {
		t.Skip("the store does not implement Comparer")
	}
	for name, replace := range map[string]func(e *storage.Entry, may func(*storage.Entry) bool) error{
		"UpdateIf": func(e *storage.Entry, may func(*storage.Entry) bool) error {
			return c.UpdateIf(t.Context(), url, e, may)
		},
		"CommitIf": func(_ *storage.Entry, may func(*storage.Entry) bool) error {
			return t.tryCommitIf(Entry(), "another body", may)
		},
	} {
		t.put(url, Entry(), "body")
		e := t.has("the entry must be stored", url, Entry(), "body")
		deleted := make(chan error, 1)
		err := replace(e, func(*storage.Entry) bool {
			go func() { deleted <- t.store.Delete(t.Context(), url) }()
			for range 100 {
				runtime.Gosched() // so that a Delete that need not wait is done
			}
			return true
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrChanged) {
			t.Errorf("%s = %v while the entry is deleted, want nil, ErrNotFound or ErrChanged", name, err)
		}
		if err := <-deleted; err != nil {
			t.Errorf("Delete = %v while %s compares, want nil", err, name)
		}
		t.hasNot("an entry that is deleted while "+name+" compares must not come back", url)
	}
}

// tryCommitIf stores an entry by CommitIf.
func (t *tester) tryCommitIf(e *storage.Entry, body string, may func(now *storage.Entry) bool) error {
	w, err := t.store.Create(t.Context(), url, e)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		w.Abort()
		return err
	}
	c, ok := w.(storage.ComparingWriter)
	if !ok {
		w.Abort()
		return fmt.Errorf("the Writers of a Comparer must be ComparingWriters: Create returned a %T", w)
	}
	return c.CommitIf(may)
}

// seeded returns an entry and its body. The body depends on the header, so that a reader detects an entry with the body
// of another.
func seeded(seed int) (*storage.Entry, string) {
	e := Entry()
	e.Header.Set("X-Seed", strconv.Itoa(seed))
	return e, text(2000+seed%3*50000, uint64(seed))
}

func seedOf(e *storage.Entry) int {
	seed, _ := strconv.Atoi(e.Header.Get("X-Seed"))
	return seed
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
	seed := seedOf(r.Entry)
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
