package cachecontrol_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// processes are Transports over one store, as in several processes.
type processes []*cachecontrol.Transport

// newProcesses returns eight Transports like c, with the store and CollapseProcesses.
func newProcesses(t *testing.T, c *cachecontrol.Transport, store storage.Store, base http.RoundTripper) processes {
	if c == nil {
		c = new(cachecontrol.Transport)
	}
	var all processes
	for range 8 {
		tr := &cachecontrol.Transport{
			Base: base, Store: store, CollapseProcesses: true, CollapseTimeout: c.CollapseTimeout, StaleIfError: c.StaleIfError,
			StoreTimeout: c.StoreTimeout, RefreshAhead: c.RefreshAhead, Backoff: c.Backoff,
		}
		all = append(all, tr)
		t.Cleanup(func() { tr.Close() })
	}
	return all
}

// ask sends n requests through each of the Transports.
func (p processes) ask(t *testing.T, a *answers, n int, fields ...string) {
	for _, tr := range p {
		a.add(t, n, tr, get(t, fields...))
	}
}

// leaser is a store whose leases are given by give, which is called with a function that gives one of the store.
type leaser struct {
	*storage.DictCache
	give  func(ctx context.Context, own func() (func(), bool, error)) (func(), bool, error)
	calls atomic.Int32
}

func (l *leaser) Lease(ctx context.Context, key string, d time.Duration) (func(), bool, error) {
	l.calls.Add(1)
	own := func() (func(), bool, error) { return l.DictCache.Lease(ctx, key, d) }
	if l.give == nil {
		return own()
	}
	return l.give(ctx, own)
}

// full is a store that stores nothing.
type full struct{ *storage.DictCache }

func (full) Create(context.Context, string, *storage.Entry) (storage.Writer, error) {
	return nil, errors.New("full")
}

// leaseless is a store without leases.
type leaseless struct{ storage.Store }

// Of the requests of eight processes one is sent to the origin, whatever its response is like, if it can be stored.
func TestCollapseProcesses(t *testing.T) {
	const each = 10
	for name, test := range map[string]struct {
		config *cachecontrol.Transport // nil: the zero value
		stored []string                // fields of a response that is stored and has expired
		store  func(*storage.DictCache) storage.Store
		takes  []time.Duration // until the origin responds; the last one is repeated
		body   time.Duration   // until it has sent its body
		reply  reply
		asked  int           // requests to the origin
		took   time.Duration // until all are answered
		want   string        // body of the answers, or "" if they fail
	}{
		"a miss":           {reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 1, took: 1250 * time.Millisecond, want: "body"},
		"a validation":     {stored: []string{`ETag: "1"`}, reply: status(304, "Cache-Control: max-age=60", `ETag: "1"`), takes: []time.Duration{time.Second}, asked: 1, took: 1250 * time.Millisecond, want: "stored"},
		"a new version":    {stored: []string{`ETag: "1"`}, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 1, took: 1250 * time.Millisecond, want: "body"},
		"a variant":        {stored: []string{"Vary: X-User"}, reply: ok("Cache-Control: max-age=60", "Vary: X-User"), takes: []time.Duration{time.Second}, asked: 1, took: 1250 * time.Millisecond, want: "body"},
		"a long body":      {reply: ok("Cache-Control: max-age=60"), body: 4 * time.Second, asked: 1, took: 4250 * time.Millisecond, want: "body"},
		"a longer body":    {reply: ok("Cache-Control: max-age=60"), body: 8 * time.Second, asked: 2, took: 13250 * time.Millisecond, want: "body"},
		"one hangs":        {reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{9 * time.Second, time.Second}, asked: 2, took: 9 * time.Second, want: "body"},
		"a failure":        {reply: down, takes: []time.Duration{time.Second}, asked: 8, took: 10 * time.Second},
		"stale on error":   {stored: []string{"X-Old: 1"}, config: &cachecontrol.Transport{StaleIfError: 2 * time.Hour}, reply: down, takes: []time.Duration{time.Second}, asked: 8, took: 10 * time.Second, want: "stored"},
		"no limit":         {config: &cachecontrol.Transport{CollapseTimeout: -1}, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{4 * time.Second}, asked: 1, took: 4250 * time.Millisecond, want: "body"},
		"it is not stored": {store: func(s *storage.DictCache) storage.Store { return full{s} }, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{100 * time.Millisecond}, asked: 8, took: 3 * time.Second, want: "body"},
		"it may not be":    {reply: ok("Cache-Control: no-store"), asked: 80, took: 2 * time.Second, want: "body"},
		"no leases":        {store: func(s *storage.DictCache) storage.Store { return leaseless{s} }, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 8, took: time.Second, want: "body"},
		"leases fail": {store: func(s *storage.DictCache) storage.Store {
			return &leaser{DictCache: s, give: func(context.Context, func() (func(), bool, error)) (func(), bool, error) {
				return nil, false, errors.New("broken")
			}}
		}, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 8, took: time.Second, want: "body"},
		"another has it for ever": {store: func(s *storage.DictCache) storage.Store {
			return &leaser{DictCache: s, give: func(context.Context, func() (func(), bool, error)) (func(), bool, error) {
				return nil, false, nil
			}}
		}, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 8, took: 11 * time.Second, want: "body"},
		"another has it for ever, stale": {config: &cachecontrol.Transport{StaleIfError: 2 * time.Hour}, stored: []string{"X-Old: 1"}, store: func(s *storage.DictCache) storage.Store {
			return &leaser{DictCache: s, give: func(context.Context, func() (func(), bool, error)) (func(), bool, error) {
				return nil, false, nil
			}}
		}, reply: ok("Cache-Control: max-age=60"), asked: 0, took: 10 * time.Second, want: "stored"},
		"one has died": {store: func(s *storage.DictCache) storage.Store {
			s.Lease(context.Background(), wholeKey, 5*time.Second)
			return s
		}, reply: ok("Cache-Control: max-age=60"), takes: []time.Duration{time.Second}, asked: 1, took: 6500 * time.Millisecond, want: "body"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				o := newOrigin(t, func(i int, req *http.Request) *http.Response {
					if test.stored != nil && i == 1 {
						return respond(200, "stored", append(test.stored, "Cache-Control: max-age=60")...)
					}
					n := int(asked.Add(1))
					if len(test.takes) > 0 {
						time.Sleep(test.takes[min(n, len(test.takes))-1])
					}
					r := test.reply
					r.body = "body"
					resp := r.respond(i, req)
					if resp != nil && test.body > 0 {
						resp.Body = &slowBody{resp.Body, test.body}
					}
					return resp
				})
				dict := storage.NewDictCache()
				if test.stored != nil {
					first := &cachecontrol.Transport{Base: o, Store: dict}
					do(t, first, "/", "X-User: a")
					first.Close()
					time.Sleep(time.Hour)
				}
				before := o.requests()
				var store storage.Store = dict
				if test.store != nil {
					store = test.store(dict)
				}
				p := newProcesses(t, test.config, store, o)
				var a answers
				start := time.Now()
				p.ask(t, &a, each, "X-User: a")
				a.wg.Wait()
				if took := time.Since(start); took > test.took {
					t.Errorf("the answers took %v, want %v at most", took, test.took)
				}
				if got := o.requests() - before; got != test.asked {
					t.Errorf("%d requests to the origin, want %d", got, test.asked)
				}
				if want := len(p) * each; test.want == "" && len(a.errs) != want || test.want != "" && len(a.list) != want {
					t.Errorf("%d answers, %d errors, want %d", len(a.list), len(a.errs), want)
				}
				for _, x := range a.list {
					if x.body != test.want {
						t.Fatalf("%q, want %q", x.body, test.want)
					}
				}
				synctest.Wait()
				release, free, _ := dict.Lease(t.Context(), wholeKey, time.Second)
				if !free {
					t.Error("the lease is held after the end")
				} else {
					release()
				}
			})
		})
	}
}

// slowBody is a body that takes a while.
type slowBody struct {
	io.ReadCloser
	wait time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.wait)
	b.wait = 0
	return b.ReadCloser.Read(p)
}

// A URL whose responses cannot be shared takes leases only until each process knows that.
func TestCollapseProcessesNotShareable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(i int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return ok("Cache-Control: no-store").respond(i, req)
		})
		store := &leaser{DictCache: storage.NewDictCache()}
		p := newProcesses(t, nil, store, o)
		for round := range 3 {
			var a answers
			start := time.Now()
			calls := store.calls.Load()
			p.ask(t, &a, 10)
			a.wait(t)
			if took := time.Since(start); round > 0 && took != time.Second {
				t.Errorf("round %d took %v, want %v", round, took, time.Second)
			}
			if got := store.calls.Load() - calls; round > 0 && got > 0 {
				t.Errorf("round %d: %d leases, want 0", round, got)
			}
		}
	})
}

// While the origin fails, processes do not wait for each other: each must find out by itself.
func TestCollapseProcessesFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(i int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			if i <= 16 {
				return nil
			}
			return ok("Cache-Control: max-age=60").respond(i, req)
		})
		p := newProcesses(t, nil, storage.NewDictCache(), o)
		for round, want := range []struct{ asked, errs int }{{8, 80}, {8, 80}, {8, 0}, {1, 0}} {
			var a answers
			start, before := time.Now(), o.requests()
			p.ask(t, &a, 10)
			a.wg.Wait()
			if took := time.Since(start); (round == 1 || round == 2) && took != time.Second {
				t.Errorf("round %d took %v, want %v", round, took, time.Second)
			}
			if asked := o.requests() - before; asked != want.asked || len(a.errs) != want.errs {
				t.Errorf("round %d: %d requests, %d errors, want %d, %d", round, asked, len(a.errs), want.asked, want.errs)
			}
			time.Sleep(time.Hour)
		}
	})
}

// A caller that leaves while its process waits for the lease of another one is answered at once, and Close of either process
// ends the wait.
func TestCollapseProcessesEnd(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(holder, waiting *cachecontrol.Transport, cancel func())
		took time.Duration
		errs int
	}{
		"the caller leaves":                {func(_, _ *cachecontrol.Transport, cancel func()) { cancel() }, 0, 1},
		"the process that waits is closed": {func(_, waiting *cachecontrol.Transport, _ func()) { waiting.Close() }, time.Second, 0},
		"the holder is closed":             {func(holder, _ *cachecontrol.Transport, _ func()) { holder.Close() }, time.Second + 250*time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(i int, req *http.Request) *http.Response {
					if i == 1 {
						<-req.Context().Done()
						return nil
					}
					time.Sleep(time.Second)
					return ok("Cache-Control: max-age=60").respond(i, req)
				})
				p := newProcesses(t, nil, storage.NewDictCache(), o)
				first, leave := context.WithCancel(t.Context())
				defer leave()
				go p[0].RoundTrip(request(t, "/").WithContext(first))
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var a answers
				a.add(t, 1, p[1], func(int) *http.Request { return request(t, "/").WithContext(ctx) })
				time.Sleep(2 * time.Second)
				start := time.Now()
				test.end(p[0], p[1], cancel)
				a.wg.Wait()
				if took := time.Since(start); took > test.took || len(a.errs) != test.errs {
					t.Errorf("after %v: %v, want %d errors after %v at most", took, a.errs, test.errs, test.took)
				}
				leave()
			})
		})
	}
}

// The end of the flight releases the lease, however it ends.
func TestCollapseProcessesRelease(t *testing.T) {
	for name, ends := range map[string]struct {
		base  func(req *http.Request) (*http.Response, error)
		leave bool
		read  int
	}{
		"an error": {func(*http.Request) (*http.Response, error) { return nil, errors.New("broken") }, false, -1},
		"a panic":  {func(*http.Request) (*http.Response, error) { panic("bang") }, false, -1},
		"the callers": {func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, true, -1},
		"a stored body": {func(*http.Request) (*http.Response, error) {
			return respond(200, "body", "Cache-Control: max-age=60"), nil
		}, false, -1},
		"its last byte": {func(*http.Request) (*http.Response, error) {
			return respond(200, "body", "Cache-Control: max-age=60"), nil
		}, false, 4},
		"no body": {func(*http.Request) (*http.Response, error) { return respond(200, "", "Cache-Control: max-age=60"), nil }, false, 0},
		"an early end": {func(*http.Request) (*http.Response, error) {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), io.ErrUnexpectedEOF, "ha"), nil
		}, false, -1},
		"not stored": {func(*http.Request) (*http.Response, error) {
			return respond(200, "body", "Cache-Control: no-store"), nil
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storage.NewDictCache()
				tr := &cachecontrol.Transport{Base: roundTripper(ends.base), Store: store, CollapseProcesses: true, DrainBytes: -1}
				defer tr.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var body io.ReadCloser
				var all sync.WaitGroup
				all.Go(func() {
					defer func() { recover() }()
					resp, err := tr.RoundTrip(request(t, "/").WithContext(ctx))
					if err != nil {
						return
					}
					body = resp.Body
					if ends.read < 0 {
						io.ReadAll(body)
					} else {
						io.ReadFull(body, make([]byte, ends.read))
					}
				})
				synctest.Wait()
				if ends.leave {
					cancel()
				}
				all.Wait()
				synctest.Wait()
				release, free, err := store.Lease(t.Context(), wholeKey, time.Second)
				if !free || err != nil {
					t.Errorf("Lease = %v, %v, want it to be free", free, err)
				} else {
					release()
				}
				if body != nil {
					body.Close()
				}
			})
		})
	}
}

// Requests for different variants have different leases, whose keys do not show the values of credentials.
func TestCollapseProcessesVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(i int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return respond(200, req.Header.Get("Cookie"), "Cache-Control: max-age=60", "Vary: Cookie")
		})
		store := &keysLeaser{DictCache: storage.NewDictCache(), keys: map[string]bool{}}
		p := newProcesses(t, nil, store, o)
		do(t, p[0], "/", "Cookie: c=0")
		time.Sleep(time.Hour)
		clear(store.keys)
		var a answers
		start := time.Now()
		for i := range 4 {
			p.ask(t, &a, 5, fmt.Sprint("Cookie: c=", i))
		}
		all, _ := a.wait(t)
		if took := time.Since(start); took > 1250*time.Millisecond {
			t.Errorf("the answers took %v, want %v at most", took, 1250*time.Millisecond)
		}
		for _, x := range all {
			if want := x.Request.Header.Get("Cookie"); x.body != want {
				t.Fatalf("%q, want %q", x.body, want)
			}
		}
		wantRequests(t, o, 5)
		if len(store.keys) != 4 {
			t.Errorf("leases of %d keys, want 4", len(store.keys))
		}
		sum := sha256.Sum256([]byte("Cookie\x00c=0\x00\x00"))
		for key := range store.keys {
			if strings.Contains(key, hex.EncodeToString(sum[:16])) {
				t.Errorf("the key %q has the unsalted digest of a cookie", key)
			}
		}
	})
}

// keysLeaser remembers the keys of its leases.
type keysLeaser struct {
	*storage.DictCache
	mu   sync.Mutex // guards keys
	keys map[string]bool
}

func (l *keysLeaser) Lease(ctx context.Context, key string, d time.Duration) (func(), bool, error) {
	l.mu.Lock()
	l.keys[key] = true
	l.mu.Unlock()
	return l.DictCache.Lease(ctx, key, d)
}

// Of the validations in the background of eight processes one is sent to the origin.
func TestCollapseProcessesBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(i int, req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return respond(200, fmt.Sprint("#", i), swr)
		})
		p := newProcesses(t, nil, storage.NewDictCache(), o)
		do(t, p[0], "/")
		time.Sleep(15 * time.Second)
		var a answers
		p.ask(t, &a, 10)
		all, _ := a.wait(t)
		for _, x := range all {
			if s := cachecontrol.StatusOf(x.Response); x.body != "#1" || s.Reason != rules.WhileRevalidating {
				t.Fatalf("%q %v, want %q, stale", x.body, s, "#1")
			}
		}
		time.Sleep(2 * time.Second)
		wantRequests(t, o, 2)
		if a := do(t, p[7], "/"); a.outcome != hit || a.body != "#2" {
			t.Errorf("GET / = %v %q, want %v %q", a.outcome, a.body, hit, "#2")
		}
	})
}
