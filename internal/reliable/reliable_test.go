package reliable

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/bytesbody"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const timeout = time.Second

func newEntry() *storage.Entry {
	return &storage.Entry{Status: 200, Version: 11, Header: http.Header{}, RequestTime: time.Now(), ResponseTime: time.Now(), Length: -1}
}

// put stores body under key.
func put(s *Store, key, body string) error {
	w, err := s.Create(context.Background(), key, newEntry())
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// read returns the body under key.
func read(ctx context.Context, s *Store, key string) (string, error) {
	r, err := s.Get(ctx, key)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

// Calls are counted by the time they took.
func TestOperationTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := time.Duration(0)
		inner := storage.NewDictCache()
		s := New(Config{Store: &faultstore.Store{Store: inner, Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Get {
				time.Sleep(took)
			}
			return faultstore.None
		}}, Timeout: time.Minute})
		defer s.Close()
		for _, took = range []time.Duration{
			0, 64*time.Microsecond - 1, 64 * time.Microsecond, 255 * time.Microsecond, 256 * time.Microsecond, 3 * time.Millisecond, time.Second, 2 * time.Second, time.Minute,
		} {
			s.Get(t.Context(), "key")
		}
		want := map[time.Duration]uint64{
			64 * time.Microsecond: 2, 256 * time.Microsecond: 2, 1024 * time.Microsecond: 1, 4096 * time.Microsecond: 1, 1048576 * time.Microsecond: 1, 0: 2,
		}
		if got := s.Operations()["get"].Took; !maps.Equal(got, want) {
			t.Errorf("calls by time: %v, want %v", got, want)
		}
	})
}

// Each call returns an error in time, whatever the store does.
func TestRogueStore(t *testing.T) {
	for _, op := range faultstore.RogueOps() {
		for _, trick := range faultstore.Tricks(op) {
			if op == faultstore.Abort || op == faultstore.Close || op == faultstore.Release || trick == faultstore.Foreign || trick == faultstore.NeverGiven {
				continue // no call returns an error
			}
			t.Run(op.String()+"/"+trick.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rogue := &faultstore.Rogue{Store: storage.NewDictCache()}
					s := New(Config{Store: rogue, Timeout: timeout})
					long := strings.Repeat("x", 3*guardHead)
					if err := put(s, "key", long); err != nil {
						t.Fatal(err)
					}
					var ended atomic.Bool
					rogue.Play = func(o faultstore.Op) faultstore.Trick {
						if o == op && !ended.Load() {
							return trick
						}
						return faultstore.NoTrick
					}
					defer func() {
						ended.Store(true)
						rogue.Release()
						s.Close()
					}()
					start := time.Now()
					var err error
					switch op {
					case faultstore.Create, faultstore.Write, faultstore.Commit:
						err = put(s, "key", "new")
					case faultstore.Update:
						err = s.Update(t.Context(), "key", newEntry(), nil)
					case faultstore.Delete:
						err = s.Delete(t.Context(), "key")
					case faultstore.Lease:
						_, _, err = s.Lease(t.Context(), "key", time.Hour)
					default:
						_, err = read(t.Context(), s, "key")
					}
					if err == nil {
						t.Errorf("the error is nil")
					}
					if took := time.Since(start); took > timeout+callGrace {
						t.Errorf("it took %v, want at most %v", took, timeout+callGrace)
					}
				})
			})
		}
	}
}

// Whatever a store does in Lease or release, either takes at most the timeout, and counts as a failure.
func TestRogueLease(t *testing.T) {
	for _, test := range []struct {
		op       faultstore.Op
		trick    faultstore.Trick
		ok       bool
		failures uint64
		free     bool // afterwards, once the store works again
	}{
		{faultstore.Lease, faultstore.NoTrick, true, 0, true},
		{faultstore.Lease, faultstore.NeverGiven, false, 0, true},
		{faultstore.Lease, faultstore.NoRelease, false, 1, false},
		{faultstore.Lease, faultstore.Panic, false, 1, true},
		{faultstore.Lease, faultstore.Stuck, false, 1, true},
		{faultstore.Release, faultstore.Panic, true, 1, false},
		{faultstore.Release, faultstore.Stuck, true, 1, true},
	} {
		t.Run(test.op.String()+"/"+test.trick.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var works atomic.Bool
				rogue := &faultstore.Rogue{Store: storage.NewDictCache(), Play: func(op faultstore.Op) faultstore.Trick {
					if op == test.op && !works.Load() {
						return test.trick
					}
					return faultstore.NoTrick
				}}
				s := New(Config{Store: rogue, Timeout: timeout})
				lease := func() (release func(), ok bool) {
					t.Helper()
					start := time.Now()
					release, ok, err := s.Lease(t.Context(), "key", time.Hour)
					if ok != (release != nil) || ok && err != nil {
						t.Errorf("Lease = %t, %v, release is nil: %t", ok, err, release == nil)
					}
					if took := time.Since(start); took > timeout+callGrace {
						t.Errorf("Lease took %v, want at most %v", took, timeout+callGrace)
					}
					return release, ok
				}
				release, ok := lease()
				if ok != test.ok {
					t.Errorf("Lease = %t, want %t", ok, test.ok)
				}
				if ok {
					start := time.Now()
					release()
					if took := time.Since(start); took > timeout+callGrace {
						t.Errorf("release took %v, want at most %v", took, timeout+callGrace)
					}
					release() // does nothing any more
				}
				if n := s.Failures()["lease"]; n != test.failures {
					t.Errorf("%d failures of lease, want %d", n, test.failures)
				}
				works.Store(true)
				rogue.Release()
				synctest.Wait()
				if release, ok := lease(); ok != test.free {
					t.Errorf("Lease = %t after the store works again, want %t", ok, test.free)
				} else if ok {
					release()
				}
				time.Sleep(time.Hour + time.Second) // a lease that was lost ends
				if release, ok := lease(); !ok {
					t.Error("Lease = false after the time of a lease, want true")
				} else {
					release()
				}
			})
		})
	}
}

// A caller that leaves does not wait for a lease, and one that is given too late is released. That is not a failure.
func TestCancelledLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rogue := &faultstore.Rogue{Store: storage.NewDictCache(), Play: func(op faultstore.Op) faultstore.Trick {
			if op == faultstore.Lease {
				return faultstore.Stuck
			}
			return faultstore.NoTrick
		}}
		s := New(Config{Store: rogue, Timeout: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		time.AfterFunc(time.Second/2, cancel)
		start := time.Now()
		if _, ok, err := s.Lease(ctx, "key", time.Hour); ok || err == nil {
			t.Errorf("Lease = %t, %v, want false and an error", ok, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Lease took %v, want at most 1s", took)
		}
		rogue.Release()
		synctest.Wait()
		rogue.Play = nil
		if release, ok, err := s.Lease(t.Context(), "key", time.Hour); !ok || err != nil {
			t.Errorf("Lease = %t, %v, want true, nil", ok, err)
		} else {
			release()
		}
		if n := s.Failures()["lease"]; n != 0 {
			t.Errorf("%d failures of lease, want 0", n)
		}
		s.Close()
		if _, ok, err := s.Lease(t.Context(), "key", time.Hour); ok || err != storage.ErrClosed {
			t.Errorf("Lease after Close = %t, %v, want false, %v", ok, err, storage.ErrClosed)
		}
		if !s.HasLeases() || New(Config{Store: plainStore{rogue}, Timeout: timeout}).HasLeases() {
			t.Error("HasLeases must be true for a Leaser only")
		}
	})
}

// plainStore hides the optional interfaces of a store.
type plainStore struct{ storage.Store }

// A store that hangs keeps a limited number of goroutines, and new calls fail at once until some of the old ones
// return.
func TestHungCallsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		rogue := &faultstore.Rogue{Store: storage.NewDictCache(), Play: func(faultstore.Op) faultstore.Trick {
			if works.Load() {
				return faultstore.NoTrick
			}
			return faultstore.Stuck
		}}
		s := New(Config{Store: rogue, Timeout: timeout})
		for range maxHung {
			if _, err := s.Get(t.Context(), "key"); err != errHangs {
				t.Errorf("Get = %v, want %v", err, errHangs)
			}
		}
		start := time.Now()
		if _, err := s.Get(t.Context(), "key"); err != errBusy || time.Since(start) > 0 {
			t.Errorf("Get = %v after %v, want %v at once", err, time.Since(start), errBusy)
		}
		works.Store(true)
		rogue.Release()
		synctest.Wait()
		if _, err := s.Get(t.Context(), "key"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("then Get = %v, want %v", err, storage.ErrNotFound)
		}
	})
}

// What an abandoned call stores is deleted, unless it says what was invalidated: without it, a response may be used again that must
// not be.
func TestAbandonedCommits(t *testing.T) {
	for key, kept := range map[string]bool{
		"http://example.com/": false, "http://example.com/" + cachekey.NoticeSuffix: true, storage.MarksKey: true, "http://example.com" + cachekey.MarksSuffix + "7": true,
	} {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := storage.NewDictCache()
				var works atomic.Bool
				rogue := &faultstore.Rogue{Store: inner, Play: func(op faultstore.Op) faultstore.Trick {
					if op == faultstore.Commit && !works.Load() {
						return faultstore.Stuck
					}
					return faultstore.NoTrick
				}}
				s := New(Config{Store: rogue, Timeout: timeout})
				defer s.Close()
				if err := put(s, key, "late"); err != errHangs {
					t.Errorf("put of a store that hangs = %v, want %v", err, errHangs)
				}
				works.Store(true)
				if err := put(s, key, "next"); err != nil {
					t.Errorf("the next put = %v, want nil", err)
				}
				rogue.Release()
				synctest.Wait()
				if n := inner.Len(); (n == 1) != kept {
					t.Errorf("%d entries are stored, want it kept: %v", n, kept)
				}
			})
		})
	}
}

// An entry that the store failed to delete is not returned. Get tries again to delete it.
func TestFailedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		var broken atomic.Bool
		broken.Store(true)
		s := New(Config{Timeout: timeout, Store: &faultstore.Store{Store: inner, Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Delete && broken.Load() {
				return faultstore.Err
			}
			return faultstore.None
		}}})
		get := func(want string, wantErr error) {
			t.Helper()
			if got, err := read(t.Context(), s, "key"); got != want || err != wantErr {
				t.Errorf("Get = %q, %v, want %q, %v", got, err, want, wantErr)
			}
		}
		put(s, "key", "old")
		get("old", nil)
		time.Sleep(time.Second)
		if err := s.Delete(t.Context(), "key"); err != faultstore.ErrFault {
			t.Fatalf("Delete = %v, want %v", err, faultstore.ErrFault)
		}
		get("", storage.ErrNotFound)
		if n := inner.Len(); n != 1 {
			t.Errorf("%d entries are stored, want 1", n)
		}
		broken.Store(false)
		time.Sleep(timeout)
		get("", storage.ErrNotFound)
		if n := inner.Len(); n != 0 {
			t.Errorf("%d entries are stored, want 0", n)
		}
		broken.Store(true)
		s.Delete(t.Context(), "key")
		time.Sleep(time.Millisecond)
		put(s, "key", "new") // it was requested after the failure
		get("new", nil)
		if n := s.Failures()["delete"]; n != 2 {
			t.Errorf("%d failures of delete, want 2", n)
		}
		s.Close()
	})
}

// A deletion that was not made because its server is given up is made soon after the server is back, although nothing else
// calls it.
func TestDeletionsOfAServerThatIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		back := time.Now().Add(time.Minute)
		s := New(Config{Store: &suspendedStore{inner, back}, Timeout: timeout})
		defer s.Close()
		put(s, "key", "body")
		s.Delete(t.Context(), "key")
		time.Sleep(time.Until(back) + time.Second)
		synctest.Wait()
		if n := inner.Len(); n != 0 {
			t.Errorf("%d entries are left a second after the server is back, want 0", n)
		}
	})
}

// Close waits for the retries of deletions that fail at the same time. The race detector sees that best.
func TestCloseDuringDelete(t *testing.T) {
	for range 100 {
		s := New(Config{Timeout: timeout, Store: &faultstore.Store{Store: storage.NewDictCache(), Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Delete {
				return faultstore.Err
			}
			return faultstore.None
		}}})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := s.Delete(t.Context(), "key"); err != faultstore.ErrFault {
					t.Errorf("Delete = %v, want %v", err, faultstore.ErrFault)
				}
			})
		}
		s.Close()
		all.Wait()
	}
}

// suspendedStore makes no deletion before a time.
type suspendedStore struct {
	storage.Store
	until time.Time
}

func (s *suspendedStore) Delete(ctx context.Context, key string) error {
	if time.Now().Before(s.until) {
		return storage.ErrSuspended
	}
	return s.Store.Delete(ctx, key)
}

// A deletion that has failed is tried again until it succeeds, and once more by Close.
func TestDeletionsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		var broken atomic.Bool
		var calls atomic.Int64
		broken.Store(true)
		s := New(Config{Store: &faultstore.Store{Store: inner, Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Delete {
				if calls.Add(1); broken.Load() {
					return faultstore.Err
				}
			}
			return faultstore.None
		}}, Timeout: timeout})
		for i := range 10 {
			put(s, fmt.Sprint(i), "body")
			s.Delete(t.Context(), fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := calls.Load(); n < 10+10 || n > 10+20 {
			t.Errorf("%d calls in a minute, want one at a time with growing pauses", n)
		}
		broken.Store(false)
		time.Sleep(mostRetry)
		synctest.Wait()
		if n := inner.Len(); n != 0 || calls.Load() > 10+20+10 {
			t.Errorf("%d entries are left after %d calls, want 0", n, calls.Load())
		}

		put(s, "last", "body")
		broken.Store(true)
		s.Delete(t.Context(), "last")
		broken.Store(false)
		s.Close()
		if n := inner.Len(); n != 0 {
			t.Errorf("%d entries are left after Close, want 0", n)
		}
	})
}

// An entry that was requested before its key was invalidated is not used, even if the store has it again. One that was
// stored afterwards is.
func TestInvalidated(t *testing.T) {
	s := New(Config{Store: &faultstore.Store{Store: storage.NewDictCache(), Fault: func(faultstore.Op) faultstore.Fault { return faultstore.None }}, Timeout: timeout})
	defer s.Close()
	now := time.Now()
	at := func(d time.Duration) *storage.Entry { return &storage.Entry{RequestTime: now.Add(d)} }
	covers := func(d time.Duration, want bool) {
		t.Helper()
		if got := s.IsTombstoned("key", at(d)); got != want {
			t.Errorf("IsTombstoned of an entry requested after %v = %v, want %v", d, got, want)
		}
	}
	covers(0, false)
	s.Invalidated("key", now)
	covers(-1, true)
	covers(0, false)
	if s.IsTombstoned("another", at(-1)) {
		t.Error("IsTombstoned for another key = true, want false")
	}
	s.Stored("key", at(-time.Second)) // the response to the request that has invalidated it
	covers(-time.Second, false)
	covers(-time.Second-1, true)
}

// However many deletions fail, a limited number of keys is remembered, and none of the entries is used.
func TestTombstonesAreLimited(t *testing.T) {
	var stones tombstones
	start := time.Now()
	at := func(n int) *storage.Entry { return &storage.Entry{RequestTime: start.Add(time.Duration(n))} }
	const keys = 3*maxTombstones + 7
	for i := range keys {
		stones.add(fmt.Sprint(i), start.Add(time.Duration(i)), nil)
	}
	if len(stones.keys) > maxTombstones {
		t.Errorf("%d keys are remembered, want at most %d", len(stones.keys), maxTombstones)
	}
	for i := range keys {
		if !stones.cover(fmt.Sprint(i), at(i)) {
			t.Fatalf("cover(%d) = false, want true", i)
		}
	}
	for _, key := range []string{"0", fmt.Sprint(keys - 1), "another"} {
		if stones.cover(key, at(keys)) {
			t.Errorf("cover(%q) = true for a later entry, want false", key)
		}
	}
	stones = tombstones{}
	stones.add("a", start, nil)
	if stones.cover("b", new(storage.Entry)) {
		t.Error("cover of another key = true, want false")
	}
	stones.remove("a", start.Add(-1)) // it has failed again since
	if !stones.any.Load() {
		t.Error("any = false after a deletion that began before the failure, want true")
	}
	stones.remove("a", start)
	if stones.any.Load() {
		t.Error("any = true after the last key was removed, want false")
	}
}

// One failure in ten seconds is a warning, with the number of failures since the last one.
func TestWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := New(Config{Store: storage.NewDictCache(), Timeout: timeout, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for range 41 {
			s.Failed(t.Context(), "get", "http://user:secret@example.com/", errors.New("broken"))
			time.Sleep(500 * time.Millisecond)
		}
		s.Failed(t.Context(), "delete", "http://example.com/", storage.ErrSuspended) // a consequence of an earlier failure
		s.Failed(t.Context(), "delete", "http://example.com/", storage.ErrClosed)    // not a failure
		s.Failed(t.Context(), "get", "http://example.com/", fmt.Errorf("%w: %w", storage.ErrUnreadable, errors.New("torn")))
		var got []string
		for line := range strings.Lines(log.String()) {
			_, n, _ := strings.Cut(strings.TrimSpace(line), "failures=")
			got = append(got, n)
		}
		if want := []string{"1", "20", "20", "1"}; !slices.Equal(got, want) {
			t.Errorf("warnings for %q failures, want %q:\n%s", got, want, &log)
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("the log has a password:\n%s", &log)
		}
		if got := fmt.Sprint(s.Failures(), s.NotCalled()); got != "map[get:42] map[delete:1]" {
			t.Errorf("Failures(), NotCalled() = %s, want map[get:42] map[delete:1]", got)
		}
	})
}

func TestClose(t *testing.T) {
	s := New(Config{Store: storage.NewDictCache(), Timeout: timeout})
	if err := put(s, "key", "body"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := s.Get(t.Context(), "key"); err != storage.ErrClosed {
		t.Errorf("Get = %v, want %v", err, storage.ErrClosed)
	}
	if err := put(s, "key", "new"); err != storage.ErrClosed {
		t.Errorf("Create = %v, want %v", err, storage.ErrClosed)
	}
}

// brokenLooker panics wherever it is called directly.
type brokenLooker struct {
	storage.Store
	described int
}

func (b *brokenLooker) Traits() storage.Traits {
	if b.described++; b.described > 1 { // New needs one
		panic("traits")
	}
	return storage.Traits{}
}

func (*brokenLooker) Lookup([]byte) (storage.Held, bool) { panic("lookup") }

func TestDirectCallsMayPanic(t *testing.T) {
	s := New(Config{Store: &brokenLooker{Store: storage.NewDictCache()}, Timeout: timeout})
	put(s, "key", "body")
	if h, known := s.Lookup([]byte("key")); h.Entry != nil || known {
		t.Errorf("Lookup = %v, %v, want nothing", h.Entry, known)
	}
	if got, err := read(t.Context(), s, "key"); got != "body" || err != nil {
		t.Errorf("Get = %q, %v, want body, nil", got, err)
	}
	if has, known := s.HasRanges(); has || known {
		t.Errorf("HasRanges = %v, %v, want false, false", has, known)
	}
	if n := s.Failures()["get"]; n != 3 {
		t.Errorf("%d failures of get, want 3", n)
	}
}

// readingStore returns bodies that it has begun to read.
type readingStore struct{ storage.Store }

func (s readingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	r, err := s.Store.Get(ctx, key)
	if err == nil {
		r.Body.Read(make([]byte, 5))
	}
	return r, err
}

// A whole body in memory is read without calls of the store. It begins at its start, and is as long as its entry says.
func TestBodyInMemory(t *testing.T) {
	long := strings.Repeat("0123456789", guardHead)
	s := New(Config{Store: readingStore{storage.NewDictCache()}, Timeout: timeout})
	if err := put(s, "key", long); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, ok := r.Body.(*bytesbody.Body); !ok {
		t.Errorf("the body is a %T, want a %T", r.Body, new(bytesbody.Body))
	}
	if got, err := io.ReadAll(r.Body); string(got) != long || err != nil {
		t.Errorf("the body has %d bytes, %v, want %d, nil", len(got), err, len(long))
	}
}

// localStore passes the context of each call to check.
type localStore struct {
	*storage.DictCache
	check func(context.Context)
}

func (s localStore) Traits() storage.Traits { return storage.Traits{Local: true} }

func (s localStore) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(*storage.Entry) bool) error {
	s.check(ctx)
	return s.DictCache.UpdateIf(ctx, key, e, may)
}

func (s localStore) Delete(ctx context.Context, key string) error {
	s.check(ctx)
	return s.DictCache.Delete(ctx, key)
}

// The calls that change an entry do not end with the request, but have a deadline.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := New(Config{Timeout: timeout, Store: localStore{storage.NewDictCache(), func(ctx context.Context) {
			calls++
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != timeout || ctx.Err() != nil {
				t.Errorf("Deadline() = %v, %v, Err() = %v, want in %v, nil", at, ok, ctx.Err(), timeout)
			}
		}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		put(s, "key", "body")
		s.Update(ctx, "key", newEntry(), nil)
		s.Delete(ctx, "key")
		if calls != 2 {
			t.Errorf("%d calls, want 2", calls)
		}
	})
}

// listFunc is a storage.Lister.
type listFunc struct {
	storage.Store
	list func(ctx context.Context) iter.Seq2[storage.Listed, error]
}

func (s listFunc) List(ctx context.Context) iter.Seq2[storage.Listed, error] { return s.list(ctx) }

// A listing ends in time, whatever the store does, with what was listed before.
func TestRogueList(t *testing.T) {
	broken := errors.New("broken")
	one := storage.Listed{Key: "key", Entry: newEntry()}
	type yield = func(storage.Listed, error) bool
	release := make(chan struct{})
	for _, test := range []struct {
		name     string
		after    iter.Seq2[storage.Listed, error] // of one
		entries  int
		want     error
		failures uint64
	}{
		{"good", func(yield) {}, 1, nil, 0},
		{"error", func(y yield) { _ = y(storage.Listed{}, broken) && y(one, nil) }, 2, broken, 1},
		{"no entry", func(y yield) { y(storage.Listed{Key: "key"}, nil) }, 1, errInvalid, 1},
		{"panic", func(yield) { panic("injected") }, 1, errInvalid, 1},
		{"goes on after false", func(y yield) { y(one, nil); y(one, nil); y(one, nil) }, 4, nil, 0},
		{"nil", nil, 0, errInvalid, 1},
		{"stuck", func(yield) { <-release }, 1, errHangs, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if test.name == "stuck" {
					release = make(chan struct{}) // of this bubble
					defer func() { close(release) }()
				}
				s := New(Config{Timeout: timeout, Store: listFunc{storage.NewDictCache(), func(context.Context) iter.Seq2[storage.Listed, error] {
					if test.after == nil {
						return nil
					}
					return func(y yield) {
						if y(one, nil) {
							test.after(y)
						}
					}
				}}})
				start, entries := time.Now(), 0
				var last error
				for l, err := range s.List(t.Context()) {
					if last = cmp.Or(last, err); l.Entry != nil {
						entries++
					}
				}
				if entries != test.entries || !errors.Is(last, test.want) {
					t.Errorf("%d entries, error %v; want %d, %v", entries, last, test.entries, test.want)
				}
				if n := s.Failures()["list"]; n != test.failures {
					t.Errorf("%d failures are counted, want %d", n, test.failures)
				}
				if took := time.Since(start); took > timeout+callGrace {
					t.Errorf("it took %v, want at most %v", took, timeout+callGrace)
				}
				for range s.List(t.Context()) {
					break // nothing is left of it, and the loop returns
				}
			})
		})
	}
}

// A slow loop is not a slow store, and a loop that panics or ends early leaves nothing behind.
func TestListLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Timeout: timeout, Store: struct{ storage.Store }{}})
		for _, err := range s.List(t.Context()) {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("error %v, want ErrUnsupported", err)
			}
		}
		cache := storage.NewDictCache()
		s = New(Config{Timeout: timeout, Store: listFunc{cache, cache.List}})
		s.traits.Local, s.store = false, newGuard(s.user, timeout, false, s.Failed)
		for _, key := range []string{"a", "b", "c"} {
			if err := put(s, key, "body"); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, err := range s.List(t.Context()) {
			time.Sleep(3 * timeout)
			if n++; err != nil {
				t.Errorf("a slow loop gets the error %v, want none", err)
			}
		}
		if n != 3 {
			t.Errorf("%d entries are listed, want 3", n)
		}
		func() {
			defer func() { recover() }()
			for range s.List(t.Context()) {
				panic("of the loop")
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, last = range s.List(ctx) {
			cancel()
		}
		if last == nil {
			t.Error("a listing whose context ends yields no error, want one")
		}
		s.Close()
		for _, err := range s.List(t.Context()) {
			if !errors.Is(err, storage.ErrClosed) {
				t.Errorf("error %v, want ErrClosed", err)
			}
		}
	})
}

// suspendable is a store that has given up a server.
type suspendable struct {
	storage.Store
	server string
}

func (s *suspendable) Traits() (t storage.Traits) {
	if s.server != "" {
		t.Suspended = []string{s.server}
	}
	return t
}

func (s *suspendable) Get(ctx context.Context, key string) (*storage.Response, error) {
	if s.server != "" {
		return nil, storage.ErrSuspended
	}
	return s.Store.Get(ctx, key)
}

// One line in the log says that a server was given up, and another that it is used again.
func TestServersInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		inner := &suspendable{Store: storage.NewDictCache()}
		s := New(Config{Store: inner, Timeout: timeout, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		put(s, "key", "body")
		for range 2 {
			inner.server = "10.0.0.1:6379"
			for range 3 {
				read(t.Context(), s, "key")
			}
			inner.server = ""
			for range 3 {
				read(t.Context(), s, "key")
			}
		}
		var got []string
		for line := range strings.Lines(log.String()) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), "cachecontrol: ")
			got = append(got, text)
		}
		want := []string{
			`the store has given up a server" server=10.0.0.1:6379`, `the store uses a server again" server=10.0.0.1:6379`,
			`the store has given up a server" server=10.0.0.1:6379`, `the store uses a server again" server=10.0.0.1:6379`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log is %q, want %q", got, want)
		}
		if n := s.Operations()["get"].Calls; n != 12 {
			t.Errorf("%d calls of get, want 12", n)
		}
	})
}
