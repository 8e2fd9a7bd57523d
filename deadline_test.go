package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/kv"
)

// hangingKV is a kv.KV that does not answer. It may ignore its contexts.
type hangingKV struct {
	ignores bool
	end     chan struct{}
}

func (h *hangingKV) wait(ctx context.Context) error {
	if h.ignores {
		ctx = context.Background()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-h.end:
		return storage.ErrNotFound
	}
}

func (h *hangingKV) Get(ctx context.Context, key string) ([]byte, error) { return nil, h.wait(ctx) }

func (h *hangingKV) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return h.wait(ctx)
}

func (h *hangingKV) Delete(ctx context.Context, key string) error { return h.wait(ctx) }

// A caller with a deadline gets the response of the origin, which answers at once, although the store hangs.
func TestDeadlineWhileStoreHangs(t *testing.T) {
	for _, ignores := range []bool{false, true} {
		for _, deadline := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Minute} {
			for _, target := range []string{"/", "POST /"} {
				t.Run(fmt.Sprint(target, ignores, deadline), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := &hangingKV{ignores, make(chan struct{})}
						o := replies(t, reply{body: "body", fields: []string{"Cache-Control: max-age=60"}})
						tr := &cachecontrol.Transport{Base: o, Store: kv.FromKV(h)}
						for range 40 {
							ctx, cancel := context.WithTimeout(t.Context(), deadline)
							resp, err := tr.RoundTrip(request(t, target).WithContext(ctx))
							if err != nil {
								t.Fatalf("%s: %v", target, err)
							}
							body, err := io.ReadAll(resp.Body)
							resp.Body.Close()
							if string(body) != "body" || err != nil || ctx.Err() != nil {
								t.Fatalf("%s: body %q, %v; context: %v", target, body, err, ctx.Err())
							}
							cancel()
						}
						if ignores {
							close(h.end)
						}
						if err := tr.Close(); err != nil {
							t.Error(err)
						}
					})
				})
			}
		}
	}
}

// The caller's last Read does not wait for a store that hangs in Commit. The next request finds the entry if that is
// committed soon, and Close waits for the commit.
func TestCommitGoesOnBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := storage.NewDictCache()
		var commit time.Duration
		store := &hookedStore{Store: inner, before: func(_ context.Context, op, key string) error {
			if op == "Commit" {
				time.Sleep(commit)
			}
			return nil
		}}
		o := replies(t, reply{body: "body", fields: []string{"Cache-Control: max-age=60"}})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		for _, test := range []struct {
			target     string
			commit     time.Duration
			took, most time.Duration
			next       cachecontrol.Outcome
		}{
			{"/quick", time.Millisecond, time.Millisecond, 0, hit},
			{"/soon", 300 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, hit},
			{"/late", 4 * time.Second, 100 * time.Millisecond, 350 * time.Millisecond, miss},
		} {
			commit = test.commit
			start := time.Now()
			do(t, tr, test.target)
			if took := time.Since(start); took != test.took {
				t.Errorf("GET %s took %v, want %v", test.target, took, test.took)
			}
			start = time.Now()
			if a := do(t, tr, test.target); a.outcome != test.next {
				t.Errorf("the next GET %s: %v, want %v", test.target, a.outcome, test.next)
			}
			if took := time.Since(start); took > test.most {
				t.Errorf("the next GET %s took %v, want at most %v", test.target, took, test.most)
			}
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if _, err := inner.Get(t.Context(), "http://example.com/late"); err != nil {
			t.Errorf("after Close: %v, want the entry", err)
		}
	})
}
