package origin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// An offer to continue with HTTP/2 keeps neither the cache nor a computed entity tag from a response.
func TestUpgradeOffers(t *testing.T) {
	offer := func() *http.Request {
		r := httptest.NewRequest("GET", "http://example.com/", nil)
		r.Header = http.Header{"Upgrade": {"h2c"}, "Connection": {"Upgrade, HTTP2-Settings"}, "Http2-Settings": {"AAMAAABkAAQAAP__"}}
		return r
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "upgrade %q", r.Header["Upgrade"])
	})
	h := newCache(t).Handler(page)
	for i, want := range []string{"", "1"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, offer())
		if got := w.Header().Get("X-From-Cache"); got != want || w.Body.String() != "upgrade []" {
			t.Errorf("request %d: X-From-Cache = %q, body %q, want %q, %q", i+1, got, w.Body, want, "upgrade []")
		}
	}
	w := httptest.NewRecorder()
	origin.AutoETag()(page).ServeHTTP(w, offer())
	if w.Header().Get("Etag") == "" || w.Body.String() != "upgrade []" {
		t.Errorf("AutoETag: ETag = %q, body %q, want a tag and %q", w.Header().Get("Etag"), w.Body, "upgrade []")
	}
}
