package cachecontrol_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A batchingStore is a Batcher that records the calls that read entries: "get" or "batch", and the keys without that of "/".
type batchingStore struct {
	storage.Store

	mu    sync.Mutex // guards the following fields
	calls []string
	err   error // of the next Get
}

// record records a call and returns the error that it is to have.
func (s *batchingStore) record(op string, keys ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		op += " /" + strings.TrimPrefix(key, wholeKey)
	}
	s.calls = append(s.calls, op)
	err := s.err
	s.err = nil
	return err
}

// taken returns the calls since the last call of taken.
func (s *batchingStore) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *batchingStore) Get(ctx context.Context, key string) (*storage.Response, error) {
	if err := s.record("get", key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *batchingStore) Batch(ctx context.Context, calls []storage.Call) {
	var keys []string
	for i := range calls {
		switch c := &calls[i]; {
		case c.Delete:
			c.Err = s.Store.Delete(ctx, c.Key)
		case c.Put != nil:
			var w storage.Writer
			if w, c.Err = s.Store.Create(ctx, c.Key, c.Put); c.Err == nil {
				c.Err = w.Commit()
			}
		default:
			c.Response, c.Err = s.Store.Get(ctx, c.Key)
			keys = append(keys, c.Key)
		}
	}
	if keys != nil {
		s.record("batch", keys...)
	}
}

// A request waits for a store that can make several calls at once only once before the origin is asked, and for a fresh response
// reads nothing else.
func TestBatchedLookup(t *testing.T) {
	const all, again = "batch / /#notice /#partial /#search /#marks", "batch / /#notice /#partial"
	type aheadStep struct {
		step
		change func(s *batchingStore) // before the request
		want   []string               // calls until the origin is asked, or the caller is answered
	}
	remove := func(s *batchingStore) { s.Store.Delete(context.Background(), wholeKey) }
	fail := func(s *batchingStore) { s.err = errFaulty }
	fresh := []reply{ok("Cache-Control: max-age=60", `ETag: "1"`)}
	warm := []aheadStep{
		{step: step{want: miss}, want: []string{all}},
		{step: step{want: hit}, want: []string{again}},
		{step: step{want: hit}, want: []string{"get /"}},
	}
	for _, tt := range []struct {
		name   string
		origin []reply
		steps  []aheadStep
	}{
		{"stale", append(fresh, status(304, "Cache-Control: max-age=60")), append(slices.Clip(warm),
			aheadStep{step: step{wait: 61 * time.Second, want: revalidated}, want: []string{all}},
			aheadStep{step: step{want: hit}, want: []string{again}},
		)},
		{"no-cache in the request", append(fresh, status(304)), append(slices.Clip(warm),
			aheadStep{step: step{with: []string{"Cache-Control: no-cache"}, want: revalidated}, want: []string{again}},
		)},
		{"no-store in the request", fresh, []aheadStep{
			{step: step{with: []string{"Cache-Control: no-store"}, want: miss}, want: []string{"batch / /#partial /#search /#marks"}},
		}},
		{"removed by another process", fresh, append(slices.Clip(warm),
			aheadStep{change: remove, step: step{want: miss}, want: []string{"get /", again}},
		)},
		{"the store fails", fresh, append(slices.Clip(warm),
			aheadStep{change: fail, step: step{want: miss, body: "#2"}, want: []string{"get /", "get /#partial", "get /#notice"}},
		)},
		{"parts", []reply{partReply(0, 4, "Cache-Control: max-age=60", `ETag: "1"`)}, []aheadStep{
			{step: step{with: []string{"Range: bytes=0-4"}, want: miss}, want: []string{all}},
			{step: step{with: []string{"Range: bytes=1-2"}, want: hit, body: "12"}, want: []string{again, "get part"}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &batchingStore{Store: newPlainStore()}
				var asked []string
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					asked = s.taken()
					return tt.origin[min(n, len(tt.origin))-1].respond(n, req)
				})
				tr := &cachecontrol.Transport{Base: o, Store: s}
				defer tr.Close()
				for i, st := range tt.steps {
					if st.change != nil {
						st.change(s)
					}
					s.taken()
					asked = nil
					st.run(t, string(rune('1'+i)), tr, o)
					got := asked
					if got == nil {
						got = s.taken()
					}
					for i, call := range got {
						if strings.Contains(call, "#part=") {
							got[i] = "get part"
						}
					}
					if diff := cmp.Diff(st.want, got); diff != "" {
						t.Errorf("step %d: the calls are (-want +got):\n%s", i+1, diff)
					}
				}
			})
		})
	}
}
