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

// TestMemoryBound compares the bound of a full DictCache with what the heap has grown by: while nobody has asked for the
// entries, once everybody has, and after each has been brought up to date.
func TestMemoryBound(t *testing.T) {
	const bound, urls = 4 << 20, 16000
	for _, test := range []struct{ body, fields int }{{0, 0}, {1000, 20}, {5000, 5}} {
		t.Run(fmt.Sprintf("%d bytes, %d fields", test.body, test.fields), func(t *testing.T) {
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
			store := storage.NewDictCache(storage.MaxBytes(bound))
			before := reachable()
			tr := &cachecontrol.Transport{Base: base, Store: store}
			defer tr.Close()
			ask := func(control cachecontrol.Control) {
				t.Helper()
				for i := range urls {
					req, err := http.NewRequest(http.MethodGet, fmt.Sprint("http://example.com/", i), nil)
					if err != nil {
						t.Fatal(err)
					}
					if control.Refresh {
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
				share := float64(reachable()-before) / bound
				t.Logf("%s: %d entries take %.2f of the bound", when, store.Len(), share)
				if share < 0.8 || share > 1.2 || store.Evictions() == 0 {
					t.Errorf("%s: %d entries take %.2f of the bound", when, store.Len(), share)
				}
			}
			ask(cachecontrol.Control{})
			check("stored")
			ask(cachecontrol.Control{OnlyIfCached: true})
			check("hit")
			ask(cachecontrol.Control{Refresh: true})
			ask(cachecontrol.Control{OnlyIfCached: true})
			check("brought up to date and hit")
		})
	}
}

// reachable returns how much memory of the heap is in use.
func reachable() int64 {
	runtime.GC()
	runtime.GC() // the first may have been under way
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
