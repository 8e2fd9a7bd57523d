package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// shiftedStore is the store of a machine whose clock is ahead of ours.
type shiftedStore struct {
	storage.Store
	ahead time.Duration
}

func (s shiftedStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	e = e.Clone()
	e.RequestTime, e.ResponseTime = e.RequestTime.Add(s.ahead), e.ResponseTime.Add(s.ahead)
	return s.Store.Create(ctx, key, e)
}

// TestClocks: machines with different clocks share a store. No response is used for longer than its freshness lifetime because of that.
func TestClocks(t *testing.T) {
	const lifetime = "Cache-Control: max-age=60, stale-if-error=600"
	for _, test := range []struct {
		ahead time.Duration // of the clock of the machine that has stored the response
		field string
		down  bool
		with  func(*cachecontrol.Transport)
		own   time.Duration // Control.Lifetime
		want  cachecontrol.Outcome
	}{
		{ahead: 0, field: lifetime, want: hit},
		{ahead: -50 * time.Second, field: lifetime, want: hit},
		{ahead: -5 * time.Minute, field: lifetime, want: cachecontrol.Revalidated},
		{ahead: time.Second, field: lifetime, want: hit},
		{ahead: 2 * time.Second, field: lifetime, want: cachecontrol.Revalidated},
		{ahead: 5 * time.Minute, field: lifetime, want: cachecontrol.Revalidated},
		{ahead: 5 * time.Minute, field: lifetime, down: true, want: cachecontrol.Stale},
		{ahead: 5 * time.Minute, field: "Cache-Control: max-age=60, immutable", want: cachecontrol.Revalidated},
		{ahead: 5 * time.Minute, field: "Cache-Control: max-age=2147483648", want: hit},
		{ahead: 5 * time.Minute, field: lifetime, with: func(tr *cachecontrol.Transport) { tr.Replay = true }, want: cachecontrol.Stale},
		{ahead: 5 * time.Minute, field: lifetime, with: func(tr *cachecontrol.Transport) { tr.Shared = true }, want: cachecontrol.Revalidated},
		{ahead: time.Second, field: lifetime, own: time.Hour, want: hit},
		{ahead: 5 * time.Minute, field: lifetime, own: time.Hour, want: cachecontrol.Revalidated},
		{ahead: 5 * time.Minute, field: lifetime, own: time.Second, want: cachecontrol.Revalidated},
	} {
		t.Run(fmt.Sprintf("%v/%s/down=%v/own=%v", test.ahead, test.field, test.down, test.own), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("If-None-Match") != "" {
						return respond(304, "", test.field, `ETag: "1"`)
					}
					return respond(200, "text", test.field, `ETag: "1"`)
				})
				base := roundTripper(func(req *http.Request) (*http.Response, error) {
					if test.down && req.Header.Get("If-None-Match") != "" {
						return nil, errors.New("down")
					}
					return o.RoundTrip(req)
				})
				store := storage.NewDictCache()
				other := &cachecontrol.Transport{Base: base, Store: shiftedStore{store, test.ahead}}
				defer other.Close()
				ours := &cachecontrol.Transport{Base: base, Store: store}
				defer ours.Close()
				if test.with != nil {
					test.with(other)
					test.with(ours)
				}
				do(t, other, "/")
				req := request(t, "/")
				if a := send(t, ours, req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Lifetime: test.own}))); a.outcome != test.want || a.body != "text" {
					t.Errorf("%v %q, want %v %q", a.outcome, a.body, test.want, "text")
				}
				if test.want == cachecontrol.Revalidated { // the response has our time now
					if a := do(t, ours, "/"); a.outcome != hit {
						t.Errorf("after a 304: %v, want %v", a.outcome, hit)
					}
				}
			})
		})
	}
}
