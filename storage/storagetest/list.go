package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// lister returns the store as a Lister, and skips the test if it cannot list.
func (t *tester) lister() storage.Lister {
	t.Helper()
	l, ok := t.store.(storage.Lister)
	if !ok {
		t.Skip("the store does not implement Lister")
	}
	for _, err := range l.List(t.Context()) {
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("the store cannot list")
		}
		t.Fatalf("List of an empty store must yield nothing: it yields an entry or the error %v", err)
	}
	return l
}

// listKey returns the key of the n-th entry of the tests of List.
func listKey(n int) string { return "http://example.com/list?" + strconv.Itoa(n) }

// putListed stores the n-th entry, and returns it with its body.
func (t *tester) putListed(n int) (*storage.Entry, string) {
	t.Helper()
	e, body := Entry(), text(n%50*300, uint64(n))
	e.URL = listKey(n)
	e.Header.Set("X-Seed", strconv.Itoa(n))
	t.put(listKey(n), e, body)
	return e, body
}

// listed returns how often each of the entries of putListed is listed, by its number.
func (t *tester) listed(l storage.Lister, each func(n int, l storage.Listed)) map[int]int {
	t.Helper()
	times := make(map[int]int)
	for l, err := range l.List(t.Context()) {
		if err != nil {
			t.Fatalf("List must list the entries: it yields the error %v", err)
		}
		if l.Entry == nil {
			t.Fatal("List must yield an entry or an error: Entry = nil")
		}
		n, err := strconv.Atoi(l.Entry.Header.Get("X-Seed"))
		if err != nil || n < 0 {
			t.Fatalf("List must list the entries that were stored: it lists %+v", l.Entry)
		}
		if l.Key != "" && l.Key != listKey(n) {
			t.Errorf("Key must be the key of the entry, or empty: Key = %s, want %s", short(l.Key), short(listKey(n)))
		}
		times[n]++
		if each != nil {
			each(n, l)
		}
	}
	return times
}

func list(t *tester) {
	lister := t.lister()
	const total = 300
	entries, lengths := make(map[int]*storage.Entry), make(map[int]int)
	for n := range total {
		e, body := t.putListed(n)
		entries[n], lengths[n] = e, len(body)
	}
	for n := 0; n < total; n += 3 {
		if err := t.store.Delete(t.Context(), listKey(n)); err != nil {
			t.Fatal(err)
		}
		delete(entries, n)
	}
	r := t.get(listKey(1))
	t.readAll(r)
	updated := r.Entry.Clone()
	updated.Status = 203
	if err := t.store.Update(t.Context(), listKey(1), updated); err != nil {
		t.Fatal(err)
	}
	entries[1] = updated
	e := Entry()
	e.Header.Set("X-Seed", strconv.Itoa(total))
	pending := t.create(listKey(total), e)
	if err := t.write(pending, []byte("never")); err != nil {
		t.Fatal(err)
	}
	defer pending.Abort()
	for range 2 {
		times := t.listed(lister, func(n int, l storage.Listed) {
			if entries[n] == nil {
				t.Errorf("List must not list an entry that is deleted or not committed: it lists the one under %s", short(listKey(n)))
				return
			}
			t.sameHead("List must list the entry that is stored", l.Entry, entries[n])
			if l.Entry.Length != int64(lengths[n]) || l.Size < l.Entry.Length {
				t.Errorf("List of %s: Length = %d, Size = %d, want the length %d and at least this size", short(listKey(n)), l.Entry.Length, l.Size, lengths[n])
			}
		})
		for n := range entries {
			if times[n] != 1 {
				t.Errorf("List must list each entry once: it lists the one under %s %d times", short(listKey(n)), times[n])
			}
		}
	}
}

// endEarly ends loops over List early, and fails if that leaves goroutines. A store may need a few more for what it does in the
// background meanwhile, such as those of a connection, but not one for each loop.
func endEarly(t *tester, lister storage.Lister) {
	const loops, most = 100, 10
	before := runtime.NumGoroutine()
	for range loops {
		for range lister.List(t.Context()) {
			break
		}
	}
	for wait := time.Millisecond; runtime.NumGoroutine() > before+most; wait *= 2 {
		if wait > time.Minute {
			t.Fatalf("%d loops over List that end early must leave no goroutine: there are %d more", loops, runtime.NumGoroutine()-before)
		}
		time.Sleep(wait)
	}
}

func listEnds(t *tester) {
	lister := t.lister()
	for n := range 50 {
		t.putListed(n)
	}
	for range lister.List(t.Context()) { // the store may keep what it needs for the first time, such as a connection
	}
	endEarly(t, lister)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n := 0
	for _, err := range lister.List(ctx) {
		cancel()
		last = err
		n++
	}
	if last == nil {
		t.Errorf("List must end with an error when its context ends: it yields %d more entries", n-1)
	}
	n = 0
	for l, err := range lister.List(ctx) {
		if n++; err == nil {
			t.Errorf("List with a context that has ended must yield an error: it lists %+v", l)
		}
	}
	if n == 0 {
		t.Error("List with a context that has ended must yield an error: it yields nothing")
	}
}

func listAndDelete(t *tester) {
	lister := t.lister()
	const total = 200
	for n := range total {
		t.putListed(n)
	}
	times := t.listed(lister, func(n int, _ storage.Listed) {
		if err := t.store.Delete(t.Context(), listKey(n)); err != nil {
			t.Fatal(err)
		}
	})
	if len(times) != total {
		t.Errorf("a loop over List must be able to delete what is listed: it lists %d entries, want %d", len(times), total)
	}
	if times := t.listed(lister, nil); len(times) > 0 {
		t.Errorf("a deleted entry must not be listed: List lists %d", len(times))
	}
}

func listConcurrently(t *tester) {
	lister := t.lister()
	const stable, changing = 100, 200
	for n := range stable {
		t.putListed(n)
	}
	var failures failures
	var work sync.WaitGroup
	for i := range 2 {
		work.Go(func() {
			for round := range repeated(300) {
				n := stable + (round*7+i*100)%changing
				e := Entry()
				e.URL = listKey(n)
				e.Header.Set("X-Seed", strconv.Itoa(n))
				err := t.tryPut(listKey(n), e, []byte(fmt.Sprint(round)))
				if err == nil && round%3 == 0 {
					err = t.store.Delete(t.Context(), listKey(n))
				}
				if err != nil {
					failures.add("writing must be possible while entries are listed: got error %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		work.Wait()
		close(done)
	}()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		times := t.listed(lister, nil)
		for n := range stable {
			if times[n] == 0 {
				t.Fatalf("an entry that does not change must be listed while others change: the one under %s is not", short(listKey(n)))
			}
		}
	}
	failures.report(t)
}
