package origin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
)

// A client gets a stale response while the handler is slow. The handler goes on without the client, and its response is
// stored.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60, stale-if-error=60")
			if calls++; calls == 2 {
				w.WriteHeader(http.StatusEarlyHints) // while the client waits
				time.Sleep(time.Second)
				w.WriteHeader(http.StatusEarlyHints) // and after that
				if err := r.Context().Err(); err != nil {
					t.Errorf("the handler's context: %v, want no end", err)
				}
			}
			io.WriteString(w, "body")
		})
		slow := origin.Configure(func(tr *cachecontrol.Transport) { tr.StaleIfSlow = 50 * time.Millisecond })
		h := newCache(t, slow).Handler(handler)
		for i, want := range []string{"detail=uri-miss/max-age", "detail=origin-slow", "hit;ttl=-1;detail=origin-slow", "detail=fresh"} {
			switch i {
			case 1:
				time.Sleep(60 * time.Second)
			case 3:
				time.Sleep(2 * time.Second)
			}
			ctx, leave := context.WithCancel(t.Context())
			w := httptest.NewRecorder()
			start := time.Now()
			h.ServeHTTP(w, httptest.NewRequest("GET", "http://example.com/", nil).WithContext(ctx))
			leave()
			if took := time.Since(start); took > 50*time.Millisecond {
				t.Errorf("request %d took %v, want 50 ms at most", i, took)
			}
			if got := w.Header().Get("Cache-Status"); !strings.Contains(got, want) || w.Body.String() != "body" {
				t.Errorf("request %d: Cache-Status %q, body %q, want %q, %q", i, got, w.Body, want, "body")
			}
		}
		if calls != 2 {
			t.Errorf("the handler was called %d times, want 2", calls)
		}
	})
}
