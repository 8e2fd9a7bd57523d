package cachecontrol_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// slowCommits returns a store whose commits take this long.
func slowCommits(took time.Duration) *hookedStore {
	return &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, _ string) error {
		if op == "Commit" {
			time.Sleep(took)
		}
		return nil
	}}
}

// The caller that reads the last byte waits only briefly for a store that takes long to commit. So does the next request for the
// URL.
func TestSlowCommit(t *testing.T) {
	for _, tt := range []struct{ commit, read, next time.Duration }{
		{commit: 40 * time.Millisecond, read: 40 * time.Millisecond},
		{commit: 220 * time.Millisecond, read: 100 * time.Millisecond, next: 120 * time.Millisecond},
		{commit: 4 * time.Second, read: 100 * time.Millisecond, next: 250 * time.Millisecond},
	} {
		t.Run(tt.commit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Store: slowCommits(tt.commit)}
				defer tr.Close()
				start := time.Now()
				do(t, tr, "/")
				if got := time.Since(start); got != tt.read {
					t.Errorf("the first caller has read the body after %v, want %v", got, tt.read)
				}
				start = time.Now()
				resp := open(t, tr, request(t, "/"))
				if got := time.Since(start); got != tt.next {
					t.Errorf("the next caller got the header after %v, want %v", got, tt.next)
				}
				want := hit
				if tt.read+tt.next < tt.commit {
					want = miss
				}
				if got := cachecontrol.StatusOf(resp).Outcome; got != want {
					t.Errorf("the next request: %v, want %v", got, want)
				}
				resp.Body.Close()
			})
		})
	}
}

// A caller that has read the body may change its request and the response, although they are not yet stored.
func TestChangesDuringCommit(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var slow atomic.Bool
			store := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, _ string) error {
				if slow.Load() && op == "Get" { // the notice that the URL was invalidated, before the commit
					time.Sleep(time.Second)
				}
				if fails && op == "Commit" {
					return errFaulty
				}
				return nil
			}}
			var log bytes.Buffer
			o := replies(t, reply{fields: []string{"Cache-Control: max-age=60"}, tail: []string{"X-Sum: right"}})
			tr := &cachecontrol.Transport{Base: o, Store: store, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			defer tr.Close()
			req := request(t, "/")
			resp := open(t, tr, req)
			slow.Store(true)
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			slow.Store(false)
			req.URL.Path = "/other"
			resp.Trailer.Set("X-Sum", "wrong")
			time.Sleep(time.Minute / 2)
			synctest.Wait() // for the log
			if !fails {
				step{want: hit, tail: []string{"X-Sum: right"}}.run(t, "then", tr, o)
				return
			}
			if got := log.String(); !strings.Contains(got, "not stored after all") || strings.Contains(got, "/other") {
				t.Errorf("the log is\n%s\nwant that the response was not stored, and no URL with /other", got)
			}
		})
	}
}

// If the content of a response is found to be damaged while the response is being committed, it is removed afterwards.
func TestDamageFoundDuringCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coded := encode("gzip", strings.Repeat("a text ", 100))
		damaged := coded[:len(coded)-6] + "x" + coded[len(coded)-5:] // in the checksum
		o := replies(t, reply{body: damaged, fields: []string{"Cache-Control: max-age=60", "Content-Encoding: gzip"}})
		store := slowCommits(time.Second)
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		if got, _ := ask(t, tr, request(t, "/")); !got.failed {
			t.Error("reading a damaged body = nil, want an error")
		}
		time.Sleep(2 * time.Second)
		if e, _ := peek(t, store, wholeKey); e != nil {
			t.Error("the damaged response is stored, want it removed")
		}
	})
}

// A response whose key stays locked for longer than StoreTimeout is not stored: its Writer is aborted, and the failure is counted.
func TestBusyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var aborted atomic.Int32
		store := slowCommits(600 * time.Millisecond)
		store.after = func(op, _ string) {
			if op == "Abort" {
				aborted.Add(1)
			}
		}
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			time.Sleep(time.Second) // so that none finds the others stored
			return respond(200, "body", "Cache-Control: max-age=60", "Vary: Accept")
		})
		tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		var all answers
		variant := func(i int) *http.Request { return request(t, "/", fmt.Sprint("Accept: text/", i)) }
		all.add(t, 3, tr, variant)
		all.wait(t)
		time.Sleep(5 * time.Second)
		s := tr.Stats()
		if s.Stored != 2 || s.NotStored["store-failed"] != 1 || s.StoreErrors["commit"] != 1 || aborted.Load() != 1 {
			t.Errorf("%d stored, not stored %v, failures %v, %d aborted; want 2, 1 store-failed, 1 of commit, 1",
				s.Stored, s.NotStored, s.StoreErrors, aborted.Load())
		}
		hits := 0
		for i := range 3 {
			if a := send(t, tr, variant(i)); a.outcome == hit {
				hits++
			}
		}
		if hits != 2 {
			t.Errorf("%d hits, want 2", hits)
		}
	})
}

// An invalidation that has given up waiting for the lock of its key leaves nothing stored that is committed afterwards.
func TestInvalidationGivesUpOnCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		store := &hookedStore{Store: inner, before: func(_ context.Context, op, key string) error {
			if op == "Commit" && !strings.HasSuffix(key, "#notice") {
				time.Sleep(900 * time.Millisecond)
			}
			return nil
		}}
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "")
			}
			time.Sleep(time.Second) // so that neither finds the other stored
			return respond(200, "body", "Cache-Control: max-age=3600", "Vary: Accept")
		})
		tr := &cachecontrol.Transport{Base: o, Store: store, StoreTimeout: time.Second}
		defer tr.Close()
		var all answers
		all.add(t, 2, tr, func(i int) *http.Request { return request(t, "/", fmt.Sprint("Accept: text/", i)) })
		time.Sleep(2100 * time.Millisecond) // the second one moves the first one until 2.8 s, and replaces it until 3.7 s
		do(t, tr, "PUT /")
		all.wait(t)
		time.Sleep(5 * time.Second)
		if _, err := inner.Get(t.Context(), wholeKey); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get(%q): %v, want %v", wholeKey, err, storage.ErrNotFound)
		}
	})
}

// plainWriters is a local store whose Writers are not ComparingWriters.
type plainWriters struct{ *storage.DictCache }

func (s plainWriters) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	w, err := s.DictCache.Create(ctx, key, e)
	return struct{ storage.Writer }{w}, err
}

func TestPlainWriters(t *testing.T) {
	fields := []string{"Cache-Control: max-age=60", `ETag: "1"`}
	runScenarios(t, []scenario{
		{
			name: "variants", transport: &cachecontrol.Transport{Store: plainWriters{storage.NewDictCache()}},
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: Accept")},
			steps: []step{
				{with: []string{"Accept: a"}, want: miss, body: "#1"}, {with: []string{"Accept: b"}, want: miss, body: "#2"},
				{with: []string{"Accept: a"}, want: hit, body: "#1"}, {with: []string{"Accept: b"}, want: hit, body: "#2"},
			},
		}, {
			name: "parts", transport: &cachecontrol.Transport{Store: plainWriters{storage.NewDictCache()}},
			origin: []reply{partReply(0, 2, fields...), partReply(5, 7, fields...)},
			steps: []step{
				{with: []string{"Range: bytes=0-2"}, want: miss}, {with: []string{"Range: bytes=5-7"}, want: miss},
				{with: []string{"Range: bytes=1-2"}, want: hit, body: "12"}, {with: []string{"Range: bytes=5-6"}, want: hit, body: "56"},
			},
		},
	})
}

// If a URL is invalidated while a long response is being stored in pieces, no further piece is written.
func TestInvalidationEndsPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 9<<20)
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "")
			}
			return respond(200, body, "Cache-Control: max-age=60", `ETag: "1"`)
		})
		var pieces atomic.Int32
		store := slowCommits(0)
		store.after = func(op, key string) {
			if op == "Create" && strings.Contains(key, "#part=") {
				pieces.Add(1)
			}
		}
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		defer resp.Body.Close()
		io.CopyN(io.Discard, resp.Body, 5<<20/2)
		before := pieces.Load()
		do(t, tr, "PUT /")
		if n, err := io.Copy(io.Discard, resp.Body); n != int64(len(body)-5<<20/2) || err != nil {
			t.Errorf("the rest has %d bytes, error %v; want %d, nil", n, err, len(body)-5<<20/2)
		}
		if n := pieces.Load(); before < 2 || n != before {
			t.Errorf("%d pieces before the invalidation, %d in all; want 2 or more, and no more", before, n)
		}
		if got := tr.Stats().StoreErrors; len(got) != 0 {
			t.Errorf("StoreErrors = %v, want none", got)
		}
	})
}

// The pieces of a long response have all of its bytes, although it is not read in parts of their length.
func TestPiecesOfUnevenReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		for i := range 9 << 17 {
			fmt.Fprintf(&b, "%08x", i)
		}
		body, left := b.String(), 5_000_000
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			d := &document{body: body, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
			resp := d.respond(req)
			if n == 1 {
				resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, int64(left)), readFunc(func([]byte) (int, error) { return 0, errFaulty })))
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o, Store: newPlainStore(), DrainBytes: -1}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 700_000))
		resp.Body.Close()
		if a := do(t, tr, "/"); a.body != body {
			t.Errorf("the body has %d bytes, want %d, or others", len(a.body), len(body))
		}
		if got, want := o.last().Header.Get("Range"), fmt.Sprintf("bytes=%d-", left); got != want {
			t.Errorf("asked for %q, want %q", got, want)
		}
	})
}

// The rest of a response that completes stored parts is drained, although the caller has canceled its request.
func TestCompletionIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			fields := []string{"Cache-Control: max-age=60", `ETag: "1"`}
			if n == 1 {
				return partReply(0, 4, fields...).respond(n, req)
			}
			resp := partReply(5, 9, fields...).respond(n, req)
			resp.Body = io.NopCloser(io.MultiReader(readFunc(func([]byte) (int, error) {
				select {
				case <-letGo:
					return 0, io.EOF
				case <-req.Context().Done():
					return 0, req.Context().Err()
				}
			}), strings.NewReader(digits[5:])))
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=0-4")
		ctx, cancel := context.WithCancel(t.Context())
		resp := open(t, tr, request(t, "/").WithContext(ctx))
		io.ReadFull(resp.Body, make([]byte, 3))
		resp.Body.Close()
		cancel()
		close(letGo)
		synctest.Wait()
		step{want: hit, body: digits}.run(t, "then", tr, o)
	})
}
