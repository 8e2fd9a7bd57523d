package origin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// discard is a ResponseWriter that costs next to nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// What each middleware adds to a request, against the bare handler with a body of 1 KiB.
func BenchmarkOverhead(b *testing.B) {
	body := []byte(strings.Repeat("x", 1024))
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	})
	fresh := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		bare(w, r)
	})
	validators := func(*http.Request) (origin.Validators, error) {
		return origin.Validators{ETag: `"v1"`, LastModified: modified}, nil
	}
	cache := newCache(b)
	for _, bm := range []struct {
		name   string
		h      http.Handler
		fields []string
	}{
		{"bare", bare, nil},
		{"CacheFor", origin.CacheFor(time.Hour)(bare), nil},
		{"CacheControl", origin.CacheControl(origin.Public(), origin.MaxAge(time.Hour))(bare), nil},
		{"NoStore", origin.NoStore()(bare), nil},
		{"Vary", origin.Vary("Accept-Encoding")(bare), nil},
		{"Validate/200", origin.Validate(validators)(bare), nil},
		{"Validate/304", origin.Validate(validators)(bare), []string{`If-None-Match: "v1"`}},
		{"RequirePrecondition", origin.RequirePrecondition(validators)(bare), nil},
		{"AutoETag/200", origin.AutoETag()(bare), nil},
		{"AutoETag/304", origin.AutoETag()(bare), []string{`If-None-Match: *`}},
		{"Cache/hit", cache.Handler(fresh), nil},
		{"Cache/not stored", cache.Handler(origin.NoStore()(bare)), []string{"X: y"}},
		{"Cache/exempt", newCache(b, origin.Exempt(origin.PathPrefix("/"))).Handler(bare), nil},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := newRequest(b, "/"+strings.ReplaceAll(bm.name, " ", ""), bm.fields...)
			r.Host = "example.com"
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				bm.h.ServeHTTP(w, r)
			}
		})
	}
}

// What a request costs over the network, for the scale of it.
func BenchmarkServed(b *testing.B) {
	s := serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }), false)
	for b.Loop() {
		s.do("/")
	}
}
