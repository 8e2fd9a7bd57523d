package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
	"github.com/go-cachecontrol/cachecontrol/storage/storagetest"
)

func TestTieredIsAStore(t *testing.T) {
	for _, s := range stores {
		if s.name == "FromCache" {
			continue // to Tiered it is FromKV
		}
		t.Run(s.name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				c := storage.Tiered(nil, s.open(t), 0)
				t.Cleanup(func() { c.Close() })
				return c
			})
		})
	}
}

// farStore is a shared store that counts calls, fails when it is told to, and streams its bodies where stream is set.
type farStore struct {
	storage.Store
	stream bool
	err    atomic.Pointer[error]
	gets   atomic.Int64
	read   atomic.Int64 // bytes of bodies
	during func()       // called within the next Get, after the entry was found
}

func (s *farStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	s.gets.Add(1)
	if err := s.err.Load(); err != nil {
		return nil, *err
	}
	r, err := s.Store.Get(ctx, key)
	if f := s.during; f != nil {
		s.during = nil
		f()
	}
	if err == nil && s.stream {
		r.Body = &streamedBody{r.Body, &s.read}
	}
	return r, err
}

type streamedBody struct {
	body io.ReadCloser
	read *atomic.Int64
}

func (b *streamedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p[:min(len(p), 1000)])
	b.read.Add(int64(n))
	return n, err
}

func (b *streamedBody) Close() error { return b.body.Close() }

// toldStore is a farStore that tells of changes.
type toldStore struct {
	farStore
	mu       sync.Mutex // guards watchers
	watchers map[int]func(string)
	watches  int
}

func (s *toldStore) Watch(ctx context.Context, changed func(string)) error {
	s.mu.Lock()
	s.watches++
	id := s.watches
	if s.watchers == nil {
		s.watchers = map[int]func(string){}
	}
	s.watchers[id] = changed
	s.mu.Unlock()
	changed("")
	<-ctx.Done()
	s.mu.Lock()
	delete(s.watchers, id)
	s.mu.Unlock()
	return ctx.Err()
}

func (s *toldStore) tell(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, changed := range s.watchers {
		changed(key)
	}
}

const tieredKey = "http://example.com/a?b=c"

func putBody(t *testing.T, s storage.Store, body string) {
	t.Helper()
	e := storagetest.Entry()
	e.Header.Set("X-Body", body)
	w, err := s.Create(t.Context(), tieredKey, e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// look returns the body that s has, and the value of a field of its head; "" if there is none.
func look(t *testing.T, s storage.Store, field string) (body, value string) {
	t.Helper()
	r, err := s.Get(t.Context(), tieredKey)
	if errors.Is(err, storage.ErrNotFound) {
		return "", ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), r.Entry.Header.Get(field)
}

func wantBody(t *testing.T, s storage.Store, want string) {
	t.Helper()
	if got, _ := look(t, s, ""); got != want {
		t.Errorf("body %q, want %q", got, want)
	}
}

// refresh gives the entry that s has a new head, as a 304 does.
func refresh(t *testing.T, s storage.Store, field, value string) {
	t.Helper()
	r, err := s.Get(t.Context(), tieredKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	e := r.Entry.Clone()
	e.Header.Set(field, value)
	if err := s.Update(t.Context(), tieredKey, e); err != nil {
		t.Fatal(err)
	}
}

func TestTiered(t *testing.T) {
	const bound = 10 * time.Second
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			// one and two are two processes over one far store.
			run := func(name string, f func(t *testing.T, far *farStore, one, two storage.Store)) {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						far := &farStore{Store: storage.NewDictCache(), stream: stream}
						f(t, far, storage.Tiered(nil, far, bound), storage.Tiered(nil, far, bound))
					})
				})
			}

			run("a near hit asks nobody", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, two, "old")
				wantBody(t, one, "old")
				far.gets.Store(0)
				for range 100 {
					wantBody(t, one, "old")
				}
				if n := far.gets.Load(); n != 0 {
					t.Errorf("%d calls of the far store", n)
				}
			})
			run("what another stores is seen within the bound", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "old")
				wantBody(t, one, "old")
				putBody(t, two, "new")
				time.Sleep(bound - 1)
				wantBody(t, one, "old")
				time.Sleep(time.Nanosecond)
				wantBody(t, one, "new")
			})
			run("what one stores itself it sees at once", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "old")
				wantBody(t, one, "old")
				putBody(t, one, "new")
				wantBody(t, one, "new")
			})
			run("what another deletes is seen within the bound", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "old")
				wantBody(t, one, "old")
				if err := two.Delete(t.Context(), tieredKey); err != nil {
					t.Fatal(err)
				}
				time.Sleep(bound)
				wantBody(t, one, "")
				putBody(t, two, "new")
				wantBody(t, one, "new")
				if err := one.Delete(t.Context(), tieredKey); err != nil {
					t.Fatal(err)
				}
				wantBody(t, one, "")
			})
			run("what another refreshed comes without the body", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "body")
				wantBody(t, one, "body")
				refresh(t, two, "X-New", "1")
				time.Sleep(bound)
				far.read.Store(0)
				if body, value := look(t, one, "X-New"); body != "body" || value != "1" {
					t.Errorf("body %q, X-New %q", body, value)
				}
				if n := far.read.Load(); n != 0 {
					t.Errorf("%d bytes of the body were read again", n)
				}
				far.gets.Store(0)
				wantBody(t, one, "body")
				if n := far.gets.Load(); n != 0 {
					t.Errorf("%d calls of the far store after that", n)
				}
			})
			run("a near entry is refreshed far away", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "body")
				wantBody(t, one, "body")
				refresh(t, one, "X-New", "1")
				if _, value := look(t, far.Store, "X-New"); value != "1" {
					t.Error("the far store has the old head")
				}
				if _, value := look(t, one, "X-New"); value != "1" {
					t.Error("the near store has the old head")
				}
			})
			run("a near entry whose far one has changed is not refreshed", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "old")
				wantBody(t, one, "old")
				r, err := one.Get(t.Context(), tieredKey)
				if err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				putBody(t, two, "new")
				if err := one.Update(t.Context(), tieredKey, r.Entry.Clone()); !errors.Is(err, storage.ErrChanged) {
					t.Errorf("error %v, want ErrChanged", err)
				}
				wantBody(t, one, "new")
			})
			run("a far store that fails ends the trust after the bound", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "body")
				wantBody(t, one, "body")
				down := errors.New("down")
				far.err.Store(&down)
				wantBody(t, one, "body")
				time.Sleep(bound)
				if _, err := one.Get(t.Context(), tieredKey); !errors.Is(err, down) {
					t.Errorf("error %v, want the far store's", err)
				}
				far.err.Store(nil)
				wantBody(t, one, "body")
			})
			run("what changes while it comes near is not trusted", func(t *testing.T, far *farStore, one, two storage.Store) {
				putBody(t, one, "old")
				far.during = func() { putBody(t, one, "new") }
				wantBody(t, one, "old")
				wantBody(t, one, "new")
			})
			run("a body that is not read to its end does not come near", func(t *testing.T, far *farStore, one, two storage.Store) {
				if !far.stream {
					return // it is in memory anyway
				}
				putBody(t, one, strings.Repeat("long ", 1000))
				r, err := one.Get(t.Context(), tieredKey)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(r.Body, make([]byte, 4999)); err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				far.gets.Store(0)
				wantBody(t, one, strings.Repeat("long ", 1000))
				wantBody(t, one, strings.Repeat("long ", 1000))
				if n := far.gets.Load(); n != 1 {
					t.Errorf("%d calls of the far store, want 1", n)
				}
			})
		})
	}
}

func TestTieredWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &toldStore{farStore: farStore{Store: storage.NewDictCache()}}
		one := storage.Tiered(nil, far, time.Hour)
		synctest.Wait()
		putBody(t, far.Store, "old")
		wantBody(t, one, "old")
		putBody(t, far.Store, "new")
		wantBody(t, one, "old") // nobody has told
		far.tell(tieredKey)
		wantBody(t, one, "new")
		putBody(t, far.Store, "newest")
		far.tell("")
		wantBody(t, one, "newest")
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		far.mu.Lock()
		defer far.mu.Unlock()
		if n := len(far.watchers); n != 0 {
			t.Errorf("%d still watch after Close", n)
		}
	})
}

// However many other keys change, the far store is not asked about this one, and it is if this one changes.
func TestTieredOtherKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &toldStore{farStore: farStore{Store: storage.NewDictCache()}}
		one := storage.Tiered(nil, far, time.Hour)
		defer one.Close()
		synctest.Wait()
		putBody(t, far.Store, "old")
		wantBody(t, one, "old")
		for i := range 20_000 {
			far.tell(fmt.Sprint("other", i))
		}
		wantBody(t, one, "old")
		if n := far.gets.Load(); n != 1 {
			t.Errorf("%d calls of the far store, want 1", n)
		}
		far.tell(tieredKey)
		for range 3 {
			far.during = func() { far.tell(tieredKey) } // what is being read may be old
			wantBody(t, one, "old")
		}
		if n := far.gets.Load(); n != 4 {
			t.Errorf("%d calls of the far store while the key changes, want 4", n)
		}
	})
}

// brokenWatch is a far store whose watch ends by itself.
type brokenWatch struct {
	storage.Store
	watches atomic.Int64
}

func (s *brokenWatch) Watch(context.Context, func(string)) error {
	s.watches.Add(1)
	return errors.New("connection lost")
}

func TestTieredWatchBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &brokenWatch{Store: storage.NewDictCache()}
		one := storage.Tiered(nil, far, time.Hour)
		defer one.Close()
		putBody(t, far.Store, "old")
		wantBody(t, one, "old")
		putBody(t, far.Store, "new")
		time.Sleep(5 * time.Second)
		wantBody(t, one, "new") // what was missed while nobody watched
		if n := far.watches.Load(); n < 4 || n > 6 {
			t.Errorf("%d watches in 5 seconds", n)
		}
	})
}

// Python's entries have no sum: the far store's own mark tells them apart.
func TestTieredRefreshesForeign(t *testing.T) {
	far := kv.FromKV(&storetest.KV{Values: map[string][]byte{tieredKey: foreignDocument(t)}})
	one := storage.Tiered(nil, far, 0)
	defer one.Close()
	wantBody(t, one, "body")
	refresh(t, one, "X-New", "1")
	if body, value := look(t, far, "X-New"); body != "body" || value != "1" {
		t.Errorf("body %q, X-New %q", body, value)
	}
}

// foreignDocument is one without a part of ours.
func foreignDocument(t *testing.T) []byte {
	t.Helper()
	doc := "cc=4,\x82\xa8response\x86\xa4body\xc4\x04body\xa7headers\x81\xa4date\xbdFri, 01 Jan 2021 00:00:00 GMT" +
		"\xa6status\xcc\xc8\xa7version\x0b\xa6reason\xa2OK\xaedecode_content\xc3\xa4vary\x80"
	if _, _, err := serialize.Unmarshal([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	return []byte(doc)
}

// lyingStore says of its bodies that they are of another length.
type lyingStore struct {
	farStore
	by int64
}

func (s *lyingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.farStore.Get(ctx, key)
	if err == nil {
		r.Entry = r.Entry.Clone()
		r.Entry.Length += s.by
	}
	return r, err
}

// TestTieredLies: what is not as long as the far store says does not stay near.
func TestTieredLies(t *testing.T) {
	for _, by := range []int64{-3, -1, 1, 1000} {
		for _, stream := range []bool{false, true} {
			far := &lyingStore{farStore{Store: storage.NewDictCache(), stream: stream}, by}
			c := storage.Tiered(nil, far, 0)
			putBody(t, c, "a body")
			r, err := c.Get(t.Context(), tieredKey)
			if err != nil {
				t.Fatal(err)
			}
			io.CopyN(io.Discard, r.Body, r.Entry.Length)
			io.Copy(io.Discard, r.Body) // who looks whether that is all
			r.Body.Close()
			if h, known := c.(storage.Looker).Lookup([]byte(tieredKey)); known {
				t.Errorf("by %d, streamed: %t: a body of %d bytes is near", by, stream, h.Entry.Unpack().Length)
			}
			c.Close()
		}
	}
}

// No head ever has another's body, whoever writes and whenever a copy comes near.
func TestTieredRaces(t *testing.T) {
	far := &toldStore{farStore: farStore{Store: storage.NewDictCache(), stream: true}}
	var caches []storage.Store
	for range 3 {
		c := storage.Tiered(storage.NewDictCache(), far, time.Millisecond)
		defer c.Close()
		caches = append(caches, c)
	}
	var group sync.WaitGroup
	for i, c := range caches {
		group.Go(func() {
			for n := range 500 {
				switch {
				case n%10 == 0:
					putBody(t, c, strings.Repeat(fmt.Sprint(i, n, "."), 400+i))
					far.tell(tieredKey)
				case n%50 == 7:
					c.Delete(t.Context(), tieredKey)
				}
				if body, head := look(t, c, "X-Body"); body != head {
					t.Errorf("the head of %.20q has the body %.20q", head, body)
				}
			}
		})
	}
	group.Wait()
}

func TestTieredNil(t *testing.T) {
	none := storage.Tiered(nil, nil, 0)
	closed := storage.Tiered(nil, storage.NewDictCache(), 0)
	if err := closed.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
	for name, c := range map[string]storage.Store{"no far store": none, "closed": closed} {
		if _, err := c.Get(t.Context(), tieredKey); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s: Get: %v", name, err)
		}
		if _, err := c.Create(t.Context(), tieredKey, storagetest.Entry()); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s: Create: %v", name, err)
		}
		if err := c.Update(t.Context(), tieredKey, storagetest.Entry()); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s: Update: %v", name, err)
		}
		if err := c.Delete(t.Context(), tieredKey); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s: Delete: %v", name, err)
		}
		c.(storage.DecodedKeeper).KeepDecoded(tieredKey, storagetest.Entry(), nil)
		if err := c.(io.Closer).Close(); err != nil {
			t.Errorf("%s: Close() = %v, want nil", name, err)
		}
	}
}

// TestTieredBodyIsClosedWhileRead: as a body of net/http's, one that comes near may be closed while it is read.
func TestTieredBodyIsClosedWhileRead(t *testing.T) {
	far := newFileCache(t, t.TempDir())
	body := strings.Repeat("body", 50_000)
	putBody(t, far, body)
	for range 100 {
		c := storage.Tiered(nil, far, 0)
		r, err := c.Get(t.Context(), tieredKey)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.Body) })
		all.Go(func() { r.Body.Close() })
		all.Wait()
		wantBody(t, c, body)
		c.Close()
	}
}

// batchStore is a farStore that makes several calls at once.
type batchStore struct {
	farStore
	batches, calls int
}

func (s *batchStore) Batch(ctx context.Context, calls []storage.Call) {
	s.batches++
	s.calls += len(calls)
	for i := range calls {
		switch c := &calls[i]; {
		case c.Put != nil:
			var w storage.Writer
			if w, c.Err = s.Create(ctx, c.Key, c.Put); c.Err == nil {
				c.Err = w.Commit()
			}
		case c.Delete:
			c.Err = s.Delete(ctx, c.Key)
		default:
			if c.Response, c.Err = s.Store.Get(ctx, c.Key); c.Err == nil && c.Known != nil && c.Known.SameBody(c.Response.Entry) {
				c.Response.Body.Close()
				c.Response.Body = nil
			}
		}
	}
}

// The calls of a batch that need the far store are one batch of it. It gives no body that is near.
func TestTieredBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &batchStore{farStore: farStore{Store: storage.NewDictCache()}}
		one := storage.Tiered(nil, far, time.Minute)
		defer one.Close()
		batch := func(calls ...storage.Call) []storage.Call {
			one.(storage.Batcher).Batch(t.Context(), calls)
			return calls
		}
		a, b, none := storage.Call{Key: tieredKey}, storage.Call{Key: tieredKey + "#notice"}, storage.Call{Key: tieredKey + "none"}
		marker := storagetest.Entry()
		marker.Generation = "marker"
		putBody(t, one, "body")
		for _, test := range []struct {
			name           string
			before         func()
			calls          []storage.Call
			want           []string // bodies, or "none"
			batches, asked int
		}{
			{"nothing is near", nil, []storage.Call{a, b, none}, []string{"body", "none", "none"}, 1, 3},
			{"one is near", nil, []storage.Call{none, a}, []string{"none", "body"}, 1, 1},
			{"all are near", nil, []storage.Call{a, a}, []string{"body", "body"}, 0, 0},
			{"one is to be confirmed", func() { time.Sleep(time.Minute) }, []storage.Call{a, none}, []string{"body", "none"}, 1, 2},
			{"one has changed", func() { putBody(t, far, "new"); time.Sleep(time.Minute) }, []storage.Call{a, none}, []string{"new", "none"}, 1, 2},
			{"a Put and a Get", nil, []storage.Call{{Key: tieredKey, Put: marker}, a}, []string{"", ""}, 1, 2},
			{"after the Put", nil, []storage.Call{a}, []string{""}, 1, 1},
			{"a Delete and a Get", nil, []storage.Call{{Key: tieredKey, Delete: true}, a}, []string{"", "none"}, 1, 2},
			{"after the Delete", nil, []storage.Call{a}, []string{"none"}, 1, 1},
			{"nothing", nil, nil, nil, 0, 0},
		} {
			if test.before != nil {
				test.before()
			}
			far.batches, far.calls = 0, 0
			for i, c := range batch(test.calls...) {
				got := ""
				switch {
				case errors.Is(c.Err, storage.ErrNotFound):
					got = "none"
				case c.Err != nil:
					t.Errorf("%s: call %d = %v, want no error", test.name, i, c.Err)
				case c.Response != nil:
					all, _ := io.ReadAll(c.Response.Body)
					got = string(all)
				}
				if got != test.want[i] {
					t.Errorf("%s: call %d = %q, want %q", test.name, i, got, test.want[i])
				}
			}
			if far.batches != test.batches || far.calls != test.asked {
				t.Errorf("%s: %d batches of %d calls, want %d of %d", test.name, far.batches, far.calls, test.batches, test.asked)
			}
		}
		one.Close()
		if c := batch(a)[0]; c.Err != storage.ErrClosed {
			t.Errorf("after Close: %v, want %v", c.Err, storage.ErrClosed)
		}
	})
	if _, ok := storage.Tiered(nil, &farStore{}, 0).(storage.Batcher); ok {
		t.Error("a Tiered of a store that is no Batcher is one")
	}
}
