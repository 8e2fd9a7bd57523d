package cachecontrol_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/faultstore"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// counts returns s without empty maps.
func counts(s cachecontrol.Stats) cachecontrol.Stats {
	if len(s.NotStored) == 0 {
		s.NotStored = nil
	}
	if len(s.StoreErrors) == 0 {
		s.StoreErrors = nil
	}
	if len(s.StoreSuspended) == 0 {
		s.StoreSuspended = nil
	}
	if len(s.StoreOperations) == 0 {
		s.StoreOperations = nil
	}
	return s
}

func TestStats(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	type stats = cachecontrol.Stats
	type reasons = map[cachecontrol.Reason]uint64
	offline := &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}
	for _, tt := range []struct {
		name      string
		transport *cachecontrol.Transport // nil: the zero value
		origin    []reply
		steps     []step
		want      stats
	}{
		{
			"nothing", nil, []reply{ok()}, nil, stats{},
		}, {
			"a miss and two hits", nil, []reply{ok(fresh)}, []step{{want: miss}, {want: hit}, {want: hit}},
			stats{Misses: 1, Hits: 2, OriginRequests: 1, BytesFromOrigin: 2, BytesFromCache: 4, Stored: 1},
		}, {
			"only what is handed out counts", nil, []reply{{body: "0123456789", fields: []string{fresh, tag}}},
			[]step{
				{want: miss}, {do: "HEAD /", want: hit}, {with: []string{`If-None-Match: "1"`}, want: hit, status: 304},
				{with: []string{"Range: bytes=2-4"}, want: hit, status: 206}, {with: []string{"Range: bytes=20-"}, want: hit, status: 416},
			},
			stats{Misses: 1, Hits: 4, OriginRequests: 1, BytesFromOrigin: 10, BytesFromCache: 3, Stored: 1},
		}, {
			"what is decoded counts as it is stored", nil, []reply{{body: encode("gzip", "hello, hello, hello"), fields: []string{fresh, "Content-Encoding: gzip"}}},
			[]step{{want: miss, body: "hello, hello, hello"}, {want: hit, body: "hello, hello, hello"}},
			stats{
				Misses: 1, Hits: 1, OriginRequests: 1, Stored: 1,
				BytesFromOrigin: uint64(len(encode("gzip", "hello, hello, hello"))), BytesFromCache: uint64(len(encode("gzip", "hello, hello, hello"))),
			},
		}, {
			"a validation", nil, []reply{ok(tag), status(304, tag)}, []step{{want: miss}, {want: revalidated}},
			stats{Misses: 1, Revalidated: 1, OriginRequests: 2, BytesFromOrigin: 2, BytesFromCache: 2, Stored: 1},
		}, {
			"stale, and the one in the background", nil, []reply{ok(swr)}, []step{{want: miss}, {wait: 11 * time.Second, want: stale}, {wait: time.Second, want: hit}},
			stats{Misses: 1, Stale: 1, Hits: 1, Background: 1, OriginRequests: 2, BytesFromOrigin: 4, BytesFromCache: 4, Stored: 2},
		}, {
			"stale for an error, and for none at all", &cachecontrol.Transport{Backoff: -1}, []reply{ok(fresh+", stale-if-error=900", tag), status(503), down},
			[]step{{want: miss}, {wait: time.Minute, want: stale}, {want: stale}},
			stats{Misses: 1, Stale: 2, OriginRequests: 3, OriginErrors: 1, OriginFailures: 1, BytesFromOrigin: 2, BytesFromCache: 4, Stored: 1},
		}, {
			"held back in the foreground and in the background", nil, []reply{ok(fresh+", stale-while-revalidate=60, stale-if-error=900", tag), status(503)},
			[]step{{want: miss}, {wait: 61 * time.Second, want: stale}, {wait: time.Second, want: stale}, {wait: time.Minute, want: stale}, {want: stale}},
			stats{Misses: 1, Stale: 4, Background: 1, OriginRequests: 3, OriginFailures: 2, HeldBack: 2, BytesFromOrigin: 2, BytesFromCache: 8, Stored: 1},
		}, {
			"bypassed and refused", nil, []reply{ok(fresh)},
			[]step{{do: "POST /", want: bypass}, {control: offline, want: miss, status: 504}, {control: &cachecontrol.Control{Mode: cachecontrol.ModeBypass}, want: bypass}},
			stats{Bypassed: 2, Refused: 1, OriginRequests: 2, BytesFromOrigin: 4, NotStored: reasons{rules.MethodNotStorable: 1}},
		}, {
			"what is not stored, by reason", nil, []reply{ok("Cache-Control: no-store"), ok(), ok(fresh, "Vary: *"), status(500, "X: 1"), ok()},
			[]step{{want: miss}, {want: miss}, {want: miss}, {want: miss, status: 500}, {want: miss}},
			stats{Misses: 5, OriginRequests: 5, OriginFailures: 1, BytesFromOrigin: 10, NotStored: reasons{
				rules.NoStoreResponse: 1, rules.NothingToReuse: 2, rules.VaryAny: 1, rules.NotCacheable: 1,
			}},
		}, {
			"too long", &cachecontrol.Transport{MaxBodyBytes: 1}, []reply{ok(fresh)}, []step{{want: miss}},
			stats{Misses: 1, OriginRequests: 1, BytesFromOrigin: 2, NotStored: reasons{rules.TooLong: 1}},
		}, {
			"what the store evicts", &cachecontrol.Transport{Store: &storage.DictCache{MaxBytes: 64 << 10}},
			[]reply{{body: strings.Repeat("x", 11<<10), fields: []string{fresh}}},
			[]step{{do: "/1", want: miss}, {do: "/2", want: miss}, {do: "/3", want: miss}, {do: "/4", want: miss}, {do: "/5", want: miss}, {do: "/6", want: miss}},
			stats{Misses: 6, OriginRequests: 6, BytesFromOrigin: 6 * 11 << 10, Stored: 6, Evictions: 1},
		}, {
			"a head that brings the stored response up to date", nil, []reply{ok(fresh, tag)}, []step{{want: miss}, {do: "HEAD /", control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, want: miss}},
			stats{Misses: 2, OriginRequests: 2, BytesFromOrigin: 2, Stored: 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := tt.transport
				if tr == nil {
					tr = &cachecontrol.Transport{}
				}
				o := replies(t, tt.origin...)
				tr.Base = o
				defer tr.Close()
				for i, st := range tt.steps {
					st.run(t, fmt.Sprintf("step %d", i+1), tr, o)
				}
				synctest.Wait()
				if d := cmp.Diff(tt.want, counts(tr.Stats())); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// Stats count responses whose storing failed, and requests without a response.
func TestStatsOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			switch req.URL.Path {
			case "/down":
				return nil
			case "/hangs":
				<-req.Context().Done()
				return nil
			}
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "one", "two")
		})
		tr := &cachecontrol.Transport{Base: o, DrainBytes: -1}
		defer tr.Close()
		resp := open(t, tr, request(t, "/early"))
		io.ReadFull(resp.Body, make([]byte, 3))
		resp.Body.Close()
		resp = open(t, tr, request(t, "/invalidated"))
		if err := tr.Invalidate(t.Context(), request(t, "/invalidated").URL); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if _, err := tr.RoundTrip(request(t, "/down")); err == nil {
			t.Error("error nil, want one")
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tr.RoundTrip(request(t, "/").WithContext(cancelled)); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		ending, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tr.RoundTrip(request(t, "/hangs").WithContext(ending)); err == nil {
			t.Error("error nil, want one")
		}
		want := cachecontrol.Stats{
			Misses: 2, Failed: 3, OriginRequests: 4, OriginErrors: 1, BytesFromOrigin: 9,
			NotStored: map[cachecontrol.Reason]uint64{rules.Incomplete: 1, rules.Outdated: 1},
		}
		if d := cmp.Diff(want, counts(tr.Stats())); d != "" {
			t.Error(d)
		}
	})
}

// Requests that share a response are counted in Collapsed.
func TestStatsCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			<-letGo
			return respond(200, "body", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { do(t, tr, "/") })
		}
		synctest.Wait()
		close(letGo)
		all.Wait()
		want := cachecontrol.Stats{Misses: 5, Collapsed: 4, OriginRequests: 1, BytesFromOrigin: 4, Stored: 1}
		if d := cmp.Diff(want, counts(tr.Stats())); d != "" {
			t.Error(d)
		}
	})
}

// No count is lost between goroutines.
func TestStatsAddUp(t *testing.T) {
	o := replies(t, ok("Cache-Control: max-age=3600"))
	tr := &cachecontrol.Transport{Base: o}
	defer tr.Close()
	do(t, tr, "/")
	const workers, each = 8, 500
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			var last uint64
			for range each {
				do(t, tr, "/")
				if hits := tr.Stats().Hits; hits < last+1 {
					t.Errorf("%d hits, there were %d before, want at least %d", hits, last, last+1)
				} else {
					last = hits
				}
			}
		})
	}
	all.Wait()
	if s := tr.Stats(); s.Hits != workers*each || s.BytesFromCache != 2*workers*each {
		t.Errorf("%d hits with %d bytes, want %d, %d", s.Hits, s.BytesFromCache, workers*each, 2*workers*each)
	}
}

// Stats survive a round trip through JSON, and expvar can show them.
func TestStatsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: storage.NewDictCache(), method: "Create", mode: "error"}
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: no-store"), ok("Cache-Control: max-age=60")), Store: store}
		defer tr.Close()
		do(t, tr, "/")
		do(t, tr, "/")
		text := expvar.Func(func() any { return tr.Stats() }).String()
		for _, part := range []string{`"misses":2`, `"not_stored":{"no-store":1,"store-failed":1}`, `"store_errors":{"create":1}`} {
			if !strings.Contains(text, part) {
				t.Errorf("JSON %s, want %s in it", text, part)
			}
		}
		var back cachecontrol.Stats
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tr.Stats(), back); d != "" {
			t.Error(d)
		}
	})
}

// A leader that leaves is counted once, by how its own caller was answered.
func TestStatsLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			<-letGo
			return respond(200, "body", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); err == nil {
				t.Error("error nil, want one")
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() { do(t, tr, "/") })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(letGo)
		all.Wait()
		want := cachecontrol.Stats{Misses: 3, Failed: 1, Collapsed: 3, OriginRequests: 1, BytesFromOrigin: 4, Stored: 1}
		if d := cmp.Diff(want, counts(tr.Stats())); d != "" {
			t.Error(d)
		}
	})
}

// A lookup that is canceled by the caller is not a failure of the store.
func TestStatsCancelledLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultstore.Store{Store: storage.NewDictCache(), Fault: func(op faultstore.Op) faultstore.Fault {
			if op == faultstore.Get {
				return faultstore.Hang
			}
			return faultstore.None
		}}
		tr := &cachecontrol.Transport{Base: replies(t, ok()), Store: store}
		defer tr.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); err == nil {
			t.Error("error nil, want one")
		}
		if failed := tr.Stats().StoreErrors; len(failed) > 0 {
			t.Errorf("StoreErrors = %v, want none", failed)
		}
	})
}
