package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// A response that replaces a stored one, and ends early, is completed by the next request. Until then the stored one remains, is used if
// the origin fails, and is confirmed if the origin has it again. The bytes of the two are never mixed.
func TestReplacementThatEndsEarly(t *testing.T) {
	const size, n = 200 << 10, 120 << 10
	refuses := func(*http.Response) *http.Response { return nil }
	const staleIfError = "Cache-Control: max-age=60, stale-if-error=9999"
	for _, tt := range []struct {
		name     string
		field    string
		now      int                                      // the version that the origin has when the next request comes
		noRanges bool                                     // it then knows no ranges
		changes  func(resp *http.Response) *http.Response // what it then does to its response
		got      int                                      // the version that the caller gets; -1: none
		after    int                                      // the one that it gets after that
		sent     int64                                    // by the origin
		requests int                                      // at most
	}{
		{"completed", staleIfError, 1, false, nil, 1, 1, size - n, 1},
		{"the origin fails", staleIfError, 1, false, func(*http.Response) *http.Response { return respond(503, "") }, 0, 1, 0, 1},
		{"no answer", staleIfError, 1, false, refuses, 0, 1, 0, 1},
		{"no answer, no stale use", "Cache-Control: max-age=60, must-revalidate", 1, false, refuses, -1, 1, 0, 1},
		{"a third version", staleIfError, 2, false, nil, 2, 2, size, 1},
		{"the old version again", staleIfError, 0, false, nil, 0, 0, 0, 1},
		{"no ranges", staleIfError, 1, true, nil, 1, 1, size, 1},
		{"another rest", staleIfError, 1, false, func(resp *http.Response) *http.Response {
			if resp.StatusCode == 206 {
				resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", n+1, size, size+1))
			}
			return resp
		}, 1, 1, size, 2},
		{"not satisfiable", staleIfError, 1, false, func(resp *http.Response) *http.Response {
			if resp.StatusCode == 206 {
				return respond(416, "", fmt.Sprintf("Content-Range: bytes */%d", n))
			}
			return resp
		}, 1, 1, size, 2},
		{"in the background", "Cache-Control: max-age=60, stale-while-revalidate=9999", 1, false, nil, 0, 1, size - n, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, s *watchedStore) {
				f := &file{size: size, fields: []string{tt.field}}
				changed := false
				o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
					if changed && tt.noRanges {
						req = req.Clone(req.Context())
						req.Header.Del("Range")
					}
					resp := f.respond(req)
					if changed && tt.changes != nil {
						return tt.changes(resp)
					}
					return resp
				})
				tr := &cachecontrol.Transport{Base: o, Store: s, DrainBytes: -1, Backoff: -1}
				defer tr.Close()
				getWhole(t, tr, 0, size)
				f.version = 1
				time.Sleep(2 * time.Minute)
				f.cutAfter(n)
				cut(t, tr)
				time.Sleep(time.Second) // for a validation in the background
				synctest.Wait()
				f.sent, f.version, changed = 0, tt.now, true
				before := o.requests()
				resp, err := tr.RoundTrip(request(t, "/"))
				if (err != nil) != (tt.got < 0) {
					t.Fatalf("RoundTrip: %v", err)
				}
				if err == nil {
					if n, err := checkBytes(t, resp.Body, tt.got, 0); n != size || err != nil || resp.StatusCode != 200 {
						t.Errorf("%d with %d bytes, error %v; want 200 with %d", resp.StatusCode, n, err, size)
					}
					resp.Body.Close()
				}
				time.Sleep(time.Second)
				synctest.Wait()
				changed = false
				if f.sent != tt.sent {
					t.Errorf("the origin sent %d bytes, want %d", f.sent, tt.sent)
				}
				if got := o.requests() - before; got > tt.requests {
					t.Errorf("%d requests to the origin, want %d at most", got, tt.requests)
				}
				getWhole(t, tr, tt.after, size)
				getWhole(t, tr, tt.after, size)
			})
		})
	}
}

// cut reads a body that breaks off.
func cut(t *testing.T, tr http.RoundTripper) {
	t.Helper()
	resp := open(t, tr, request(t, "/"))
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
