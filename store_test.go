package cachecontrol_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// derivingStore derives a context from the one that it is given, as clients of remote stores do, and cancels it late.
type derivingStore struct {
	storage.Store
	late []context.CancelFunc
}

func (s *derivingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	s.late = append(s.late, cancel)
	return s.Store.Get(ctx, key)
}

func (s *derivingStore) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancel(ctx)
	s.late = append(s.late, cancel)
	return s.Store.Delete(ctx, key)
}

func TestStoreMayDeriveContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &derivingStore{Store: storage.NewDictCache()}
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		for i, st := range []step{{want: miss}, {want: hit}, {do: "DELETE /", want: bypass}, {want: miss}} {
			st.run(t, string(rune('1'+i)), tr, o)
		}
		for _, cancel := range store.late {
			cancel()
		}
	})
}

// Whatever the store does, the caller gets the right response, and in bounded time.
func TestFaultyStore(t *testing.T) {
	for _, method := range []string{"Get", "Create", "Write", "Commit", "Update", "Delete", "*"} {
		for _, mode := range []string{"error", "nil", "hang"} {
			t.Run(method+" "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := &faultyStore{Store: storage.NewDictCache(), method: method, mode: mode}
					o := versions(t, "Cache-Control: max-age=60", "Vary: Accept")
					tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
					defer tr.Close()
					want := func(body string, fields ...string) {
						t.Helper()
						start := time.Now()
						if a := do(t, tr, "/", fields...); a.body != body || a.StatusCode != 200 {
							t.Errorf("%d %q, want %q", a.StatusCode, a.body, body)
						}
						if d := time.Since(start); d > 20*time.Second {
							t.Errorf("waited %v for the store, want at most %v", d, 20*time.Second)
						}
					}
					want("version 1")
					want("version 1")
					want("version 1", "Accept: text/plain")
					want("version 1", "Accept: text/html")
					time.Sleep(time.Hour)
					want("version 1")
					want("version 1", "Accept: text/plain")
					do(t, tr, "PUT /")
					if mode == "nil" && (method == "Delete" || method == "*") {
						time.Sleep(time.Minute) // entries that the store has only claimed to delete must expire
					}
					want("version 2")
					want("version 2", "Accept: text/plain")
					if store.failures() == 0 {
						t.Errorf("%s was called %d times, want at least 1", method, store.failures())
					}
					store.setOff(true)
					time.Sleep(time.Hour)
					want("version 2")
					if a := do(t, tr, "/"); a.outcome != hit || a.body != "version 2" {
						t.Errorf("once the store works again: %v %q, want %v %q", a.outcome, a.body, hit, "version 2")
					}
				})
			})
		}
	}
}

// A store that cannot take a body does not stop it on its way to the caller.
func TestFaultyStoreWhileStreaming(t *testing.T) {
	for _, mode := range []string{"error", "nil", "hang"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultyStore{Store: storage.NewDictCache(), method: "Write", mode: mode}
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "one, ", "two, ", "three")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				if a := do(t, tr, "/"); a.body != "one, two, three" {
					t.Errorf("GET /: %q, want %q", a.body, "one, two, three")
				}
				store.setOff(true)
				if a := do(t, tr, "/"); a.outcome != miss || a.body != "one, two, three" {
					t.Errorf("afterwards: %v %q, want %v %q", a.outcome, a.body, miss, "one, two, three")
				}
			})
		})
	}
}

// A body may take longer than StoreTimeout, which covers only the calls of the store.
func TestSlowBodyIsStored(t *testing.T) {
	stores := fileStores(t)
	stores["one that obeys its context"] = &hookedStore{Store: storage.NewDictCache(), before: func(ctx context.Context, op, _ string) error {
		if at, ok := ctx.Deadline(); op == "Get" && (!ok || at.Before(time.Now())) {
			return errFaulty
		}
		return ctx.Err()
	}}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					resp := respond(200, "", "Cache-Control: max-age=3600")
					r, w := io.Pipe()
					go func() {
						for range 10 {
							time.Sleep(time.Minute)
							io.WriteString(w, "0123456789")
						}
						w.Close()
					}()
					resp.Body, resp.ContentLength = r, -1
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
				defer tr.Close()
				do(t, tr, "/")
				if a := do(t, tr, "/"); a.outcome != hit || len(a.body) != 100 {
					t.Errorf("GET /: %v %v, want %v %v; body %q", a.outcome, len(a.body), hit, 100, a.body)
				}
			})
		})
	}
}

// With a store that always fails, the caller gets all responses from the origin.
func TestStoreThatAlwaysFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := versions(t, "Cache-Control: max-age=60")
		store := &hookedStore{before: func(context.Context, string, string) error { return errFaulty }}
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		for range 3 {
			if a := do(t, tr, "/"); a.outcome != miss || a.body != "version 1" || cachecontrol.StatusOf(a.Response).Stored {
				t.Errorf("%v %q, header %v, want %v %q, not stored", a.outcome, a.body, a.Header, miss, "version 1")
			}
		}
		if a := do(t, tr, "PUT /"); a.StatusCode != 204 {
			t.Errorf("PUT: %d, want %d", a.StatusCode, 204)
		}
		if a := do(t, tr, "/", "Range: bytes=0-3"); a.body != "version 2" {
			t.Errorf("range: %q, want %q", a.body, "version 2")
		}
		if a := do(t, tr, "HEAD /"); a.StatusCode != 200 {
			t.Errorf("HEAD: %d, want %d", a.StatusCode, 200)
		}
	})
}

// Two Transports with different settings may share a store. Each applies its own rules.
func TestTransportsShareAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := replies(t, ok("Cache-Control: max-age=10, s-maxage=100"))
		private, shared := &cachecontrol.Transport{Base: o, Store: store}, &cachecontrol.Transport{Base: o, Store: store, Shared: true}
		defer private.Close()
		defer shared.Close()
		do(t, private, "/")
		if a := do(t, private, "/"); a.outcome != hit {
			t.Errorf("private: %v, want %v", a.outcome, hit)
		}
		time.Sleep(50 * time.Second)
		if a := do(t, shared, "/"); a.outcome != hit {
			t.Errorf("shared: %v, want %v", a.outcome, hit)
		}
		if a := do(t, private, "/"); a.outcome != miss {
			t.Errorf("private, after its max-age: %v, want %v", a.outcome, miss)
		}
	})
}
