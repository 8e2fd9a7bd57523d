// Package recorder tests a client of an API with recorded responses.
package recorder

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

func TestRecord(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write([]byte("hello"))
	}))
	defer server.Close()
	dir := t.TempDir()
	t.Setenv("CACHECONTROL_RECORD", "missing")
	t.Run("GET", func(t *testing.T) {
		rt := cachetest.Transport(t, dir,
			cachetest.RecordErrors(),
			cachetest.Base(http.DefaultTransport),
			cachetest.MatchHeader("Accept"), cachetest.OmitHeader("Server"),
			cachetest.MatchFunc(func(req, recorded *http.Request) error {
				if req.URL.Path != recorded.URL.Path {
					return errors.New("another path")
				}
				return nil
			}),
			cachetest.IgnoreBody(), cachetest.Keep("X-Request-Id"),
			cachetest.Redact("X-Tenant"), cachetest.RedactPattern(regexp.MustCompile(`id-\d+`)),
			cachetest.Replace(server.URL, "http://api.example.com"),
			cachetest.PassThrough(func(req *http.Request) bool { return req.URL.Path == "/health" }),
		)
		cache := &cachecontrol.Transport{Base: rt}
		defer cache.Close()
		for _, want := range []bool{false, true} {
			resp, err := cache.Client().Get(server.URL + "/a")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := cachecontrol.FromCache(resp); got != want {
				t.Errorf("FromCache() = %v, want %v", got, want)
			}
		}
	})
	orphans, err := cachetest.Orphans(dir)
	if err != nil {
		t.Errorf("Orphans() = %v, %v, want no error", orphans, err)
	}
}

func TestStrict(t *testing.T) {
	opts := []cachetest.Option{cachetest.Once(), cachetest.RequireAll()}
	dir := t.TempDir()
	resp := httptest.NewRecorder().Result()
	resp.Request = httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	if err := cachetest.Import(filepath.Join(dir, t.Name()), []*http.Response{resp}, opts...); err != nil {
		t.Fatal(err)
	}
	got, err := cachetest.Client(t, dir, opts...).Get("https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	got.Body.Close()
}
