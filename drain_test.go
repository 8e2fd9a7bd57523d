package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// What the caller leaves of a body is read in the background, if it is not too much: Close does not wait for it.
func TestDrain(t *testing.T) {
	for name, test := range map[string]struct {
		drain  int64
		length int // said; -1: not
		size   int // how long the body is
		read   int
		want   cachecontrol.Outcome
	}{
		"off":                {-1, 100_000, 100_000, 10, miss},
		"nothing read":       {100_000, 100_000, 100_000, 0, hit},
		"some read":          {90_000, 100_000, 100_000, 40_000, hit},
		"too much":           {50_000, 100_000, 100_000, 10, miss},
		"all but EOF":        {1, 10, 10, 10, hit},
		"length not said":    {100_000, -1, 100_000, 10, hit},
		"too much, not said": {50_000, -1, 100_000, 10, miss},
		"cut short":          {100_000, 100_000, 90_000, 10, miss},
		"just not too much":  {100_000, -1, 100_000, 0, hit},
		"just too much":      {99_999, 100_000, 100_000, 0, miss},
	} {
		t.Run(name, func(t *testing.T) {
			for _, collapse := range []bool{false, true} {
				in(t, func(t *testing.T) {
					body := strings.Repeat("x", test.size)
					letGo := make(chan struct{}, 4)
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						resp := respond(200, "", "Cache-Control: max-age=60")
						resp.Body, resp.ContentLength = &gatedBody{strings.NewReader(body), letGo}, int64(test.length)
						return resp
					})
					tr := &cachecontrol.Transport{Base: o, DrainBytes: test.drain, Collapse: collapse}
					defer tr.Close()
					ctx, cancel := context.WithCancel(t.Context())
					resp := open(t, tr, request(t, "/").WithContext(ctx))
					for range 4 {
						letGo <- struct{}{}
					}
					if test.read > 0 {
						io.ReadFull(resp.Body, make([]byte, test.read))
					}
					resp.Body.Close() // would never come back if it waited
					cancel()
					close(letGo)
					synctest.Wait()
					resp = open(t, tr, request(t, "/"))
					got, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if outcome := cachecontrol.StatusOf(resp).Outcome; outcome != test.want || string(got) != body {
						t.Errorf("collapse %v: %v, %d bytes; want %v", collapse, outcome, len(got), test.want)
					}
				})
			}
		})
	}
}

// gatedBody waits before each Read.
type gatedBody struct {
	io.Reader
	letGo chan struct{}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	<-b.letGo
	return b.Reader.Read(p)
}

func (*gatedBody) Close() error { return nil }

// A caller that cancels wants nothing more; nor is anything read of what is not stored.
func TestDrainsNot(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		with   []string
		cancel bool
	}{
		"cancelled":    {fields: []string{"Cache-Control: max-age=60"}, cancel: true},
		"not storable": {fields: []string{"Cache-Control: no-store"}},
		"no-store":     {fields: []string{"Cache-Control: max-age=60"}, with: []string{"Cache-Control: no-store"}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				resp, w := pipe(test.fields...)
				o := newOrigin(t, func(int, *http.Request) *http.Response { return resp })
				tr := &cachecontrol.Transport{Base: o, DrainBytes: 1 << 20}
				defer tr.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				got := open(t, tr, request(t, "/", test.with...).WithContext(ctx))
				if test.cancel {
					cancel()
				}
				got.Body.Close()
				synctest.Wait()
				if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe || o.last().Context().Err() == nil {
					t.Errorf("the body is still read: %v", err)
				}
			})
		})
	}
}

// It ends with its deadline, with Close, and where too much runs already.
func TestDrainIsBounded(t *testing.T) {
	in(t, func(t *testing.T) {
		open1 := func(tr *cachecontrol.Transport, target string) {
			open(t, tr, request(t, target).WithContext(t.Context())).Body.Close()
		}
		var pipes []*io.PipeWriter
		o := newOrigin(t, func(int, *http.Request) *http.Response {
			resp, w := pipe("Cache-Control: max-age=60")
			pipes = append(pipes, w)
			return resp
		})
		drained := func() (n int) {
			synctest.Wait()
			for _, req := range o.reqs {
				if req.Context().Err() == nil {
					n++
				}
			}
			return n
		}
		tr := &cachecontrol.Transport{Base: o, DrainBytes: 1 << 20, BackgroundTimeout: 5 * time.Second}
		for i := range 100 {
			open1(tr, fmt.Sprint("/", i))
		}
		if n := drained(); n == 0 || n > 32 {
			t.Errorf("%d are drained at once", n)
		}
		time.Sleep(6 * time.Second)
		if n := drained(); n != 0 {
			t.Errorf("%d are drained after the deadline", n)
		}
		open1(tr, "/again")
		if n := drained(); n != 1 {
			t.Errorf("%d are drained", n)
		}
		start := time.Now()
		tr.Close()
		if n := drained(); n != 0 || time.Since(start) != 0 {
			t.Errorf("%d are drained after Close, which took %v", n, time.Since(start))
		}
	})
}

// Over a connection, which can be used again then.
func TestDrainOverTheWire(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, body)
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	committed := make(chan struct{}, 1)
	store := &signalStore{Store: fileStores(t)["FileCache"], committed: committed}
	tr := &cachecontrol.Transport{Base: base, Store: store, DrainBytes: 1 << 20}
	defer tr.Close()
	ctx, cancel := context.WithCancel(t.Context())
	resp := open(t, tr, request(t, server.URL).WithContext(ctx))
	io.ReadFull(resp.Body, make([]byte, 10))
	resp.Body.Close()
	cancel()
	<-committed
	if a := do(t, tr, server.URL); a.outcome != hit || a.body != body {
		t.Errorf("%v, %d bytes", a.outcome, len(a.body))
	}
}

// signalStore tells when an entry is committed.
type signalStore struct {
	storage.Store
	committed chan struct{}
}

func (s *signalStore) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	w, err := s.Store.Create(ctx, key, e)
	return signalWriter{w, s.committed}, err
}

type signalWriter struct {
	storage.Writer
	committed chan struct{}
}

func (w signalWriter) Commit() error {
	defer func() { w.committed <- struct{}{} }()
	return w.Writer.Commit()
}
