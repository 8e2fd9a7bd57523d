package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The tests of the optional interfaces.

func copies(t *tester) {
	d, ok := t.store.(storage.Describer)
	if !ok || !d.Traits().Copies {
		t.Skip("the store does not copy the header of an entry")
	}
	e := Entry()
	w := t.create(url, e)
	for name, lines := range e.Header {
		lines[0] = "changed"
		delete(e.Header, name)
	}
	if err := t.write(w, []byte("body")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	e.Status, e.URL, e.Vary, e.Variants, e.Trailer, e.Range = 204, "changed", nil, nil, nil, nil
	t.has("a store that Copies must not use the entry after its Writer has ended, nor its header after Create", url, Entry(), "body")
}

func lookup(t *tester) {
	l, ok := t.store.(storage.Looker)
	if !ok {
		t.Skip("the store does not implement Looker")
	}
	key := []byte(url)
	wantNone := func(rule string) {
		t.Helper()
		if h, _ := l.Lookup(key); h.Entry != nil {
			t.Errorf("%s: Lookup(%q) = %+v, want no entry", rule, key, h)
		}
	}
	wantNone("Lookup must not find what was never stored")
	w := t.create(url, Entry())
	wantNone("Lookup must not find an entry before Commit")
	if err := t.write(w, []byte("body")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	t.looksUp(l, key)
	t.has("the entry must be stored", url, Entry(), "body") // Get may bring the entry into memory
	t.looksUp(l, key)
	h, _ := l.Lookup(key)
	key[0]++ // the caller reuses it
	if h.Entry != nil && h.Key != url {
		t.Errorf("Lookup must not keep the key that it is given: Key = %q, want %q", h.Key, url)
	}
	wantNone("Lookup must compare keys")
	key[0]--
	t.put(url, Entry(), "another body")
	if h, _ := l.Lookup(key); h.Entry != nil && string(h.Body) != "another body" {
		t.Errorf("Lookup must not return an entry that was replaced: Body = %q, want %q", h.Body, "another body")
	}
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	wantNone("Lookup must not return a deleted entry")
}

// looksUp checks a look-up of a stored entry with the body "body".
func (t *tester) looksUp(l storage.Looker, key []byte) {
	t.Helper()
	h, known := l.Lookup(key)
	switch {
	case h.Entry == nil && known:
		t.Errorf("Lookup must not say that a stored entry is not stored: Lookup(%q) = %+v, %t", key, h, known)
	case h.Entry == nil:
	case !known || h.Key != url || string(h.Body) != "body" || h.Entry.Unpack().Length != 4:
		t.Errorf("Lookup must return the stored entry: Lookup(%q) = %+v, %t", key, h, known)
	default:
		t.sameHead("Lookup must return the stored entry", h.Entry.Unpack(), Entry())
	}
}

// asked is a condition for UpdateIf and CommitIf that remembers the entries it was called with.
type asked struct {
	answer bool
	status []int
}

func (a *asked) may(now *storage.Entry) bool {
	a.status = append(a.status, now.Status)
	return a.answer
}

// check checks that a was called with an entry that has this status, once, or never if the status is 0.
func (a *asked) check(t *tester, rule string, status int) {
	t.Helper()
	if status == 0 && len(a.status) == 0 || len(a.status) == 1 && a.status[0] == status {
		return
	}
	t.Errorf("%s: may was called with entries of status %v, want %d (0: never)", rule, a.status, status)
}

func updateIf(t *tester) {
	c, ok := t.store.(storage.Comparer)
	if !ok {
		t.Skip("the store does not implement Comparer")
	}
	t.put(url, Entry(), "body")
	first := t.has("the entry must be stored", url, Entry(), "body")
	update := func(status int, a *asked) error {
		e := first.Clone()
		e.Status = status
		if a == nil {
			return c.UpdateIf(t.Context(), url, e, nil)
		}
		return c.UpdateIf(t.Context(), url, e, a.may)
	}
	now := Entry()
	for _, step := range []struct {
		rule   string
		status int
		a      *asked
		err    error
	}{
		{"UpdateIf must change nothing if may returns false", 201, &asked{answer: false}, storage.ErrChanged},
		{"UpdateIf must update if may returns true", 202, &asked{answer: true}, nil},
		{"UpdateIf must call may with the updated entry", 203, &asked{answer: true}, nil},
		{"UpdateIf must update if may is nil", 201, nil, nil},
	} {
		if err := update(step.status, step.a); !errors.Is(err, step.err) {
			t.Errorf("%s: UpdateIf = %v, want %v", step.rule, err, step.err)
		}
		if step.a != nil {
			step.a.check(t, step.rule, now.Status)
		}
		if step.err == nil {
			now.Status = step.status
		}
		t.has(step.rule, url, now, "body")
	}
	t.put(url, Entry(), "another body")
	if err := update(204, &asked{answer: true}); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("UpdateIf of an entry whose body was replaced = %v, want an error that wraps ErrChanged", err)
	}
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := update(204, &asked{answer: true}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("UpdateIf of a deleted entry = %v, want an error that wraps ErrNotFound", err)
	}
	t.hasNot("a failed UpdateIf must not create an entry", url)
}

func commitIf(t *tester) {
	if _, ok := t.store.(storage.Comparer); !ok {
		t.Skip("the store does not implement Comparer")
	}
	now, nowBody := 0, ""
	for _, step := range []struct {
		rule   string
		status int
		body   string
		a      *asked
		err    error
	}{
		{"CommitIf must not call may if nothing is stored", 201, "first", &asked{answer: false}, nil},
		{"CommitIf must store nothing if may returns false", 202, "second", &asked{answer: false}, storage.ErrChanged},
		{"CommitIf must store if may returns true", 203, "third", &asked{answer: true}, nil},
		{"CommitIf must store if may is nil", 200, "fourth", nil, nil},
	} {
		e := Entry()
		e.Status = step.status
		w := t.create(url, e)
		c, ok := w.(storage.ComparingWriter)
		if !ok {
			t.Fatalf("the Writers of a Comparer must be ComparingWriters: Create returned a %T", w)
		}
		if err := t.write(w, []byte(step.body)); err != nil {
			t.Fatal(err)
		}
		var err error
		if step.a != nil {
			err = c.CommitIf(step.a.may)
			step.a.check(t, step.rule, now)
		} else {
			err = c.CommitIf(nil)
		}
		if !errors.Is(err, step.err) {
			t.Errorf("%s: CommitIf = %v, want %v", step.rule, err, step.err)
		}
		if step.err == nil {
			now, nowBody = step.status, step.body
		}
		want := Entry()
		want.Status = now
		t.has(step.rule, url, want, nowBody)
		if err := w.Commit(); err == nil {
			t.Error("Commit after CommitIf = nil, want an error")
		}
		if err := w.Abort(); err != nil {
			t.Errorf("Abort after CommitIf = %v, want nil", err)
		}
		t.has("Commit and Abort after CommitIf must change nothing", url, want, nowBody)
	}
}

func written(t *tester) {
	first := t.create(url, Entry())
	defer first.Abort()
	if _, ok := first.(storage.RereadingWriter); !ok {
		t.Skip("the Writers of the store are no RereadingWriters")
	}
	for _, size := range []int{0, 1, 1000, 100_000, 1_000_000} {
		w := t.create(url, Entry()).(storage.RereadingWriter)
		body := bytes.Repeat([]byte("0123456789abcdef\n"), size/17+1)[:size]
		for i, half := range [][]byte{body[:size/2], body[size/2:]} {
			if err := t.write(w, half); err != nil {
				t.Fatal(err)
			}
			want := body[:size/2+i*len(half)]
			r, err := w.Written()
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("the Writers cannot return what was written")
			}
			if err != nil {
				t.Fatalf("Written after %d bytes: %v", len(want), err)
			}
			if got, err := io.ReadAll(r); !bytes.Equal(got, want) || err != nil {
				t.Errorf("Written must return what was written: %d bytes, error %v; want %d", len(got), err, len(want))
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		t.has("Written must change nothing", url, Entry(), string(body))
		if _, err := w.Written(); err == nil {
			t.Error("Written after Commit = nil, want an error")
		}
	}
}

func noRanges(t *tester) {
	d, ok := t.store.(storage.Describer)
	if !ok || !d.Traits().NoRanges {
		t.Skip("the store does not know whether it holds parts")
	}
	whole := Entry()
	whole.Range = nil
	t.put("whole", whole, "body")
	if !d.Traits().NoRanges {
		t.Error("NoRanges = false without an entry that has a Range, want true")
	}
	e := t.get("whole")
	t.readAll(e)
	part := e.Entry.Clone()
	part.Range = &storage.Range{Start: 0, Total: -1}
	if err := t.store.Update(t.Context(), "whole", part); err != nil {
		t.Fatal(err)
	}
	if d.Traits().NoRanges {
		t.Error("NoRanges = true after Update has stored an entry with a Range, want false")
	}
	t.put("part", Entry(), "body")
	if err := t.store.Delete(t.Context(), "part"); err != nil {
		t.Fatal(err)
	}
	if d.Traits().NoRanges {
		t.Error("NoRanges = true after an entry with a Range was deleted, want false")
	}
}

func keepDecoded(t *tester) {
	keeper, ok := t.store.(storage.DecodedKeeper)
	if !ok {
		t.Skip("the store does not keep decoded bodies")
	}
	coded := Entry()
	coded.Header.Set("Content-Encoding", "gzip")
	get := func() *storage.Response {
		t.Helper()
		r := t.get(url)
		t.readAll(r)
		return r
	}
	t.put(url, coded, "coded")
	first := get()
	if first.Decoded != nil {
		t.Errorf("Decoded = %q before KeepDecoded, want nil", first.Decoded)
	}
	keeper.KeepDecoded(url, first.Entry, []byte("decoded"))
	if got := get().Decoded; got != nil && string(got) != "decoded" {
		t.Errorf("Decoded = %q after KeepDecoded, want %q or nil", got, "decoded")
	}
	t.put(url, coded, "other")
	if got := get().Decoded; got != nil {
		t.Errorf("Decoded = %q after its entry was replaced, want nil", got)
	}
	keeper.KeepDecoded(url, first.Entry, []byte("decoded"))
	if got := get().Decoded; got != nil {
		t.Errorf("Decoded = %q after KeepDecoded for an entry that was replaced, want nil", got)
	}
	e := get().Entry
	keeper.KeepDecoded(url, e, []byte("decoded"))
	plain := e.Clone()
	plain.Header.Del("Content-Encoding")
	if err := t.store.Update(t.Context(), url, plain); err != nil {
		t.Fatalf("Update must change the metadata: Update(%q) = %v, want nil", url, err)
	}
	if got := get().Decoded; got != nil {
		t.Errorf("Decoded = %q after Update has changed the content coding, want nil", got)
	}
	keeper.KeepDecoded("never used", e, []byte("decoded"))
	t.hasNot("KeepDecoded must not create an entry", "never used")
}

func evictions(t *tester) {
	d, ok := t.store.(storage.Describer)
	if !ok {
		t.Skip("the store does not implement Describer")
	}
	t.put(url, Entry(), "body")
	t.put(url, Entry(), "another body")
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if n := d.Traits().Evictions; n != 0 {
		t.Errorf("an entry that was replaced or deleted was not evicted: Evictions = %d, want 0", n)
	}
}

// watchWait is the longest wait for a Watcher that is told by a server.
const watchWait = 20 * time.Second

func watch(t *tester) {
	watcher, ok := t.store.(storage.Watcher)
	if !ok {
		t.Skip("the store does not implement Watcher")
	}
	ctx, cancel := context.WithTimeout(t.Context(), watchWait)
	defer cancel()
	keys, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- watcher.Watch(ctx, func(key string) {
			select {
			case keys <- key:
			case <-ctx.Done():
			}
		})
	}()
	wait := func(rule string, wanted ...string) {
		t.Helper()
		for {
			select {
			case key := <-keys:
				for _, want := range wanted {
					if key == want {
						return
					}
				}
			case err := <-ended:
				t.Skipf("the server does not report changes: Watch = %v", err)
			case <-ctx.Done():
				t.Fatalf("%s: changed was not called with any of %q", rule, wanted)
			}
		}
	}
	wait(`Watch must call changed with "" at the start`, "")
	t.put(url, Entry(), "first")
	t.readAll(t.get(url))
	t.put(url, Entry(), "body")
	wait("Watch must report an entry that is stored", url, "")
	e := t.get(url)
	t.readAll(e)
	updated := e.Entry.Clone()
	updated.Header = http.Header{}
	if err := t.store.Update(t.Context(), url, updated); err != nil {
		t.Fatal(err)
	}
	wait("Watch must report an entry that is updated", url, "")
	t.readAll(t.get(url))
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	wait("Watch must report an entry that is deleted", url, "")
	cancel()
	select {
	case <-ended:
	case <-time.After(watchWait):
		t.Error("Watch must return when its context ends")
	}
}
