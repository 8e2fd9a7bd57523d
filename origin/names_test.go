package origin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// A handler may write field names in any form into its header, and net/http sends them so. They count as their canonical form does.
func TestHandlerNamesNotCanonical(t *testing.T) {
	for _, test := range []struct {
		name string
		set  http.Header
		want string // the bodies of two answers, the second to a request with X-A
	}{
		{"no-store", http.Header{"cache-control": {"no-store"}}, "#1 #2"},
		{"no-store in two names", http.Header{"Cache-Control": {"max-age=60"}, "cache-control": {"no-store"}}, "#1 #2"},
		{"private", http.Header{"CACHE-CONTROL": {"private, max-age=60"}}, "#1 #2"},
		{"max-age", http.Header{"cache-control": {"max-age=60"}}, "#1 #1"},
		{"vary", http.Header{"Cache-Control": {"max-age=60"}, "vary": {"X-A"}}, "#1 #2"},
		{"set-cookie", http.Header{"Cache-Control": {"max-age=60"}, "SET-COOKIE": {"session=alice"}}, "#1 #2"},
		{"cors", http.Header{"Cache-Control": {"max-age=60"}, "access-control-allow-origin": {"https://a"}}, "#1 #2"},
	} {
		for _, http2 := range []bool{false, true} {
			var n atomic.Int64
			s := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, lines := range test.set {
					w.Header()[name] = lines
				}
				fmt.Fprintf(w, "#%d", n.Add(1))
			})), http2)
			first := s.do("/", "Origin: https://b")
			second := s.do("/", "X-A: a", "Origin: https://c")
			if got := first.body + " " + second.body; got != test.want {
				t.Errorf("%s, HTTP/2 %v: %q, want %q", test.name, http2, got, test.want)
			}
		}
	}
}

// The middleware that adds fields sees those that are there under whatever names.
func TestMiddlewareNamesNotCanonical(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["cache-control"] = []string{"no-store"}
		w.Header()["etag"] = []string{`"mine"`}
	})
	for name, test := range map[string]struct {
		h    http.Handler
		want string // Cache-Control
	}{
		"AutoETag": {origin.AutoETag()(h), "no-store"},
		"NoStore":  {origin.NoStore()(h), "no-store"},
	} {
		w := httptest.NewRecorder()
		test.h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		header := w.Result().Header
		var got []string // whatever the name's case
		for name, lines := range header {
			if strings.EqualFold(name, "Cache-Control") {
				got = append(got, lines...)
			}
		}
		if len(got) != 1 || got[0] != test.want || header.Get("Cache-Control") != test.want {
			t.Errorf("%s: Cache-Control = %q, want %q alone", name, got, test.want)
		}
		if name == "AutoETag" && header.Get("Etag") != `"mine"` {
			t.Errorf("AutoETag: ETag is %q", header["Etag"])
		}
	}
}

// Package net/http sends a line break in a value as spaces, so the client sees the directive behind it, and so does the cache.
func TestCacheReadsDirectivesBehindLineBreaks(t *testing.T) {
	for _, value := range []string{"max-age=60,\n private", "max-age=60,\r\nno-store", "max-age=60, private\r\n"} {
		c := origin.NewCache(nil)
		n := 0
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header()["Cache-Control"] = []string{value}
		}))
		for range 2 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://h.example/", nil))
		}
		if n != 2 {
			t.Errorf("Cache-Control %q: the handler ran %d times for two requests, want 2", value, n)
		}
		c.Close()
	}
}
