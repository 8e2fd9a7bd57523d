package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Whatever a store does in any of its calls, each request gets the right response soon, from the origin or the store.
// Only a body that fails in the middle ends in an error, and never in wrong bytes.
func TestStoreFaults(t *testing.T) {
	kinds := 0
	run := func(op faultstore.Op, name string, mayFail bool, make func(inner storage.Store, on func(faultstore.Op) bool) (storage.Store, func())) {
		kinds++
		leases := op == faultstore.Lease || op == faultstore.Release
		for i, size := range []int{10, 100_000} {
			if testing.Short() && kinds%2 == i { // one of the two, in turn
				continue
			}
			t.Run(fmt.Sprintf("%s/%s/%d", op, name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { storeFault(t, size, mayFail && size > 10, leases, make) })
			})
		}
	}
	for op := range faultstore.Ops {
		for fault := faultstore.Err; fault < faultstore.Faults; fault++ {
			// A cache cannot notice lost or invented bytes.
			if fault == faultstore.Lie && (op == faultstore.Write || op == faultstore.Delete) || fault == faultstore.Nil && op == faultstore.Delete {
				continue
			}
			run(op, fault.String(), op == faultstore.Read, func(inner storage.Store, on func(faultstore.Op) bool) (storage.Store, func()) {
				return &faultstore.Store{Store: inner, Fault: func(o faultstore.Op) faultstore.Fault {
					if o == op && on(op) {
						return fault
					}
					return faultstore.None
				}}, func() {}
			})
		}
	}
	for _, op := range faultstore.RogueOps() {
		for _, trick := range faultstore.Tricks(op) {
			mayFail := op == faultstore.ReadOn || trick == faultstore.ShortBody || trick == faultstore.LongBody
			run(op, trick.String(), mayFail, func(inner storage.Store, on func(faultstore.Op) bool) (storage.Store, func()) {
				s := &faultstore.Rogue{Store: inner, Other: "http://example.com/other", Play: func(o faultstore.Op) faultstore.Trick {
					if o == op && on(op) {
						return trick
					}
					return faultstore.NoTrick
				}}
				return s, s.Release
			})
		}
	}
}

func storeFault(t *testing.T, size int, mayFail, leases bool, make func(storage.Store, func(faultstore.Op) bool) (storage.Store, func())) {
	var off atomic.Bool
	var broken atomic.Int32
	store, release := make(storage.NewDictCache(), func(op faultstore.Op) bool {
		if off.Load() {
			return false
		}
		broken.Add(1)
		return true
	})
	defer release()
	body := func(version int) string { return fmt.Sprint(version, strings.Repeat("x", size)) }
	version := 1
	o := newOrigin(t, func(n int, req *http.Request) *http.Response {
		if req.Method == "PUT" {
			version++
			return respond(204, "")
		}
		fields := []string{"Cache-Control: max-age=60", "Vary: Accept", fmt.Sprintf(`ETag: "%d"`, version)}
		if req.URL.Path == "/other" {
			return respond(200, "other", fields[:2]...)
		}
		if req.Header.Get("If-None-Match") == fmt.Sprintf(`"%d"`, version) && req.Header.Get("Accept") != "image/png" {
			return respond(304, "", fields...)
		}
		return respond(200, body(version), fields...)
	})
	const timeout = time.Second
	tr := &cachecontrol.Transport{
		Base: o, Store: store, StoreTimeout: timeout,
		CollapseProcesses: leases, CollapseTimeout: 2 * timeout,
	}
	defer tr.Close()
	want := func(fields ...string) {
		t.Helper()
		start := time.Now()
		resp := open(t, tr, request(t, "/", fields...))
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		want := body(version)
		switch {
		case resp.StatusCode != 200, err == nil && string(got) != want, err != nil && !mayFail, !strings.HasPrefix(want, string(got)):
			t.Errorf("%d, %d bytes %.10q, %v; want %d bytes %.10q", resp.StatusCode, len(got), got, err, len(want), want)
		}
		// A request makes several calls at most.
		if d := time.Since(start); d > 8*(timeout+timeout/2) {
			t.Errorf("waited %v for the store, want at most %v", d, 8*(timeout+timeout/2))
		}
	}
	off.Store(true)
	do(t, tr, "/other")
	off.Store(false)
	for range 2 {
		want()
		want()
		want("Accept: text/plain")
		want("Accept: text/html")
		want("Accept: text/html")
		time.Sleep(time.Hour)
		want()
		want("Accept: text/plain")
		do(t, tr, "PUT /")
		want()
		want("Accept: text/plain")
		// A request that fails closes its body unread.
		open(t, tr, request(t, "/", "Accept: image/png")).Body.Close()
	}
	if broken.Load() == 0 && size > 10 {
		t.Error("calls of the store = 0, want 1")
	}
	off.Store(true)
	release()
	synctest.Wait()
	time.Sleep(time.Hour)
	want()
	if a := do(t, tr, "/"); a.outcome != hit || a.body != body(version) {
		t.Errorf("once the store works again: %v, %d bytes, want %v, %d bytes", a.outcome, len(a.body), hit, len(body(version)))
	}
}

// at breaks one call, always in the same way.
func at(op faultstore.Op, trick faultstore.Trick) func(faultstore.Op) faultstore.Trick {
	return func(o faultstore.Op) faultstore.Trick {
		if o == op {
			return trick
		}
		return faultstore.NoTrick
	}
}

// A store that hangs and ignores its context blocks a limited number of goroutines, and only the first requests wait
// for it. Once it works again it is used again.
func TestStuckStoreIsBounded(t *testing.T) {
	for _, op := range []faultstore.Op{faultstore.Get, faultstore.Create, faultstore.Commit, faultstore.Read, faultstore.Close} {
		t.Run(op.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultstore.Rogue{Store: storage.NewDictCache()}
				defer store.Release()
				o := replies(t, reply{body: "body", fields: []string{"Cache-Control: max-age=60"}})
				tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
				defer tr.Close()
				do(t, tr, "/")
				store.Play = at(op, faultstore.Stuck)
				before := runtime.NumGoroutine()
				var wg sync.WaitGroup
				for i := range rounds(2000, 500) {
					wg.Go(func() {
						target := "/"
						if op == faultstore.Create || op == faultstore.Commit {
							target = fmt.Sprint("/", i)
						}
						if a := do(t, tr, target); a.StatusCode != 200 {
							t.Error(a.StatusCode)
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				left := runtime.NumGoroutine() - before
				if op != faultstore.Close && left > 300 { // each body that is open is closed
					t.Errorf("%d goroutines are left, want at most 300", left)
				}
				start := time.Now()
				for range 100 {
					do(t, tr, "/")
				}
				if d := time.Since(start); d > 0 && op == faultstore.Get {
					t.Errorf("waited %v for a store that is known to hang, want 0", d)
				}
				store.Play = nil
				store.Release()
				synctest.Wait()
				do(t, tr, "/")
				if a := do(t, tr, "/"); a.outcome != hit {
					t.Errorf("once it is back: %v, want %v", a.outcome, hit)
				}
			})
		})
	}
}

// An entry that is committed after the request has given up is removed, because it may be out of date.
func TestLateCommitIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		store := &faultstore.Rogue{Store: inner, Play: at(faultstore.Commit, faultstore.Stuck)}
		o := versions(t, "Cache-Control: max-age=3600")
		defer store.Release() // after Close, which may abandon more calls
		tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		do(t, tr, "/")
		do(t, tr, "PUT /")
		store.Release()
		synctest.Wait()
		if _, err := inner.Get(t.Context(), "http://example.com/"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("it is stored: %v", err)
		}
		if a := do(t, tr, "/"); a.body != "version 2" {
			t.Errorf("GET /: %q, want %q; outcome %v", a.body, "version 2", a.outcome)
		}
	})
}

// A caller that cancels does not wait for a store that ignores its context.
func TestCancelWhileStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultstore.Rogue{Store: storage.NewDictCache(), Play: at(faultstore.Get, faultstore.Stuck)}
		defer store.Release()
		tr := &cachecontrol.Transport{Base: replies(t, ok()), Store: store, StoreTimeout: time.Hour}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(time.Second, cancel).Stop()
		start := time.Now()
		if resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", resp, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("it took %v, want at most %v", d, 2*time.Second)
		}
	})
}

// Close returns whatever the store does, because it does not close the store.
func TestCloseOfAStuckStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stuckCloser{storage.NewDictCache(), make(chan struct{})}
		defer close(store.stuck)
		tr := &cachecontrol.Transport{Base: replies(t, ok()), Store: store, StoreTimeout: time.Second}
		do(t, tr, "/")
		if err := tr.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
}

type stuckCloser struct {
	storage.Store
	stuck chan struct{}
}

func (s *stuckCloser) Close() error {
	<-s.stuck
	return nil
}

// An entry that the store failed to delete is not used, and is deleted once the store can. A new entry in its place is
// used.
func TestFailedDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const key = "http://example.com/"
		inner := storage.NewDictCache()
		var broken atomic.Bool
		store := &faultstore.Store{Store: inner, Fault: func(op faultstore.Op) faultstore.Fault {
			if broken.Load() && op == faultstore.Delete {
				return faultstore.Err
			}
			return faultstore.None
		}}
		o := versions(t, "Cache-Control: max-age=36000")
		tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		offline := func() int { return do(t, tr, "/", "Cache-Control: only-if-cached").StatusCode }
		do(t, tr, "/")
		broken.Store(true)
		do(t, tr, "PUT /")
		if e, _ := peek(t, inner, key); e == nil || offline() != 504 {
			t.Error("the entry is used or gone, want it stored and not used")
		}
		broken.Store(false)
		if offline() != 504 {
			t.Error("the entry is used, want a miss")
		}
		time.Sleep(2 * time.Second)
		if offline() != 504 {
			t.Error("the entry is used, want a miss")
		}
		if e, _ := peek(t, inner, key); e != nil {
			t.Error("the entry is still stored, want it deleted")
		}
		step{want: miss, body: "version 2"}.run(t, "then", tr, o)
		step{want: hit, body: "version 2"}.run(t, "then", tr, o)

		broken.Store(true)
		do(t, tr, "PUT /")
		time.Sleep(time.Millisecond)
		step{want: miss, body: "version 3"}.run(t, "replaced", tr, o)
		step{want: hit, body: "version 3"}.run(t, "replaced", tr, o)
	})
}

// A Writer that took too long and then fails is still aborted, because it may hold resources.
func TestLateFailureIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lateStore{Store: storage.NewDictCache(), letGo: make(chan struct{})}
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		do(t, tr, "/")
		close(store.letGo)
		synctest.Wait()
		if n := store.aborted.Load(); n != 1 {
			t.Errorf("%d calls of Abort, want 1", n)
		}
	})
}

// A panic in a call that was given up does not affect anything else.
func TestLatePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lateStore{Store: storage.NewDictCache(), letGo: make(chan struct{}), panics: true}
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		for range 20 { // more than may hang at once
			do(t, tr, "/")
		}
		close(store.letGo)
		synctest.Wait()
		before := store.aborted.Load()
		if do(t, tr, "/"); store.aborted.Load() == before {
			t.Error("calls of the store = 0, want some")
		}
	})
}

// lateStore has Writers whose Write waits and then fails, and counts calls of Abort. If panics is true, Create waits
// and Abort panics.
type lateStore struct {
	storage.Store
	letGo   chan struct{}
	panics  bool
	aborted atomic.Int32
}

func (s *lateStore) Create(context.Context, string, *storage.Entry) (storage.Writer, error) {
	if s.panics {
		<-s.letGo
	}
	return lateWriter{s}, nil
}

type lateWriter struct{ s *lateStore }

func (w lateWriter) Write([]byte) (int, error) {
	<-w.s.letGo
	return 0, errors.New("too late")
}

func (w lateWriter) Commit() error { return errors.New("there was nothing written") }

func (w lateWriter) Abort() error {
	w.s.aborted.Add(1)
	if w.s.panics {
		panic("bang")
	}
	return nil
}
