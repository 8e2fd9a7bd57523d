package cachecontrol_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Read after Close returns http.ErrBodyReadAfterClose, whatever body it is, and however much of it was read: of the origin, of a hit,
// decoded, a range, shared, put together. Close may be called twice, and while Read is under way.
func TestReadAfterClose(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	io.WriteString(w, long)
	w.Close()
	stores := func(t *testing.T) map[string]storage.Store {
		s := fileStores(t)
		s["DictCache"], s["guarded"] = storage.NewDictCache(), guardedStore()
		s["FromKV"] = storage.FromKV(new(memoryKV))
		return s
	}
	for store := range stores(t) {
		for _, body := range []string{"short", long} {
			for _, kind := range []string{"identity", "gzip"} {
				for _, with := range []string{"Accept: */*", "Range: bytes=1-3"} {
					for _, collapse := range []bool{false, true} {
						for _, read := range []int{2, 1 << 20} {
							t.Run(fmt.Sprintf("%s/%d/%s/%s/%v/%d", store, len(body), kind, with, collapse, read), func(t *testing.T) {
								in(t, func(t *testing.T) {
									sent, fields := body, []string{"Cache-Control: max-age=60", `ETag: "1"`}
									if kind == "gzip" {
										sent, fields = coded.String(), append(fields, "Content-Encoding: gzip")
									}
									o := replies(t, reply{body: sent, fields: fields})
									tr := &cachecontrol.Transport{Base: o, Store: stores(t)[store], Collapse: collapse}
									defer tr.Close()
									for i := range 3 {
										resp := open(t, tr, request(t, "/", with))
										io.CopyN(io.Discard, resp.Body, int64(read))
										for range 2 {
											if err := resp.Body.Close(); err != nil {
												t.Errorf("request %d: Close() = %v", i+1, err)
											}
											if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
												t.Errorf("request %d: Read after Close = %d, %v, want 0, %v", i+1, n, err, http.ErrBodyReadAfterClose)
											}
										}
										synctest.Wait()
									}
								})
							})
						}
					}
				}
			}
		}
	}
}

func TestReadWhileClose(t *testing.T) {
	for name, s := range fileStores(t) {
		o := replies(t, reply{body: strings.Repeat("0123456789", 50_000), fields: []string{"Cache-Control: max-age=60"}})
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/")
		for range 20 {
			resp := open(t, tr, request(t, "/"))
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() { resp.Body.Close() })
				all.Go(func() {
					if _, err := io.Copy(io.Discard, struct{ io.Reader }{resp.Body}); err != nil && err != http.ErrBodyReadAfterClose {
						t.Errorf("%s: Read while Close: %v", name, err)
					}
				})
			}
			all.Wait()
		}
	}
}

// A request that waits for the answer to another does so for a time, and then goes to the origin itself. The kind: whoever waits for
// what hangs. Those who come later do not wait for it at all.
func TestCollapseTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		timeout time.Duration
		want    time.Duration // until the second request is answered
	}{
		"default":  {0, cachecontrol.DefaultCollapseTimeout},
		"shorter":  {time.Second, time.Second},
		"no limit": {-1, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if n == 1 {
						time.Sleep(time.Hour)
					}
					return respond(200, fmt.Sprint("#", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Collapse: true, CollapseTimeout: test.timeout}
				defer tr.Close()
				var all sync.WaitGroup
				start := time.Now()
				all.Go(func() {
					if a := do(t, tr, "/"); a.body != "#1" {
						t.Errorf("the first request got %q, want %q", a.body, "#1")
					}
				})
				synctest.Wait()
				all.Go(func() {
					do(t, tr, "/")
					if took := time.Since(start); took != test.want {
						t.Errorf("the second request took %v, want %v", took, test.want)
					}
					if test.timeout >= 0 {
						if got := do(t, tr, "/").outcome; got != hit {
							t.Errorf("the third request: %v, want %v", got, hit)
						}
					}
				})
				all.Wait()
			})
		})
	}
}

// A program that makes responses itself, as a double of an origin in a test does, may leave out what net/http sets. ContentLength 0
// with a Body means that the length is not known, as in http.Response.Write. What is stored has the length that came.
func TestResponseLiterals(t *testing.T) {
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("body")) }
	fresh := func(fields ...string) http.Header {
		return http.Header{"Cache-Control": {"max-age=60"}, "Content-Type": {"text/plain"}}
	}
	for name, test := range map[string]struct {
		resp http.Response
		want string
		then cachecontrol.Outcome
	}{
		"no length":          {http.Response{StatusCode: 200, Header: fresh(), Body: body()}, "body", hit},
		"negative length":    {http.Response{StatusCode: 200, Header: fresh(), Body: body(), ContentLength: -5}, "body", hit},
		"no length, HTTP/2":  {http.Response{StatusCode: 200, ProtoMajor: 2, Header: fresh(), Body: body()}, "body", hit},
		"404":                {http.Response{StatusCode: 404, Header: fresh(), Body: body()}, "body", hit},
		"nil body":           {http.Response{StatusCode: 200, Header: fresh()}, "", hit},
		"empty body":         {http.Response{StatusCode: 200, Header: fresh(), Body: io.NopCloser(strings.NewReader(""))}, "", hit},
		"NoBody":             {http.Response{StatusCode: 200, Header: fresh(), Body: http.NoBody}, "", hit},
		"204":                {http.Response{StatusCode: 204, Header: fresh(), Body: http.NoBody}, "", hit},
		"nil header":         {http.Response{StatusCode: 200, Body: body()}, "body", miss},
		"no status":          {http.Response{Header: fresh(), Body: body()}, "body", miss},
		"too short":          {http.Response{StatusCode: 200, Header: fresh(), Body: body(), ContentLength: 9}, "body", miss},
		"header is right":    {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"4"}}, Body: body()}, "body", hit},
		"header is too long": {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"9"}}, Body: body()}, "body", miss},
		"header disagrees":   {http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {"9"}}, Body: body(), ContentLength: 4}, "body", hit},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, collapse), func(t *testing.T) {
				in(t, func(t *testing.T) {
					n := 0
					base := roundTripper(func(req *http.Request) (*http.Response, error) {
						if n++; n > 1 {
							return respond(200, "again"), nil
						}
						resp := test.resp
						resp.Header = resp.Header.Clone()
						if test.resp.Body != nil && test.resp.Body != http.NoBody {
							resp.Body = io.NopCloser(strings.NewReader(test.want))
						}
						return &resp, nil
					})
					tr := &cachecontrol.Transport{Base: base, Collapse: collapse}
					defer tr.Close()
					for _, want := range []cachecontrol.Outcome{miss, test.then} {
						resp := open(t, tr, request(t, "/"))
						got, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						synctest.Wait()
						outcome := cachecontrol.StatusOf(resp).Outcome
						if wantBody := test.want; outcome != want || err != nil || (n == 1 && string(got) != wantBody) {
							t.Errorf("%v, %q, %v; want %v, %q", outcome, got, err, want, wantBody)
						}
						if length := resp.Header.Get("Content-Length"); outcome == hit && (length != "" && length != fmt.Sprint(len(test.want)) || resp.ContentLength != int64(len(test.want))) {
							t.Errorf("a hit of %d bytes: Content-Length %q, ContentLength %d", len(test.want), length, resp.ContentLength)
						}
					}
				})
			})
		}
	}
}

// Close closes the DictCache that a Transport made for itself, and no Store that it was given.
func TestCloseAndStore(t *testing.T) {
	const size = 8 << 20
	for name, store := range map[string]storage.Store{"own": nil, "given": storage.NewDictCache()} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(int, *http.Request) *http.Response {
				return respond(200, strings.Repeat("x", size), "Cache-Control: max-age=60")
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			do(t, tr, "/")
			if a := do(t, tr, "/"); a.outcome != hit {
				t.Fatalf("the second request: got %v, want %v", a.outcome, hit)
			}
			before := heapAlloc()
			if err := tr.Close(); err != nil {
				t.Errorf("Close() = %v, want nil", err)
			}
			if freed := before - heapAlloc(); (freed > size/2) != (store == nil) {
				t.Errorf("Close freed %d bytes of an entry of %d", freed, size)
			}
			if store == nil {
				return
			}
			after := &cachecontrol.Transport{Base: o, Store: store}
			defer after.Close()
			if a := do(t, after, "/"); a.outcome != hit {
				t.Errorf("with another Transport: got %v, want %v", a.outcome, hit)
			}
			runtime.KeepAlive(tr)
		})
	}
}

// heapAlloc returns the bytes of the objects in use.
func heapAlloc() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
