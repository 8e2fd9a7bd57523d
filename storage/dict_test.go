package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestDictCacheWithoutLimit(t *testing.T) {
	c := &storage.DictCache{MaxBytes: -1}
	body := strings.Repeat("x", 1<<20)
	for i := range 80 {
		put(t, c, fmt.Sprint(i), body)
	}
	if n := c.Len(); n != 80 || c.Traits().Evictions != 0 {
		t.Errorf("Len() = %d, Evictions() = %d, want 80, 0", n, c.Traits().Evictions)
	}
	put(t, c, "long", strings.Repeat("x", 80<<20))
}

// TestDictCacheEviction: what is asked for stays while what is not comes and goes.
func TestDictCacheEviction(t *testing.T) {
	const bound = 100 << 10
	c := &storage.DictCache{MaxBytes: bound}
	body := strings.Repeat("x", 10<<10)
	put(t, c, "used", body)
	put(t, c, "unused", body)
	for i := range 100 {
		put(t, c, fmt.Sprint(i), body)
		mustGet(t, c, "used", body)
		if c.Len()*len(body) > bound {
			t.Fatalf("%d entries of %d bytes in %d", c.Len(), len(body), bound)
		}
	}
	if n := c.Len(); n < 7 {
		t.Errorf("only %d entries fit", n)
	}
	wantMiss(t, c, "unused", false)
	wantMiss(t, c, "50", false)
	mustGet(t, c, "99", body)

	c.Clear()
	if c.Len() != 0 {
		t.Error("Clear leaves entries")
	}
	wantMiss(t, c, "used", false)
	put(t, c, "used", body)
	mustGet(t, c, "used", body)
}

// TestDictCacheScan: a crawl through pages that are asked for once leaves those that were asked for twice, however
// long ago; and what it drove out is kept once it has come again.
func TestDictCacheScan(t *testing.T) {
	const entries, bound = 40, 1 << 20
	c := &storage.DictCache{MaxBytes: bound}
	body := strings.Repeat("x", bound/entries)
	crawl := func(name string) {
		for i := range 10 * entries {
			put(t, c, fmt.Sprint(name, i), body)
		}
	}
	for i := range entries / 2 {
		put(t, c, fmt.Sprint("popular", i), body)
		mustGet(t, c, fmt.Sprint("popular", i), body)
	}
	put(t, c, "late", body)
	crawl("first")
	for i := range entries / 2 {
		mustGet(t, c, fmt.Sprint("popular", i), body)
	}
	wantMiss(t, c, "late", false)

	// Only few have come since these left, so they are known again, but for those whose places others have taken.
	const again = 10
	putAgain := func() {
		for i := range again {
			put(t, c, fmt.Sprint("again", i), body)
		}
	}
	putAgain()
	for i := range entries {
		put(t, c, fmt.Sprint("between", i), body)
	}
	for i := range again {
		wantMiss(t, c, fmt.Sprint("again", i), false)
	}
	putAgain()
	crawl("second")
	found := 0
	for i := range again {
		if _, _, err := get(t, c, fmt.Sprint("again", i)); err == nil {
			found++
		}
	}
	if found == 0 {
		t.Error("what came again soon after it left was not kept")
	}
}

// TestDictCacheUnderChange: whoever reads while others write finds what is stored, and nothing else.
func TestDictCacheUnderChange(t *testing.T) {
	c := &storage.DictCache{MaxBytes: 4 << 20}
	stay := make([]string, 100)
	for i := range stay {
		stay[i] = fmt.Sprint("stay", i)
		put(t, c, stay[i], stay[i])
	}
	var readers, writers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if _, body, err := get(t, c, stay[i%len(stay)]); err != nil || body != stay[i%len(stay)] {
					t.Errorf("Get(%q): %q, %v", stay[i%len(stay)], body, err)
					return
				}
				key := fmt.Sprint("change", i%500)
				if _, body, err := get(t, c, key); err == nil && !strings.HasPrefix(body, key+" ") {
					t.Errorf("Get(%q): %q", key, body)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 2000 {
				key := fmt.Sprint("change", i*(w+1)%500)
				if i%3 == 0 {
					c.Delete(t.Context(), key)
				} else {
					put(t, c, key, key+" "+strings.Repeat("x", i))
				}
				if i%50 == 0 { // the stored head changes, too
					r, err := c.Get(t.Context(), stay[i%len(stay)])
					if err == nil {
						err = c.Update(t.Context(), stay[i%len(stay)], r.Entry.Clone())
					}
					if err != nil && !errors.Is(err, storage.ErrChanged) {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// TestDictCacheNeighbours: what is stored is found while small entries that nobody asks for come and go before it in its chain.
func TestDictCacheNeighbours(t *testing.T) {
	c := new(storage.DictCache)
	var stay [200][]byte
	for i := range stay {
		stay[i] = fmt.Append(nil, "stay", i)
		put(t, c, string(stay[i]), "")
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				if i%len(stay) == 0 {
					select {
					case <-done:
						return
					default:
					}
				}
				if h, _ := c.Lookup(stay[i%len(stay)]); h.Entry == nil {
					t.Errorf("%s is not found", stay[i%len(stay)])
					return
				}
			}
		})
	}
	e := &storage.Entry{Status: 200}
	for i := range 50000 {
		key := fmt.Sprint("come", i%200)
		w, err := c.Create(t.Context(), key, e)
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%2 > 0 {
			c.Delete(t.Context(), key)
		}
	}
	close(done)
	readers.Wait()
}

// TestDictCacheModel: what was stored and not removed is found, as it was stored last, and nothing else, while the index grows
// and others change what lies beside it. Each writer has keys of its own, of which it knows everything; a reader that looks
// at them meanwhile finds nothing older than what was there when it began.
func TestDictCacheModel(t *testing.T) {
	const writers, keys, rounds = 3, 2000, 4000
	c := &storage.DictCache{MaxBytes: 64 << 20} // nothing is evicted
	var last [writers][keys]atomic.Int64        // the round in which a key was stored last; negative: it may be gone
	var work, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		name := func(k int) string { return fmt.Sprint(w, "/", k) }
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for round := int64(1); round <= rounds; round++ {
				k := random.IntN(keys)
				if random.IntN(3) == 0 {
					last[w][k].Store(-round)
					c.Delete(t.Context(), name(k))
					if _, _, err := get(t, c, name(k)); !errors.Is(err, storage.ErrNotFound) {
						t.Errorf("%s was deleted: %v", name(k), err)
					}
				} else {
					put(t, c, name(k), fmt.Sprint(name(k), " ", round))
					last[w][k].Store(round)
				}
				k = random.IntN(keys)
				before := last[w][k].Load()
				_, body, err := get(t, c, name(k))
				if want := fmt.Sprint(name(k), " ", before); before > 0 && (err != nil || body != want) || before <= 0 && err == nil {
					t.Errorf("Get(%s): %q, %v in round %d; stored last in %d", name(k), body, err, round, before)
				}
			}
		})
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				k := i * 7 % keys
				before := last[w][k].Load()
				_, body, err := get(t, c, name(k))
				after := last[w][k].Load()
				var round int64
				if err == nil {
					if _, err := fmt.Sscanf(body, name(k)+" %d", &round); err != nil {
						t.Errorf("Get(%s): %q", name(k), body)
					}
				}
				if before > 0 && (err == nil && round < before || err != nil && before == after) {
					t.Errorf("Get(%s): round %d, %v; it was stored in round %d", name(k), round, err, before)
				}
			}
		})
	}
	work.Wait()
	close(done)
	readers.Wait()
}

func TestDictCacheTooLarge(t *testing.T) {
	const bound = 100 << 10
	c := &storage.DictCache{MaxBytes: bound}
	put(t, c, "key", "old")
	w, err := c.Create(t.Context(), "key", storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for err == nil && written < bound {
		var n int
		n, err = w.Write(make([]byte, 1000))
		written += n
	}
	if !errors.Is(err, storage.ErrTooLarge) || written > bound/4 || written < bound/5 {
		t.Errorf("a quarter of %d: %d bytes, then %v", bound, written, err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("the error must stay: %v", err)
	}
	if err := w.Commit(); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("Commit of what is too large: %v", err)
	}
	mustGet(t, c, "key", "old")

	long := strings.Repeat("k", bound)
	if _, err := c.Create(t.Context(), long, storagetest.Entry()); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("a key that is too long: %v", err)
	}
	e := mustGet(t, c, "key", "old").Entry.Clone()
	e.Header.Set("X", long)
	if err := c.Update(t.Context(), "key", e); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("a head that is too long: %v", err)
	}
	mustGet(t, c, "key", "old")
}

// What is done to a header once Create has returned changes nothing, and does not disturb Commit. Nor does what is done to
// the entry once it is committed.
func TestDictCacheCopiesTheEntry(t *testing.T) {
	c := storage.NewDictCache()
	e := storagetest.Entry()
	want := e.Clone()
	w, err := c.Create(t.Context(), "key", e)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // at the same time, for the race detector
		defer close(done)
		for _, lines := range e.Header {
			lines[0] = "changed"
		}
		clear(e.Header)
	}()
	io.WriteString(w, "body")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	<-done
	*e = storage.Entry{}
	got := entryOf(t, c, "key").Clone()
	want.Length, want.Sum, want.Foreign, want.Stamp, got.Stamp = got.Length, got.Sum, false, nil, nil
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(storage.Entry{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDictCacheDecoded(t *testing.T) {
	c := &storage.DictCache{MaxBytes: 100 << 10}
	put(t, c, "key", "coded")
	r := mustGet(t, c, "key", "coded")
	c.KeepDecoded("key", r.Entry, make([]byte, 30<<10))
	if mustGet(t, c, "key", "coded").Decoded != nil {
		t.Error("a decoded body of more than a quarter is kept")
	}
	c.KeepDecoded("key", r.Entry, make([]byte, 20<<10))
	if n := len(mustGet(t, c, "key", "coded").Decoded); n != 20<<10 {
		t.Errorf("a decoded body of 20 KiB comes back with %d bytes", n)
	}
	for i := range 5 {
		put(t, c, fmt.Sprint(i), strings.Repeat("x", 20<<10))
	}
	if n := c.Len(); n*20<<10 > 100<<10 {
		t.Errorf("%d entries of 20 KiB, decoded or not, in 100 KiB", n)
	}
}

// TestDictCacheFirstHits: those who ask at once for what nobody has asked for before are given the same entry.
func TestDictCacheFirstHits(t *testing.T) {
	c := new(storage.DictCache)
	for range 100 {
		put(t, c, "key", "body")
		var entries [4]*storage.Entry
		var all sync.WaitGroup
		for i := range entries {
			all.Go(func() {
				if r, err := c.Get(t.Context(), "key"); err == nil {
					entries[i] = r.Entry
				}
			})
		}
		all.Wait()
		for _, e := range entries {
			if e == nil || e != entries[0] {
				t.Fatalf("entries that differ: %p", entries)
			}
		}
	}
}

func TestDictCacheHitCopiesNothing(t *testing.T) {
	c := storage.NewDictCache()
	put(t, c, "key", strings.Repeat("x", 1<<20))
	var seen [2]*byte
	for i := range seen {
		r, err := c.Get(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Body.(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
			seen[i] = unsafe.SliceData(p)
			return len(p), nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen[0] != seen[1] {
		t.Error("two hits have two bodies")
	}
	if n := testing.AllocsPerRun(100, func() { c.Get(t.Context(), "key") }); n > 1 {
		t.Errorf("a hit makes %v allocations", n)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// What was worked out from an updated entry need not be worked out again.
func TestDictCacheUpdateKeepsEntry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*storage.Entry)
		kept   bool
	}{
		{"the head alone", func(e *storage.Entry) { e.Header.Set("X", "2") }, true},
		{"a length that is not the body's", func(e *storage.Entry) { e.Length++ }, false},
		{"a sum that is not the body's", func(e *storage.Entry) { e.Sum++ }, false},
		{"one that Python wrote", func(e *storage.Entry) { e.Foreign = true }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := storage.NewDictCache()
			put(t, c, "key", "body")
			first := entryOf(t, c, "key")
			e := first.Clone()
			tt.change(e)
			want := e.Clone()
			if err := c.Update(t.Context(), "key", e); err != nil {
				t.Fatal(err)
			}
			e.Derived(func(*storage.Entry) any { return "worked out" })
			now := entryOf(t, c, "key")
			if now.Length != first.Length || now.Sum != first.Sum || now.Stamp != first.Stamp || now.Foreign {
				t.Errorf("the entry is now %+v, and was %+v", now, first)
			}
			if e.Length != want.Length || e.Sum != want.Sum || e.Foreign != want.Foreign {
				t.Errorf("the entry that was given is now %+v", e)
			}
			got := now.Derived(func(*storage.Entry) any { return "again" })
			if kept := got == "worked out"; kept != tt.kept {
				t.Errorf("kept is %v, not %v", kept, tt.kept)
			}
		})
	}
}

func TestDictCacheLookup(t *testing.T) {
	c := storage.NewDictCache()
	put(t, c, "key", "body")
	c.KeepDecoded("key", entryOf(t, c, "key"), []byte("decoded"))

	key := []byte("key")
	held, ok := c.Lookup(key)
	r, body, err := get(t, c, "key")
	if !ok || err != nil || held.Key != "key" || held.Entry.Unpack() != r.Entry || string(held.Body) != body || string(held.Decoded) != "decoded" {
		t.Errorf("Lookup = %+v, %v; Get = %+v, %q, %v", held, ok, r, body, err)
	}
	if n := testing.AllocsPerRun(100, func() { c.Lookup(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	key[0] = 'K' // the caller's own, to be used again
	if held.Key != "key" {
		t.Errorf("the key is now %q", held.Key)
	}
	for name, c := range map[string]*storage.DictCache{"another key": c, "nil": nil} {
		if held, known := c.Lookup(key); !known || held.Entry != nil {
			t.Errorf("%s: Lookup(%q) = %+v, %t, want nothing, true", name, key, held, known)
		}
	}
	if held, known := c.Lookup(nil); !known || held.Entry != nil {
		t.Errorf("Lookup(nil) = %+v, %t, want nothing, true", held, known)
	}
}

func TestShortWrite(t *testing.T) {
	short := writerFunc(func(p []byte) (int, error) { return len(p) / 2, nil })
	broken := errors.New("broken")
	failing := writerFunc(func(p []byte) (int, error) { return 0, broken })
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			store := s.open(t)
			body := strings.Repeat("0123456789", 20000)
			put(t, store, "key", body)
			r, err := store.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if n, err := io.Copy(short, r.Body); err != io.ErrShortWrite || n == 0 {
				t.Errorf("to a short writer: %d, %v", n, err)
			}
			if _, err := io.Copy(failing, r.Body); err != broken {
				t.Errorf("to a broken writer: %v", err)
			}
			if _, err := r.Body.(io.Seeker).Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if _, err := io.Copy(&b, r.Body); err != nil || b.String() != body {
				t.Errorf("afterwards: %d bytes, %v", b.Len(), err)
			}
		})
	}
}

// TestUnusable: nothing panics, whatever it is called on.
func TestUnusable(t *testing.T) {
	var dict *storage.DictCache
	dict.Clear()
	dict.KeepDecoded("key", storagetest.Entry(), []byte("x"))
	if dict.Len() != 0 {
		t.Error("a nil DictCache has entries")
	}
	closed := kv.FromKV(new(storetest.KV))
	if err := closed.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]storage.Store{
		"nil DictCache": dict, "nil FileCache": (*directory.FileCache)(nil), "zero FileCache": new(directory.FileCache),
		"nil SeparateBodyFileCache":  (*directory.SeparateBodyFileCache)(nil),
		"zero SeparateBodyFileCache": new(directory.SeparateBodyFileCache),
		"FromKV(nil)":                kv.FromKV(nil), "closed FromKV": closed,
	} {
		_, getErr := s.Get(t.Context(), "key")
		_, createErr := s.Create(t.Context(), "key", storagetest.Entry())
		for _, err := range []error{
			getErr, createErr, s.Update(t.Context(), "key", storagetest.Entry()), s.Delete(t.Context(), "key"),
		} {
			if !errors.Is(err, storage.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	put(t, new(storage.DictCache), "key", "the zero value is usable")
}

// What is derived from an entry is derived once, however the entry is asked for, until it is updated.
func TestDictCacheDerived(t *testing.T) {
	c := storage.NewDictCache()
	put(t, c, "key", "body")
	derived := 0
	derive := func(e *storage.Entry) any {
		derived++
		return e.Status
	}
	held := func() storage.HeldEntry {
		h, _ := c.Lookup([]byte("key"))
		return h.Entry
	}
	for _, step := range []struct {
		name string
		of   func() storage.HeldEntry
		want int
	}{
		{"Lookup", held, 1},
		{"Lookup again", held, 1},
		{"Unpack", func() storage.HeldEntry { return held().Unpack() }, 1},
		{"KeepDecoded", func() storage.HeldEntry {
			c.KeepDecoded("key", held().Unpack(), []byte("decoded"))
			return held()
		}, 1},
		{"Get", func() storage.HeldEntry { return entryOf(t, c, "key") }, 1},
		{"Lookup after Get", held, 1},
		{"Update", func() storage.HeldEntry {
			if err := c.Update(t.Context(), "key", held().Unpack().Clone()); err != nil {
				t.Fatal(err)
			}
			return held()
		}, 2},
		{"Get after Update", func() storage.HeldEntry { return entryOf(t, c, "key") }, 2},
	} {
		e := step.of()
		if got := e.Derived(derive); got != e.Unpack().Status || derived != step.want {
			t.Errorf("%s: Derived = %v after %d calls of derive, want %v after %d", step.name, got, derived, e.Unpack().Status, step.want)
		}
	}
}
