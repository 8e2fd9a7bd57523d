package cachecontrol_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// If the caller's context ends before the body is closed, the request ends with the error that it would have without a
// cache. After Close the context has no effect.
func TestContextUntilClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp, w := pipe("Cache-Control: max-age=60")
			context.AfterFunc(req.Context(), func() {
				ended = req.Context().Err()
				w.CloseWithError(ended)
			})
			go func() {
				w.Write([]byte("begin"))
				time.Sleep(3 * time.Second)
				w.Write([]byte(" and end"))
				w.Close()
			}()
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp := open(t, tr, request(t, "/1").WithContext(ctx))
		if _, err := io.ReadAll(resp.Body); err != context.DeadlineExceeded || ended != context.DeadlineExceeded {
			t.Errorf("ReadAll past the deadline: %v, the origin sees %v; want %v", err, ended, context.DeadlineExceeded)
		}
		resp.Body.Close()

		ctx, cancel = context.WithCancel(t.Context())
		resp = open(t, tr, request(t, "/2").WithContext(ctx))
		resp.Body.Close()
		cancel()
		time.Sleep(5 * time.Second)
		if a := do(t, tr, "/2"); a.outcome != hit || a.body != "begin and end" {
			t.Errorf("after Close, and then cancel: %v %q, want %v %q", a.outcome, a.body, hit, "begin and end")
		}
	})
}

// Close does not wait for a Read. It ends the Read and the request.
func TestCloseEndsRead(t *testing.T) {
	for _, collapse := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			resp, w := pipe("Cache-Control: max-age=60")
			o := newOrigin(t, func(int, *http.Request) *http.Response { return resp })
			tr := &cachecontrol.Transport{Base: o, Collapse: collapse}
			defer tr.Close()
			got := open(t, tr, request(t, "/"))
			go func() {
				synctest.Wait()
				got.Body.Close()
			}()
			if n, err := got.Body.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
				t.Errorf("collapse %v: Read = %d, %v, want an error", collapse, n, err)
			}
			synctest.Wait()
			if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe {
				t.Errorf("collapse %v: the body is open: %v, want %v", collapse, err, io.ErrClosedPipe)
			}
		})
	}
}

var errGaveUp = errors.New("the caller gave up")

// If a context ends with a cause, the request fails with that cause, as with http.Transport, before it is sent and
// while it waits for the origin.
func TestContextCause(t *testing.T) {
	for name, tr := range map[string]*cachecontrol.Transport{
		"plain": {}, "collapse": {Collapse: true}, "no drain": {DrainBytes: -1}, "drain": {DrainBytes: 1 << 10},
	} {
		for _, when := range []string{"before", "meanwhile"} {
			t.Run(name+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr := &cachecontrol.Transport{Collapse: tr.Collapse, DrainBytes: tr.DrainBytes}
					defer tr.Close()
					ctx, cancel := context.WithCancelCause(t.Context())
					tr.Base = newOrigin(t, func(n int, req *http.Request) *http.Response { return nil })
					if when == "before" {
						cancel(errGaveUp)
					} else {
						tr.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
							cancel(errGaveUp)
							<-req.Context().Done()
							return nil, context.Cause(req.Context())
						})
					}
					if _, err := tr.RoundTrip(request(t, "/").WithContext(ctx)); !errors.Is(err, errGaveUp) {
						t.Errorf("%v, want %v", err, errGaveUp)
					}
				})
			})
		}
	}
}
