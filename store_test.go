package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// derivingStore derives a context from the one that it is given, as clients of remote stores do, and ends it late.
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
	in(t, func(t *testing.T) {
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

// faultyStore fails at one of its methods.
type faultyStore struct {
	storage.Store
	method string // Get, Create, Write, Commit, Update or Delete; "*": all
	mode   string // error, nil or hang
	off    bool   // works, for now
	calls  int    // of the method
}

var errFaulty = errors.New("the store is out of order")

// fail says whether the method is the one that fails, and what it returns. One that hangs waits for its context.
func (s *faultyStore) fail(ctx context.Context, method string) (bool, error) {
	if s.off || s.method != method && s.method != "*" {
		return false, nil
	}
	s.calls++
	switch s.mode {
	case "error":
		return true, errFaulty
	case "hang":
		<-ctx.Done()
		return true, ctx.Err()
	}
	return true, nil
}

func (s *faultyStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if failed, err := s.fail(ctx, "Get"); failed {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *faultyStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	if failed, err := s.fail(ctx, "Create"); failed {
		return nil, err
	}
	w, err := s.Store.Create(ctx, key, e)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, s, ctx}, nil
}

func (s *faultyStore) Update(ctx context.Context, key string, e *serialize.Entry) error {
	if failed, err := s.fail(ctx, "Update"); failed {
		return err
	}
	return s.Store.Update(ctx, key, e)
}

func (s *faultyStore) Delete(ctx context.Context, key string) error {
	if failed, err := s.fail(ctx, "Delete"); failed {
		return err
	}
	return s.Store.Delete(ctx, key)
}

type faultyWriter struct {
	storage.Writer
	store *faultyStore
	ctx   context.Context
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if failed, err := w.store.fail(w.ctx, "Write"); failed {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *faultyWriter) Commit() error {
	if failed, err := w.store.fail(w.ctx, "Commit"); failed {
		w.Writer.Abort()
		return err
	}
	return w.Writer.Commit()
}

// versions is an origin with one resource: GET answers its version, which every PUT changes, and 304 to who has it.
func versions(t testing.TB, fields ...string) *origin {
	version := 1
	return newOrigin(t, func(n int, req *http.Request) *http.Response {
		if req.Method == "PUT" {
			version++
			return respond(204, "")
		}
		tag := fmt.Sprintf(`"%d"`, version)
		all := append([]string{"ETag: " + tag}, fields...)
		if req.Header.Get("If-None-Match") == tag {
			return respond(304, "", all...)
		}
		return respond(200, fmt.Sprintf("version %d", version), all...)
	})
}

// Whatever the store does, the caller gets the right answer, and gets it in the end.
func TestFaultyStore(t *testing.T) {
	for _, method := range []string{"Get", "Create", "Write", "Commit", "Update", "Delete", "*"} {
		for _, mode := range []string{"error", "nil", "hang"} {
			t.Run(method+" "+mode, func(t *testing.T) {
				in(t, func(t *testing.T) {
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
							t.Errorf("waited %v for the store", d)
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
						time.Sleep(time.Minute) // what the store says it has deleted, and has not, has to expire
					}
					want("version 2")
					want("version 2", "Accept: text/plain")
					if store.calls == 0 {
						t.Errorf("%s was never called", method)
					}
					store.off = true
					time.Sleep(time.Hour)
					want("version 2")
					if a := do(t, tr, "/"); a.outcome != hit || a.body != "version 2" {
						t.Errorf("once the store works again: %v %q", a.outcome, a.body)
					}
				})
			})
		}
	}
}

// A store that cannot take a body may not stop it on its way to the caller.
func TestFaultyStoreWhileStreaming(t *testing.T) {
	for _, mode := range []string{"error", "nil", "hang"} {
		t.Run(mode, func(t *testing.T) {
			in(t, func(t *testing.T) {
				store := &faultyStore{Store: storage.NewDictCache(), method: "Write", mode: mode}
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "one, ", "two, ", "three")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				if a := do(t, tr, "/"); a.body != "one, two, three" {
					t.Errorf("%q", a.body)
				}
				store.off = true
				if a := do(t, tr, "/"); a.outcome != miss || a.body != "one, two, three" {
					t.Errorf("afterwards: %v %q", a.outcome, a.body)
				}
			})
		})
	}
}

// strictStore works only while its context does, and only where it is told how long that will be.
type strictStore struct{ storage.Store }

func (s strictStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if at, ok := ctx.Deadline(); !ok || at.Before(time.Now()) || ctx.Err() != nil {
		return nil, errFaulty
	}
	return s.Store.Get(ctx, key)
}

func (s strictStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return strictWriter{w, ctx}, err
}

type strictWriter struct {
	storage.Writer
	ctx context.Context
}

func (w strictWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w strictWriter) Commit() error {
	if err := w.ctx.Err(); err != nil {
		w.Writer.Abort()
		return err
	}
	return w.Writer.Commit()
}

// A body may take longer than a store's timeout, which counts only while the store has something to do.
func TestSlowBodyIsStored(t *testing.T) {
	stores := fileStores(t)
	stores["strict"] = strictStore{storage.NewDictCache()}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
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
					t.Errorf("%v %q", a.outcome, a.body)
				}
			})
		})
	}
}

// commitGate is a store whose Commit waits until it is let go.
type commitGate struct {
	storage.Store
	reached, letGo chan struct{}
}

func (g *commitGate) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := g.Store.Create(ctx, key, e)
	return &gatedWriter{w, g}, err
}

type gatedWriter struct {
	storage.Writer
	g *commitGate
}

func (w *gatedWriter) Commit() error {
	w.g.reached <- struct{}{}
	<-w.g.letGo
	return w.Writer.Commit()
}

// A response that is being committed while its URL is invalidated is out of date, even where the invalidation found
// nothing to delete yet.
func TestInvalidationDuringCommit(t *testing.T) {
	in(t, func(t *testing.T) {
		gate := &commitGate{storage.NewDictCache(), make(chan struct{}), make(chan struct{})}
		o := versions(t, "Cache-Control: max-age=60")
		tr := &cachecontrol.Transport{Base: o, Store: gate}
		defer tr.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			do(t, tr, "/")
		}()
		<-gate.reached
		do(t, tr, "PUT /")
		gate.letGo <- struct{}{}
		<-done
		resp, err := tr.RoundTrip(request(t, "/", "Cache-Control: only-if-cached"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 504 {
			t.Errorf("the old version was stored: %v", resp.Header)
		}
	})
}

// TestFailingStoreIsWarnedAboutOnceAWhile: a store that is out of reach fails at every request, and fills no log.
func TestFailingStoreIsWarnedAboutOnceAWhile(t *testing.T) {
	in(t, func(t *testing.T) {
		var log strings.Builder
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{
			Base: o, Store: &faultyStore{Store: storage.NewDictCache(), method: "Get", mode: "error"},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		defer tr.Close()
		for range 40 {
			do(t, tr, "/")
			time.Sleep(500 * time.Millisecond)
		}
		if n := strings.Count(log.String(), "store failed"); n != 2 {
			t.Errorf("%d lines in 20 seconds:\n%s", n, &log)
		}
	})
}
