package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

// The front responds as the proxy behind it would. It leaves a request with a Te field to the proxy.
func TestFrontRespondsAsTheProxy(t *testing.T) {
	bodies := map[string]string{"/short": "short", "/long": strings.Repeat("0123456789", 30000), "/empty": ""}
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=600")
		h.Set("Etag", `"1"`)
		h["X-Twice"] = []string{"a", "b"}
		if r.URL.Path == "/trailer" {
			h.Set("Trailer", "X-After")
			io.WriteString(w, "body")
			h.Set("X-After", "the body")
			return
		}
		h["Content-Type"] = nil
		io.WriteString(w, bodies[r.URL.Path])
	})
	for _, store := range []string{"memory", "file:", "separate:"} {
		t.Run(store, func(t *testing.T) {
			if strings.HasSuffix(store, ":") {
				store += t.TempDir()
			}
			url, _ := startProxy(t, origin.URL, "--store", store)
			for _, path := range []string{"/short", "/long", "/empty", "/trailer"} {
				do(t, "GET", url+path)
				for _, test := range []struct {
					method string
					header []string
				}{
					{"GET", nil}, {"HEAD", nil}, {"GET", []string{"Range", "bytes=1-2"}}, {"GET", []string{"Range", "bytes=999999999-"}},
					{"GET", []string{"If-None-Match", `"1"`}}, {"GET", []string{"Connection", "keep-alive"}},
					{"GET", []string{"Cache-Control", "only-if-cached"}},
				} {
					front, frontBody := do(t, test.method, url+path, test.header...)
					proxy, proxyBody := do(t, test.method, url+path, append([]string{"Te", "trailers"}, test.header...)...)
					for _, resp := range []*http.Response{front, proxy} {
						if !cachecontrol.FromCache(resp) {
							t.Errorf("%s %s %q: not from the cache: %v", test.method, path, test.header, resp.Header)
						}
						for _, name := range []string{"Age", "Cache-Status"} { // they count seconds
							delete(resp.Header, name)
						}
					}
					type answer struct {
						Status  int
						Length  int64
						Header  http.Header
						Trailer http.Header
						Body    string
					}
					if diff := cmp.Diff(
						answer{proxy.StatusCode, proxy.ContentLength, proxy.Header, proxy.Trailer, proxyBody},
						answer{front.StatusCode, front.ContentLength, front.Header, front.Trailer, frontBody},
					); diff != "" {
						t.Errorf("%s %s %q: (-proxy +front)\n%s", test.method, path, test.header, diff)
					}
				}
			}
		})
	}
}

// Connection fields in entries that other programs have stored are not sent to clients.
func TestFrontConnectionFields(t *testing.T) {
	origin := httptest.NewServer(http.NotFoundHandler())
	defer origin.Close()
	dir := filepath.Join(t.TempDir(), "cache")
	store, err := directory.NewFileCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
		now := time.Now()
		w, err := store.Create(t.Context(), origin.URL+"/"+name, &storage.Entry{
			Status: 200, Reason: "OK", Version: 11, Length: 4, RequestTime: now, ResponseTime: now,
			Header: http.Header{"Cache-Control": {"max-age=600"}, name: {"x"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "body")
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	url, _ := startProxy(t, origin.URL, "--store", "file:"+dir)
	for _, name := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
		resp, body := do(t, "GET", url+"/"+name)
		if resp.Header[name] != nil || body != "body" || !cachecontrol.FromCache(resp) {
			t.Errorf("%s: %q, %v", name, body, resp.Header)
		}
	}
}
