package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

// sealingKey returns the n-th key of these tests.
func sealingKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func newSealed(t testing.TB, store storage.Store, keys ...[]byte) storage.Store {
	t.Helper()
	s, err := storage.Sealed(store, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealed(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store { return newSealed(t, s.open(t), sealingKey(1)) })
		})
	}
	t.Run("Tiered", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return newSealed(t, storage.Tiered(nil, storage.NewDictCache(), 0), sealingKey(1))
		})
	})
	t.Run("in Tiered", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return storage.Tiered(nil, newSealed(t, storage.NewDictCache(), sealingKey(1)), 0)
		})
	})
	t.Run("plain", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return newSealed(t, struct{ storage.Store }{storage.NewDictCache()}, sealingKey(1))
		})
	})
	t.Run("rotated", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return newSealed(t, storage.NewDictCache(), sealingKey(2), sealingKey(1), sealingKey(2))
		})
	})
}

func TestSealedKeys(t *testing.T) {
	for _, test := range []struct {
		name  string
		store storage.Store
		keys  [][]byte
	}{
		{"no store", nil, [][]byte{sealingKey(1)}},
		{"no key", storage.NewDictCache(), nil},
		{"nil", storage.NewDictCache(), [][]byte{nil}},
		{"too short", storage.NewDictCache(), [][]byte{sealingKey(1), make([]byte, 31)}},
	} {
		if s, err := storage.Sealed(test.store, test.keys...); err == nil || s != nil {
			t.Errorf("%s: Sealed = %v, %v, want nil and an error", test.name, s, err)
		}
	}
}

// A change of the key that was given to Sealed has no effect.
func TestSealedKeyIsTheCallers(t *testing.T) {
	key := sealingKey(1)
	s := newSealed(t, storage.NewDictCache(), key)
	put(t, s, "a", "body")
	clear(key)
	mustGet(t, s, "a", "body")
	put(t, s, "b", "body")
	mustGet(t, s, "b", "body")
}

// TestSealedOptional checks that a sealed store implements exactly the optional interfaces that it should.
func TestSealedOptional(t *testing.T) {
	type abilities struct{ compares, leases, lists, watches, decodes, looks bool }
	of := func(s storage.Store) (a abilities) {
		_, a.compares = s.(storage.Comparer)
		_, a.leases = s.(storage.Leaser)
		_, a.lists = s.(storage.Lister)
		_, a.watches = s.(storage.Watcher)
		_, a.decodes = s.(storage.DecodedKeeper)
		_, a.looks = s.(storage.Looker)
		return a
	}
	dict := storage.NewDictCache()
	for _, test := range []struct {
		name  string
		store storage.Store
		want  abilities
	}{
		{"DictCache", dict, abilities{compares: true, leases: true, lists: true}},
		{"plain", struct{ storage.Store }{dict}, abilities{lists: true}},
		{"Comparer", struct {
			storage.Store
			storage.Comparer
		}{dict, dict}, abilities{compares: true, lists: true}},
		{"Leaser", struct {
			storage.Store
			storage.Leaser
		}{dict, dict}, abilities{leases: true, lists: true}},
	} {
		s := newSealed(t, test.store, sealingKey(1))
		if got := of(s); got != test.want {
			t.Errorf("%s: Sealed is %+v, want %+v", test.name, got, test.want)
		}
		w, err := s.Create(t.Context(), "a", storagetest.Entry())
		if err != nil {
			t.Fatal(err)
		}
		if _, got := w.(storage.ComparingWriter); test.want.compares && !got {
			t.Errorf("%s: Create returned a %T, want a ComparingWriter", test.name, w)
		}
		w.Abort()
	}
	for _, err := range newSealed(t, struct{ storage.Store }{dict}, sealingKey(1)).(storage.Lister).List(t.Context()) {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("List of a sealed store that cannot list yields %v, want %v", err, errors.ErrUnsupported)
		}
	}
}

// TestSealedTraits checks that the traits are those of the store, and that it knows of parts although they are sealed.
func TestSealedTraits(t *testing.T) {
	s := newSealed(t, storage.NewDictCache(), sealingKey(1))
	traits := func() storage.Traits { return s.(storage.Describer).Traits() }
	if got, want := traits(), (storage.Traits{Local: true, NoRanges: true, NoMarks: true}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Traits = %+v, want %+v", got, want)
	}
	put(t, s, "part", "body") // the Entry has a Range
	put(t, s, storage.MarksKey, "body")
	if got := traits(); got.NoRanges || got.NoMarks {
		t.Errorf("Traits with a part and marks = %+v, want neither NoRanges nor NoMarks", got)
	}
}

// TestSealedHides checks that nothing of an entry is in clear in the files of a cache.
func TestSealedHides(t *testing.T) {
	dir := t.TempDir()
	s := newSealed(t, newFileCache(t, dir), sealingKey(1))
	const url, body = "http://example.com/a?b=c", "the secret text of a body"
	put(t, s, url, strings.Repeat(body, 10_000))
	put(t, s, url+"#variant=1", body)
	put(t, s, storage.MarksKey, body)
	mustGet(t, s, url, strings.Repeat(body, 10_000))
	e := storagetest.Entry()
	secrets := []string{"example.com", "secret", "variant=", e.Reason, "max-age", "Content-Type", "Accept-Language", "digest", e.Groups[0]}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) || strings.Contains(path, secret) {
				t.Errorf("%s contains %q, want nothing of the entry in clear", path, secret)
			}
		}
		return err
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files, error %v, want at least 3", files, err)
	}
}

// TestSealedUnsealed checks that entries that are not sealed, or are with another key, are misses.
func TestSealedUnsealed(t *testing.T) {
	dict := storage.NewDictCache()
	put(t, dict, "plain", "body")
	put(t, dict, storage.MarksKey, "body")
	put(t, newSealed(t, dict, sealingKey(2)), "other", "body")
	s := newSealed(t, dict, sealingKey(1))
	wantMiss(t, s, "plain", false)
	wantMiss(t, s, "other", false)
	wantMiss(t, s, storage.MarksKey, true)
	put(t, newSealed(t, dict, sealingKey(2)), storage.MarksKey, "body")
	wantMiss(t, s, storage.MarksKey, true)
	for l, err := range s.(storage.Lister).List(t.Context()) {
		t.Errorf("List yields %+v, %v, want nothing", l, err)
	}

	// Such an entry does not prevent that another takes its place.
	w, err := s.Create(t.Context(), storage.MarksKey, storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.(storage.ComparingWriter).CommitIf(func(*storage.Entry) bool { return false }); err != nil {
		t.Errorf("CommitIf in place of an entry that cannot be read = %v, want nil", err)
	}
	mustGet(t, s, storage.MarksKey, "")
}

// TestSealedKeep checks that a store that expires entries is told when, although the times are sealed.
func TestSealedKeep(t *testing.T) {
	dict := storage.NewDictCache()
	s := newSealed(t, dict, sealingKey(1))
	for _, test := range []struct {
		keep     time.Duration
		received time.Duration // before now
		want     time.Duration
	}{{0, time.Hour, 0}, {3 * time.Hour, time.Hour, 2 * time.Hour}, {time.Hour, 2 * time.Hour, time.Second}} {
		e := storagetest.Entry()
		e.Keep, e.ResponseTime = test.keep, time.Now().Add(-test.received)
		w, err := s.Create(t.Context(), "a", e)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		for l := range dict.List(t.Context()) {
			if got := l.Entry.Keep; got.Round(time.Minute) != test.want.Round(time.Minute) {
				t.Errorf("Keep %v of a response received %v ago is stored as %v, want %v", test.keep, test.received, got, test.want)
			}
			if !l.Entry.ResponseTime.IsZero() {
				t.Errorf("ResponseTime = %v in clear, want none", l.Entry.ResponseTime)
			}
		}
	}
}

// TestSealedRotation rotates the keys of a store.
func TestSealedRotation(t *testing.T) {
	dict := storage.NewDictCache()
	count := func(want int) {
		t.Helper()
		n := 0
		for range dict.List(t.Context()) {
			n++
		}
		if n != want {
			t.Errorf("the store has %d entries, want %d", n, want)
		}
	}
	old := newSealed(t, dict, sealingKey(1))
	put(t, old, "updated", "1")
	put(t, old, "replaced", "1")
	put(t, old, "deleted", "1")
	put(t, old, storage.MarksKey, "1")

	// First all processes get the new key, and still seal with the old one. Then they seal with the new one.
	before, after := newSealed(t, dict, sealingKey(1), sealingKey(2)), newSealed(t, dict, sealingKey(2), sealingKey(1))
	for _, s := range []storage.Store{before, after} {
		mustGet(t, s, "updated", "1")
		mustGet(t, s, storage.MarksKey, "1")
	}
	e := mustGet(t, after, "updated", "1").Entry.Clone()
	e.Status = 203
	if err := after.Update(t.Context(), "updated", e); err != nil {
		t.Errorf("Update of an entry of the old key = %v, want nil", err)
	}
	if got := mustGet(t, before, "updated", "1").Entry.Status; got != 203 {
		t.Errorf("Status after Update = %d, want 203", got)
	}
	put(t, after, storage.MarksKey, "2")
	mustGet(t, before, storage.MarksKey, "2")
	for i, s := range []storage.Store{after, before, after} {
		body := fmt.Sprint(i)
		put(t, s, "replaced", body)
		mustGet(t, before, "replaced", body)
		mustGet(t, after, "replaced", body)
		count(4) // those under the other names are gone
	}
	if err := after.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, before, "deleted", false)
	count(3)

	// A more recent entry of the other key is not replaced.
	put(t, before, "compared", "recent")
	w, err := after.Create(t.Context(), "compared", storagetest.Entry())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.(storage.ComparingWriter).CommitIf(func(*storage.Entry) bool { return false }); err != storage.ErrChanged {
		t.Errorf("CommitIf with a more recent entry of the old key = %v, want %v", err, storage.ErrChanged)
	}
	mustGet(t, after, "compared", "recent")

	// Then the old key is removed.
	last := newSealed(t, dict, sealingKey(2))
	mustGet(t, last, "replaced", "2")
	mustGet(t, last, storage.MarksKey, "2")
	wantMiss(t, last, "updated", false)
	wantMiss(t, last, "compared", false)
}

// countingStore counts the bytes that are read of bodies.
type countingStore struct {
	storage.Store
	read atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return &storage.Response{Entry: r.Entry, Body: &countingBody{r.Body, s}}, nil
}

type countingBody struct {
	io.ReadCloser
	store *countingStore
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.store.read.Add(int64(n))
	return n, err
}

func (b *countingBody) Seek(offset int64, whence int) (int64, error) {
	return b.ReadCloser.(io.Seeker).Seek(offset, whence)
}

// TestSealedSeek checks that a range costs the chunks that it is in, and not what is before.
func TestSealedSeek(t *testing.T) {
	under := &countingStore{Store: storage.NewDictCache()}
	s := newSealed(t, under, sealingKey(1))
	body := randomText(rand.New(rand.NewPCG(1, 2)), 3<<20)
	put(t, s, "a", body)
	for _, r := range [][2]int{{2 << 20, 100}, {2<<20 - 50, 100}, {1 << 16, 1 << 16}, {3<<20 - 1, 1}, {0, 10}} {
		under.read.Store(0)
		resp, err := s.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Body.(io.Seeker).Seek(int64(r[0]), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, r[1])
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != body[r[0]:r[0]+r[1]] {
			t.Errorf("%d bytes at %d: wrong bytes or error %v", r[1], r[0], err)
		}
		resp.Body.Close()
		if n, most := under.read.Load(), int64(4<<16); n > most {
			t.Errorf("%d bytes at %d cost %d bytes, want at most %d", r[1], r[0], n, most)
		}
		if _, err := resp.Body.Read(got); err == nil {
			t.Error("Read after Close = nil, want an error")
		}
	}
}

func randomText(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestSealedFails checks that a store that fails is no more than that: no entry is half written, and no call panics.
func TestSealedFails(t *testing.T) {
	for op := range faultstore.Ops {
		for fault := faultstore.Err; fault < faultstore.Faults; fault++ {
			if fault == faultstore.Hang {
				continue
			}
			t.Run(fmt.Sprint(op, " ", fault), func(t *testing.T) {
				dict := storage.NewDictCache()
				put(t, newSealed(t, dict, sealingKey(1)), "a", "old")
				s := newSealed(t, &faultstore.Store{Store: dict, Fault: func(o faultstore.Op) faultstore.Fault {
					if o == op {
						return fault
					}
					return faultstore.None
				}}, sealingKey(1))
				if r, _, err := get(t, s, "a"); err == nil {
					e := r.Entry.Clone()
					s.Update(t.Context(), "a", e)
				}
				long := strings.Repeat("new", 100_000)
				if w, err := s.Create(t.Context(), "a", storagetest.Entry()); err == nil {
					_, err := io.WriteString(w, long)
					if err == nil {
						w.Commit()
					} else {
						w.Abort()
					}
				}
				switch _, body, err := get(t, newSealed(t, dict, sealingKey(1)), "a"); {
				case err == nil && body != "old" && body != long:
					t.Errorf("Get = %.20q (%d bytes), want the old or the new entry", body, len(body))
				case err != nil && !errors.Is(err, storage.ErrNotFound):
					t.Errorf("Get = %v, want an entry or a miss", err)
				}
				s.Delete(t.Context(), "a")
			})
		}
	}
}

// TestSealedLongBody stores and reads a body of 1 GiB in a fixed amount of memory.
func TestSealedLongBody(t *testing.T) {
	length := int64(1 << 30)
	if testing.Short() {
		length = 64 << 20
	}
	s := newSealed(t, newFileCache(t, t.TempDir()), sealingKey(1))
	var most uint64
	var stats runtime.MemStats
	watch := func() {
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapInuse+stats.StackInuse)
	}
	source := rand.NewChaCha8([32]byte{1})
	e := storagetest.Entry()
	e.Range = nil
	w, err := s.Create(t.Context(), "a", e)
	if err != nil {
		t.Fatal(err)
	}
	buf, same := make([]byte, 1<<20), make([]byte, 1<<20)
	for n := int64(0); n < length; n += int64(len(buf)) {
		source.Read(buf)
		if _, err := w.Write(buf); err != nil {
			t.Fatal(err)
		}
		if n%(64<<20) == 0 {
			watch()
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	source.Seed([32]byte{1})
	for n := int64(0); n < length; n += int64(len(buf)) {
		source.Read(same)
		if _, err := io.ReadFull(r.Body, buf); err != nil || !bytes.Equal(buf, same) {
			t.Fatalf("at %d: error %v, or other bytes", n, err)
		}
		if n%(64<<20) == 0 {
			watch()
		}
	}
	if n, err := r.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("Read at the end = %d, %v, want 0, %v", n, err, io.EOF)
	}
	t.Logf("a body of %d MiB took at most %d MiB of memory", length>>20, most>>20)
	if limit := uint64(32 << 20); most > limit {
		t.Errorf("a body of %d MiB took %d MiB of memory, want at most %d", length>>20, most>>20, limit>>20)
	}
}
