package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// hideLength makes a 200 one of unknown length, as with Transfer-Encoding: chunked.
func hideLength(resp *http.Response) {
	if resp.StatusCode == 200 {
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
	}
}

// A response of unknown length that ends early is kept, however long it is, and the next request asks for the rest only.
func TestResumeOfUnknownLength(t *testing.T) {
	for _, size := range []int64{100 << 10, 2 << 20, 20<<20 + 1}[:rounds(3, 2)] {
		for _, closes := range []bool{true, false} {
			t.Run(fmt.Sprint(size, " closed ", closes), func(t *testing.T) {
				inEachStore(t, func(t *testing.T, store storage.Store) {
					if dict, ok := store.(*storage.DictCache); ok {
						dict.MaxBytes = 1 << 30
					}
					if _, ok := store.(storage.Describer); !ok && size > 10<<20 {
						t.Skip("the store keeps no body of this length")
					}
					n := size / 3 * 2
					f := &file{size: size, fields: []string{fresh3600}}
					f.faults = func(_ *http.Request, resp *http.Response) {
						hideLength(resp)
						if !closes && resp.StatusCode == 200 {
							resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, n), failingReader{errCut}))
						}
					}
					o := f.origin(t)
					tr := &cachecontrol.Transport{Base: o, Store: store, DrainBytes: -1}
					defer tr.Close()
					resp := open(t, tr, request(t, "/"))
					got, err := io.CopyN(io.Discard, resp.Body, n+1-map[bool]int64{true: 1}[closes])
					if (err == nil) != closes || got != n {
						t.Fatalf("%d bytes, error %v, want %d", got, err, n)
					}
					resp.Body.Close()
					getWhole(t, tr, 0, size)
					if got, want := o.last().Header.Get("Range"), fmt.Sprintf("bytes=%d-", n); got != want {
						t.Errorf("the rest was requested with Range: %q, want %q", got, want)
					}
					if resp := getWhole(t, tr, 0, size); !cachecontrol.FromCache(resp) {
						t.Error("the whole was not stored")
					}
					wantRequests(t, o, 2)
				})
			})
		}
	}
}

// Of a response of unknown length that is being received when the process ends, at most the last piece is lost.
func TestUnknownLengthSurvivesProcess(t *testing.T) {
	for kind, newStore := range map[string]func(*testing.T, string) storage.Store{
		"FileCache":             func(t *testing.T, dir string) storage.Store { return newFileCache(t, dir) },
		"SeparateBodyFileCache": func(t *testing.T, dir string) storage.Store { return newSeparateBodyFileCache(t, dir) },
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				f := &file{size: 13 << 20, fields: []string{fresh3600}}
				f.faults = func(_ *http.Request, resp *http.Response) { hideLength(resp) }
				base := roundTripper(func(req *http.Request) (*http.Response, error) { return f.respond(req), nil })
				tr := &cachecontrol.Transport{Base: base, Store: newStore(t, dir), DrainBytes: -1}
				resp, err := tr.RoundTrip(request(t, "/"))
				if err != nil {
					t.Fatal(err)
				}
				checkBytes(t, io.LimitReader(resp.Body, 11<<20), 0, 0) // nobody closes the body
				tr = &cachecontrol.Transport{Base: f.origin(t), Store: newStore(t, dir)}
				defer tr.Close()
				getWhole(t, tr, 0, f.size)
				if most := f.size + 2<<20; f.sent > most {
					t.Errorf("the origin sent %d bytes, want %d at most", f.sent, most)
				}
				getWhole(t, tr, 0, f.size)
				if parts := storedParts(t, &watchedStore{Store: newStore(t, dir)}); parts != "" {
					t.Errorf("%d bytes of parts are stored, want none", len(parts))
				}
			})
		})
	}
}

// Of a response of unknown length that turns out to be too long, nothing is kept.
func TestTooLongOfUnknownLength(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		f := &file{size: 11 << 20, fields: []string{fresh3600}}
		f.faults = func(_ *http.Request, resp *http.Response) { hideLength(resp) }
		tr := &cachecontrol.Transport{Base: f.origin(t), Store: s, MaxBodyBytes: 10 << 20}
		defer tr.Close()
		resp := open(t, tr, request(t, "/"))
		checkBytes(t, resp.Body, 0, 0)
		resp.Body.Close()
		if parts := storedParts(t, s); parts != "" {
			t.Errorf("%d bytes of parts are stored, want none", len(parts))
		}
	})
}
