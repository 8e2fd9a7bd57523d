package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// A notice that is stored once more, because the store had not confirmed it, is not the same notice: a response that was requested
// after the first one, and before another process has invalidated the URL, is not stored.
func TestNoticeStoredTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dict := storage.NewDictCache()
		var failed, changed atomic.Bool
		distant := func(after func(op, key string)) storage.Store {
			return &hookedStore{Store: struct{ storage.Store }{dict}, after: after}
		}
		lossy := &unconfirmedStore{Store: struct{ storage.Store }{dict}, lose: func(key string) bool {
			return strings.HasSuffix(key, "#notice") && failed.CompareAndSwap(false, true)
		}}
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp := respond(200, versionOf(&changed), "Cache-Control: max-age=600")
			if req.Header.Get("X-Slow") != "" {
				resp.Body = &lateBody{resp.Body, 5 * time.Second}
			}
			return resp
		})
		a := &cachecontrol.Transport{Base: o, Store: lossy}
		b := &cachecontrol.Transport{Base: o, Store: distant(nil)}
		c := &cachecontrol.Transport{Base: o, Store: distant(nil)}
		for _, tr := range []*cachecontrol.Transport{a, b, c} {
			defer tr.Close()
		}
		do(t, a, "POST /") // its notice is stored, but that is not confirmed
		done := make(chan struct{})
		go func() {
			defer close(done)
			do(t, c, "/", "X-Slow: 1")
		}()
		time.Sleep(100 * time.Millisecond)
		changed.Store(true)
		do(t, b, "POST /")
		<-done
		if got := do(t, c, "/"); got.body != "2" {
			t.Errorf("%v %q, want %q", got.outcome, got.body, "2")
		}
		if !failed.Load() {
			t.Error("no notice was stored, want one")
		}
	})
}

// versionOf is the body of a page that has changed or not.
func versionOf(changed *atomic.Bool) string {
	if changed.Load() {
		return "2"
	}
	return "1"
}

// A request does not share a response that another process has invalidated before.
func TestCollapsedAfterNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newPlainStore()
		var changed atomic.Bool
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp := respond(200, versionOf(&changed), "Cache-Control: max-age=600")
			if req.Method == "GET" {
				resp.Body = &lateBody{resp.Body, 5 * time.Second}
			}
			return resp
		})
		a := &cachecontrol.Transport{Base: o, Store: store, Collapse: true}
		b := &cachecontrol.Transport{Base: o, Store: store}
		defer a.Close()
		defer b.Close()
		var first, others answers
		first.add(t, 2, a, get(t))
		time.Sleep(time.Second)
		changed.Store(true)
		do(t, b, "POST /")
		others.add(t, 3, a, get(t))
		for want, all := range map[string]*answers{"1": &first, "2": &others} {
			list, _ := all.wait(t)
			for _, got := range list {
				if got.body != want {
					t.Errorf("%v %q, want %q", got.outcome, got.body, want)
				}
			}
		}
		wantRequests(t, o, 3)
	})
}

// If the store fails when the response to an unsafe request invalidates a group, the group is invalidated as soon as the store is back.
func TestGroupInvalidatedLater(t *testing.T) {
	for _, named := range []int{1, 200} { // more than 128 are all groups of the origin
		synctest.Test(t, func(t *testing.T) {
			var down atomic.Bool
			store := &hookedStore{Store: newPlainStore(), before: func(_ context.Context, op, key string) error {
				if down.Load() && op == "Commit" && strings.HasSuffix(key, storage.MarksKey) {
					return errors.New("down")
				}
				return nil
			}}
			field := `"a"` + strings.Repeat(`, "b"`, named-1)
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				if req.Method == "POST" {
					return respond(204, "", "Cache-Group-Invalidation: "+field)
				}
				return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=600", `Cache-Groups: "a"`)
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			do(t, tr, "/")
			down.Store(true)
			do(t, tr, "POST /other")
			time.Sleep(5 * time.Second)
			down.Store(false)
			time.Sleep(10 * time.Second)
			if got := do(t, tr, "/"); got.body != "#3" {
				t.Errorf("%d groups: %v %q, want %q", named, got.outcome, got.body, "#3")
			}
		})
	}
}

// An unconfirmedStore returns an error for some entries that it has stored.
type unconfirmedStore struct {
	storage.Store
	lose func(key string) bool
}

func (s *unconfirmedStore) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return &unconfirmedWriter{w, s, key}, err
}

type unconfirmedWriter struct {
	storage.Writer
	store *unconfirmedStore
	key   string
}

func (w *unconfirmedWriter) Commit() error {
	err := w.Writer.Commit()
	if w.store.lose(w.key) {
		return errors.New("the answer is lost")
	}
	return err
}
