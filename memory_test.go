package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// The bound of a full DictCache is near to the growth of the heap: before its entries are read, after they have been
// read, and after each has been updated.
func TestMemoryBound(t *testing.T) {
	for _, test := range []struct {
		bound        int64
		body, fields int
		again        int // one of so many is asked for twice, when it has just been stored; 0: none
		urls         int // about twice as many as there is room for
	}{
		{4 << 20, 1000, 20, 0, 5000}, {4 << 20, 5000, 5, 0, 2000}, {4 << 20, 0, 0, 0, 22000},
		{8 << 20, 400, 3, 0, 22000}, {8 << 20, 400, 3, 10, 22000}, {8 << 20, 400, 3, 2, 22000},
	}[:rounds(6, 2)] {
		t.Run(fmt.Sprintf("%d bytes, %d fields, again %d, of %d MiB", test.body, test.fields, test.again, test.bound>>20), func(t *testing.T) {
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				h := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}
				for i := range test.fields {
					h[fmt.Sprint("X-Field-", i)] = []string{strings.Repeat("v", i)}
				}
				status, body := http.StatusOK, strings.Repeat("x", test.body)
				if req.Header["If-None-Match"] != nil {
					status, body = http.StatusNotModified, ""
				}
				return &http.Response{
					StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
					Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
				}, nil
			})
			store := &storage.DictCache{MaxBytes: test.bound}
			before := reachable()
			tr := &cachecontrol.Transport{Base: base, Store: store}
			defer tr.Close()
			ask := func(control cachecontrol.Control, again int) {
				t.Helper()
				for n := range test.urls + test.urls/max(again, 1)*min(again, 1) {
					i := n
					if again > 0 {
						i = n - n/(again+1) // the last of each again+1 is that before it
						if n%(again+1) == again {
							i--
						}
					}
					req, err := http.NewRequest(http.MethodGet, fmt.Sprint("http://example.com/", i), nil)
					if err != nil {
						t.Fatal(err)
					}
					if control.Mode == cachecontrol.ModeRefresh {
						if _, err := store.Get(t.Context(), req.URL.String()); err != nil {
							continue
						}
					}
					resp, err := tr.RoundTrip(req.WithContext(cachecontrol.WithControl(t.Context(), control)))
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			check := func(when string) {
				t.Helper()
				share := float64(reachable()-before) / float64(test.bound)
				t.Logf("%s: %d entries take %.2f of the bound", when, store.Len(), share)
				if share < 0.8 || share > 1.2 || store.Traits().Evictions == 0 {
					t.Errorf("%s: %d entries take %.2f of the bound after %d evictions, want 0.8 to 1.2, some", when, store.Len(), share, store.Traits().Evictions)
				}
			}
			ask(cachecontrol.Control{}, test.again)
			check("stored")
			ask(cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, 0)
			check("hit")
			ask(cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, 0)
			ask(cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, 0)
			check("brought up to date and hit")
		})
	}
}

// reachable returns the size of the heap in use.
func reachable() int64 {
	runtime.GC()
	runtime.GC() // the first may have been under way
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The names of fields that no other response has do not stay in memory after their entries.
func TestMemoryOfManyNames(t *testing.T) {
	const urls, name = 400, 100_000
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		own := fmt.Sprintf("X%*s", name, req.URL.Path[1:])
		h := http.Header{"Cache-Control": {"max-age=60"}, strings.ReplaceAll(own, " ", "-"): {"v"}}
		return &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
			Body: http.NoBody, ContentLength: 0,
		}, nil
	})
	store := &storage.DictCache{MaxBytes: 1 << 20}
	before := reachable()
	tr := &cachecontrol.Transport{Base: base, Store: store}
	defer tr.Close()
	hits := 0
	for i := range 2 * urls {
		req, err := http.NewRequest(http.MethodGet, fmt.Sprint("http://example.com/", i/2), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if cachecontrol.StatusOf(resp).Outcome == cachecontrol.Hit {
			hits++
		}
	}
	if hits < urls {
		t.Errorf("%d hits, want %d", hits, urls)
	}
	if got := reachable() - before; got > 4<<20 {
		t.Errorf("%d bytes are reachable, of %d of names, want at most %d", got, urls*name, 4<<20)
	}
}
