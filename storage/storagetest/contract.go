package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The tests of Create, Get, Update and Delete, one after the other.

func roundTrip(t *tester) {
	e := Entry()
	t.put(url, e, "body")
	t.has("every field of an entry must be kept", url, Entry(), "body")
	t.sameHead("Create must not change the entry passed to it", e, Entry())

	small := &storage.Entry{Status: 204, Version: 10, Header: http.Header{}, Length: 0}
	t.put("small", small, "")
	t.has("an entry with few fields must be kept", "small", small, "")
}

func missing(t *tester) {
	t.hasNot("a key that was never used must have no entry", "never used")
}

func notVisibleBeforeCommit(t *tester) {
	w := t.create(url, Entry())
	t.hasNot("an entry must not be visible before Commit", url)
	if err := t.write(w, []byte(text(200<<10, 1))); err != nil {
		t.Fatalf("Write must accept a body of 200 KiB: got error %v", err)
	}
	t.hasNot("an entry must not be visible before Commit", url)
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit must store the entry: %v", err)
	}
	t.has("an entry must be visible after Commit", url, Entry(), text(200<<10, 1))
}

func abortLeavesOld(t *tester) {
	w := t.create(url, Entry())
	if err := t.write(w, []byte("never")); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort must discard the entry: Abort() = %v, want nil", err)
	}
	t.hasNot("an aborted entry must not be visible", url)

	t.put(url, Entry(), "old")
	other := Entry()
	other.Status = 404
	w = t.create(url, other)
	if err := t.write(w, []byte("new")); err != nil {
		t.Fatal(err)
	}
	t.has("a Writer must not change the old entry before Commit", url, Entry(), "old")
	if err := w.Abort(); err != nil {
		t.Errorf("Abort must discard the entry: Abort() = %v, want nil", err)
	}
	t.has("Abort must not change the old entry", url, Entry(), "old")
}

func commitReplaces(t *tester) {
	t.put(url, Entry(), text(5000, 1))
	other := &storage.Entry{Status: 404, Reason: "Not Found", Version: 10, Header: http.Header{"X": {"y"}}, Length: -1}
	t.put(url, other, "short")
	t.has("Commit must replace the whole entry", url, other, "short")
	t.put(url, Entry(), "")
	t.has("Commit must replace the whole entry", url, Entry(), "")

	// Of two Writers at once, the one that commits last wins.
	first, second := t.create(url, Entry()), t.create(url, other)
	if err := errors.Join(t.write(first, []byte("first")), t.write(second, []byte("second"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(second.Commit(), first.Commit()); err != nil {
		t.Fatalf("two Writers of one key must both be able to commit: got error %v", err)
	}
	t.has("the Writer that commits last must win", url, Entry(), "first")
}

// commitStays checks that a Commit without an error has stored the entry, no matter what has happened to the
// key since the Writer was created.
func commitStays(t *tester) {
	const rule = "if Commit returns no error, the entry must be stored"
	begin := func(n int) (storage.Writer, *storage.Entry, string) {
		e, body := Entry(), text(1000*n*n, uint64(n))
		e.Header.Set("X-Seed", strconv.Itoa(n))
		w := t.create(url, e)
		if err := t.write(w, []byte(body)); err != nil {
			t.Fatalf("Write must accept the body: got error %v", err)
		}
		return w, e, body
	}
	commit := func(rule string, w storage.Writer, e *storage.Entry, body string) {
		t.Helper()
		if err := w.Commit(); err == nil {
			t.has(rule, url, e, body)
		}
	}
	remove := func() {
		t.Helper()
		if err := t.store.Delete(t.Context(), url); err != nil {
			t.Errorf("Delete must not fail: Delete(%q) = %v, want nil", url, err)
		}
		t.hasNot("Delete must remove the entry, no matter which Writer stored it and when that was created", url)
	}

	older, olderEntry, olderBody := begin(3)
	newer, newerEntry, newerBody := begin(9)
	commit(rule, newer, newerEntry, newerBody)
	commit(rule+", and the last commit must win", older, olderEntry, olderBody)
	remove()

	for n := range 4 { // a new key, a deleted one, and two that were stored and deleted meanwhile
		w, e, body := begin(n * 4)
		if n > 1 {
			t.put(url, Entry(), "between")
		}
		remove()
		commit(rule, w, e, body)
		remove()
	}
}

// longMetadata stores metadata longer than 2 MiB, which every store of documents refuses and any
// store may.
func longMetadata(t *tester) {
	long := strings.Repeat("x", buffer.MaxHead+1)
	for name, test := range map[string]struct {
		edit func(*storage.Entry)
		late bool // whether the field may be set until Commit
	}{
		"a header field":    {edit: func(e *storage.Entry) { e.Header.Set("X-Long", long) }},
		"header fields":     {edit: func(e *storage.Entry) { e.Header["X-Long"] = strings.SplitAfter(long, strings.Repeat("x", 1<<10)) }},
		"a selecting field": {edit: func(e *storage.Entry) { e.Vary[0].Value = long }},
		"a trailer field":   {edit: func(e *storage.Entry) { e.Trailer = http.Header{"X-Long": {long}} }, late: true},
		"the variants":      {edit: func(e *storage.Entry) { e.Variants = []storage.Variant{{Key: long}} }, late: true},
		"the selecting variants": {edit: func(e *storage.Entry) {
			e.Variants = []storage.Variant{{Key: "k", Vary: []storage.Field{{Name: "A", Value: long, Present: true}}}}
		}, late: true},
	} {
		const rule = "metadata that is too long must be stored completely, or must leave the old entry unchanged"
		old := Entry()
		t.put(url, old, "old")
		e := Entry()
		if !test.late {
			test.edit(e)
		}
		w, err := t.store.Create(t.Context(), url, e)
		if err == nil {
			test.edit(e)
			if err = t.write(w, []byte("new body")); err == nil {
				err = w.Commit()
			}
			w.Abort()
		}
		if err == nil {
			t.has(rule+": "+name, url, e, "new body")
			continue
		}
		stored := t.has(rule+": "+name, url, old, "old")

		next := stored.Clone()
		test.edit(next)
		if err := t.store.Update(t.Context(), url, next); err == nil {
			t.has(rule+": Update, "+name, url, next, "old")
			continue
		}
		t.has(rule+": Update, "+name, url, old, "old")
	}
	t.put(url, Entry(), "after")
	t.has("the store must be usable afterwards", url, Entry(), "after")
}

func replacedWhileRead(t *tester) {
	for _, size := range []int{1000, 300 << 10} {
		old := text(size, 1)
		t.put(url, Entry(), old)
		replaced, updated, deleted := t.get(url), t.get(url), t.get(url)
		half := make([]byte, size/2)
		for _, r := range []*storage.Response{replaced, updated, deleted} {
			if _, err := io.ReadFull(r.Body, half); err != nil {
				t.Fatalf("a body must be readable: got error %v", err)
			}
		}
		e := updated.Entry.Clone()
		e.Header.Set("X-Updated", "yes")
		if err := t.store.Update(t.Context(), url, e); err != nil {
			t.Fatalf("Update must work while the body is read: Update(%q) = %v, want nil", url, err)
		}
		if got := t.readAll(updated); got != old[size/2:] {
			t.Errorf("a reader must get the whole old body after an Update: rest = %s, want %s", short(got), short(old[size/2:]))
		}
		t.put(url, Entry(), text(size, 2))
		if got := t.readAll(replaced); got != old[size/2:] {
			t.Errorf("a reader must get the whole old body after a Commit: rest = %s, want %s", short(got), short(old[size/2:]))
		}
		if err := t.store.Delete(t.Context(), url); err != nil {
			t.Fatalf("Delete must work while the body is read: Delete(%q) = %v, want nil", url, err)
		}
		if got := t.readAll(deleted); got != old[size/2:] {
			t.Errorf("a reader must get the whole old body after a Delete: rest = %s, want %s", short(got), short(old[size/2:]))
		}
	}
}

func deletes(t *tester) {
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Errorf("deleting a missing key must not fail: Delete(%q) = %v, want nil", url, err)
	}
	t.put(url, Entry(), "body")
	t.put("other", Entry(), "other")
	for range 2 {
		if err := t.store.Delete(t.Context(), url); err != nil {
			t.Errorf("deleting a key twice must not fail: Delete(%q) = %v, want nil", url, err)
		}
		t.hasNot("a deleted entry must be missing", url)
	}
	t.has("Delete must not change other keys", "other", Entry(), "other")
	t.put(url, Entry(), "again")
	t.has("a deleted key must be usable again", url, Entry(), "again")
}

// oddKeys returns different keys that a store could confuse.
func oddKeys() []string {
	return []string{
		"", " ", ".", "..", "/", "\\", "../", "../../../../../../../../tmp/escape", "/etc/passwd", "C:\\con", "nul",
		"\x00", "a\x00", "a\x00b", "a\nb", "a\rb", "a b", "\xff\xfe", "\xc3\x28", "ä", "a\u0308", "%00", "*?<>|:\"",
		"http://example.com/x", "http://example.com/x/", "http://example.com/X", "http://EXAMPLE.com/x",
		"http://example.com/x?", "http://example.com/x#f", "http://example.com/x.lock", "http://example.com/x.body",
		"http://example.com:80/x", "http://example.com:/x", "http://example.com:8080/x", "https://example.com/x", "http://example.com", "http://example.com/",
		"http://example.com//x", "http://example.com/./x", "http://example.com/%78", "http://example.com/x%2F", "http://example.com/x?a",
		"http://example.com/x?A", "http://example.com/x?a=", "http://example.com/x?a&b", "http://example.com/x?b&a", "http://user@example.com/x",
		strings.Repeat("k", 100<<10), strings.Repeat("k", 100<<10) + "l",
	}
}

func keys(t *tester) {
	all := oddKeys()
	for i, key := range all {
		t.put(key, Entry(), "body "+strconv.Itoa(i))
	}
	for i, key := range all {
		t.has("different keys must have different entries", key, Entry(), "body "+strconv.Itoa(i))
	}
	for i, key := range all {
		if err := t.store.Delete(t.Context(), key); err != nil {
			t.Errorf("every key must be deletable: Delete(%s) = %v, want nil", short(key), err)
		}
		t.hasNot("a deleted key must be missing", key)
		if i+1 < len(all) {
			t.has("Delete must not change other keys", all[i+1], Entry(), "body "+strconv.Itoa(i+1))
		}
	}
}

func bodies(t *tester) {
	for _, size := range []int{0, 1, 255, 4096, 32<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20} {
		body := text(size, uint64(size))
		err := t.tryPut(url, Entry(), []byte(body))
		if size == 5<<20 && errors.Is(err, storage.ErrTooLarge) {
			t.Logf("the store does not accept a body of %d bytes: %v", size, err)
			continue
		}
		if err != nil {
			t.Fatalf("a body of %d bytes must be stored: got error %v", size, err)
		}
		t.has(fmt.Sprintf("a body of %d bytes must be kept", size), url, Entry(), body)

		// In small pieces, with more reads at the end.
		r := t.get(url)
		got, err := io.ReadAll(io.MultiReader(io.LimitReader(r.Body, 1), io.LimitReader(r.Body, 31), r.Body))
		if err != nil || string(got) != body {
			t.Errorf("a body of %d bytes must be readable in pieces: got %s, %v, want %s", size, short(string(got)), err, short(body))
		}
		for range 2 {
			if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("every Read at the end of a body must return io.EOF: Read = %d, %v, want 0, %v", n, err, io.EOF)
			}
		}
		r.Body.Close()
	}
}

func lengthIsAHint(t *tester) {
	for _, hint := range []int64{-1, 0, 1, 10, 11, 1 << 20} {
		e := Entry()
		e.Length, e.Sum = hint, 12345
		t.put(url, e, "ten bytes.")
		t.has(fmt.Sprintf("the Length passed to Create, %d, must only be a hint", hint), url, e, "ten bytes.")
	}
}

func writerEnds(t *tester) {
	w := t.create(url, Entry())
	if err := t.write(w, []byte("body")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit must store the entry: %v", err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("Write after Commit = nil, want an error")
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after Commit = nil, want an error")
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Commit = %v, want nil", err)
	}
	t.has("calls after Commit must change nothing", url, Entry(), "body")

	w = t.create(url, Entry())
	if err := t.write(w, []byte("other")); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort() = %v, want nil", err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("Write after Abort = nil, want an error")
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after Abort = nil, want an error")
	}
	t.has("calls after Abort must change nothing", url, Entry(), "body")
}

func lateFields(t *tester) {
	e := Entry()
	e.Trailer, e.Generation, e.Variants = nil, "", nil
	w := t.create(url, e)
	if err := t.write(w, []byte("body")); err != nil {
		t.Fatal(err)
	}
	late := func(e *storage.Entry) {
		e.Trailer = http.Header{"X-Late": {"trailer"}}
		e.Generation = "late"
		e.Variants = []storage.Variant{{Key: "late", Date: time.Unix(5, 0)}}
	}
	late(e)
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit must store the entry: %v", err)
	}
	want := Entry()
	late(want)
	t.has("Trailer, Generation and Variants set before Commit must be kept", url, want, "body")
}

func buffersAreTheCallers(t *tester) {
	w := t.create(url, Entry())
	buf := make([]byte, 40<<10)
	var want strings.Builder
	for i := range 5 {
		part := text(len(buf), uint64(i))
		want.WriteString(part)
		copy(buf, part)
		if _, err := w.Write(buf); err != nil {
			t.Fatalf("Write must accept the body: got error %v", err)
		}
		clear(buf)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit must store the entry: %v", err)
	}
	t.has("the store must not use the buffer passed to Write after Write has returned", url, Entry(), want.String())
}

func seekAndWriteTo(t *tester) {
	for _, size := range []int{0, 100, 200 << 10} {
		body := text(size, uint64(size))
		t.put(url, Entry(), body)

		r := t.get(url)
		var b bytes.Buffer
		if n, err := io.Copy(&b, r.Body); err != nil || n != int64(size) || b.String() != body {
			t.Errorf("io.Copy must copy the body: io.Copy = %d, %v, body %s, want %d, nil, body %s", n, err, short(b.String()), size, short(body))
		}
		if n, err := io.Copy(&b, r.Body); n != 0 || err != nil {
			t.Errorf("io.Copy at the end of a body = %d, %v, want 0, nil", n, err)
		}
		if s, ok := r.Body.(io.Seeker); ok {
			t.seek(r.Body, s, body)
		}
		r.Body.Close()

		// The rest of a body.
		r = t.get(url)
		if _, err := io.ReadFull(r.Body, make([]byte, size/3)); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if _, err := io.Copy(&b, r.Body); err != nil || b.String() != body[size/3:] {
			t.Errorf("io.Copy must copy the rest of a body: got %s, %v, want %s, nil", short(b.String()), err, short(body[size/3:]))
		}
		r.Body.Close()
	}
}

// seek tests Seek of a body that has been read to its end.
func (t *tester) seek(r io.Reader, s io.Seeker, body string) {
	size := len(body)
	for _, at := range []struct {
		offset int64
		whence int
		want   int
	}{
		{0, io.SeekStart, 0}, {int64(size) / 2, io.SeekStart, size / 2}, {0, io.SeekCurrent, size},
		{-int64(size) / 4, io.SeekEnd, size - size/4}, {10, io.SeekEnd, size + 10},
	} {
		pos, err := s.Seek(at.offset, at.whence)
		if err != nil || pos != int64(at.want) {
			t.Errorf("body of %d bytes: Seek(%d, %d) = %d, %v, want %d, nil", size, at.offset, at.whence, pos, err, at.want)
			continue
		}
		got, err := io.ReadAll(r)
		if want := body[min(at.want, size):]; err != nil || string(got) != want {
			t.Errorf("body of %d bytes: after Seek(%d, %d), rest = %s, %v, want %s, nil", size, at.offset, at.whence,
				short(string(got)), err, short(want))
		}
	}
	if _, err := s.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek(-1, io.SeekStart) = nil, want an error")
	}
	if _, err := s.Seek(0, 9); err == nil {
		t.Error("Seek(0, 9) = nil, want an error, because whence is invalid")
	}
}

func updateKeepsBody(t *tester) {
	for _, size := range []int{0, 100, 300 << 10} {
		body := text(size, uint64(size))
		t.put(url, Entry(), body)
		first := t.has("the entry must be stored", url, Entry(), body)

		e := first.Clone()
		e.Header.Set("X-Updated", strings.Repeat("longer than before ", 20))
		e.Header.Del("Set-Cookie")
		e.ResponseTime = e.ResponseTime.Add(time.Hour)
		e.Variants = nil
		want := e.Clone()
		if err := t.store.Update(t.Context(), url, e); err != nil {
			t.Fatalf("Update must change the metadata of an entry with %d bytes: Update(%q) = %v, want nil", size, url, err)
		}
		t.has("Update must change the metadata and keep the body", url, want, body)
		t.sameHead("Update must not change an entry that Get returned", first, Entry())
		t.sameHead("Update must not change the entry passed to it", e, want)

		// A second Clone of the first entry, whose body is still stored.
		e = first.Clone()
		e.Header.Set("X-Updated", "twice")
		if err := t.store.Update(t.Context(), url, e); err != nil {
			t.Fatalf("Update must accept any entry that was read with the stored body: Update(%q) = %v, want nil", url, err)
		}
		second := t.has("Update must change the metadata and keep the body", url, e, body)
		e = second.Clone()
		e.Header = http.Header{}
		if err := t.store.Update(t.Context(), url, e); err != nil {
			t.Fatalf("an updated entry must be updatable: Update(%q) = %v, want nil", url, err)
		}
		t.has("Update must change the metadata and keep the body", url, e, body)
	}
}

func updateMissing(t *tester) {
	t.put(url, Entry(), "body")
	e := t.has("the entry must be stored", url, Entry(), "body").Clone()
	if err := t.store.Update(t.Context(), "never used", e); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Update of a key that was never used = %v, want an error that wraps ErrNotFound", err)
	}
	t.hasNot("a failed Update must not create an entry", "never used")
	if err := t.store.Delete(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := t.store.Update(t.Context(), url, e); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Update of a deleted entry = %v, want an error that wraps ErrNotFound", err)
	}
	t.hasNot("a failed Update must not create an entry", url)
}

func updateChanged(t *tester) {
	for _, body := range []string{"another body", "BODY", ""} {
		t.put(url, Entry(), "body")
		e := t.has("the entry must be stored", url, Entry(), "body").Clone()
		e.Status = 203
		t.put(url, Entry(), body)
		if err := t.store.Update(t.Context(), url, e); !errors.Is(err, storage.ErrChanged) {
			t.Errorf("Update of an entry whose body was replaced = %v, want an error that wraps ErrChanged", err)
		}
		t.has("a failed Update must change nothing", url, Entry(), body)
	}
}

func cancelledContext(t *tester) {
	t.put(url, Entry(), "body")
	ctx, cancel := context.WithCancel(t.Context())
	e := t.has("the entry must be stored", url, Entry(), "body")
	w, err := t.store.Create(ctx, url, Entry())
	if err != nil {
		t.Fatalf("Create must return a Writer: Create(%q) = %v, want no error", url, err)
	}
	cancel()

	// Each of these may fail, but must not panic or leave an incomplete entry.
	written := t.write(w, []byte("new"))
	committed := w.Commit()
	body := "body"
	if written == nil && committed == nil {
		body = "new"
	}
	t.has("a Writer whose context has ended must store the complete entry or nothing", url, Entry(), body)
	if r, err := t.store.Get(ctx, url); err == nil {
		if got := t.readAll(r); got != body {
			t.Errorf("Get(%q) with a context that has ended: body = %s, want an error or body %s", url, short(got), short(body))
		}
	}
	if w, err := t.store.Create(ctx, "other", Entry()); err == nil {
		w.Abort()
	}
	_ = t.store.Update(ctx, url, e.Clone())
	_ = t.store.Delete(ctx, "other")

	t.put(url, Entry(), "after")
	t.has("the store must stay usable after a context has ended", url, Entry(), "after")
}

func closes(t *tester) {
	c, ok := t.store.(io.Closer)
	if !ok {
		t.Skip("the store has no Close")
	}
	t.put(url, Entry(), "body")
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("closing a store twice must not fail: Close() = %v, want nil", err)
		}
	}
	// Any result is allowed, but no panic.
	if r, err := t.store.Get(t.Context(), url); err == nil {
		r.Body.Close()
	}
	if w, err := t.store.Create(t.Context(), url, Entry()); err == nil {
		w.Abort()
	}
	_ = t.store.Update(t.Context(), url, Entry())
	_ = t.store.Delete(t.Context(), url)
	if l, ok := t.store.(storage.Leaser); ok {
		if release, ok, err := l.Lease(t.Context(), url, time.Hour); ok && err == nil {
			release()
		}
	}
	if l, ok := t.store.(storage.Lister); ok {
		for l, err := range l.List(t.Context()) {
			if err == nil {
				t.Errorf("List of a closed store must yield an error: it lists %+v", l)
			}
		}
	}
}
