package origin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// FuzzCacheControl checks that directives are either refused or sent, and that they are sent once.
func FuzzCacheControl(f *testing.F) {
	f.Add("public, max-age=60", "private, max-age=5")
	f.Add(`no-cache="Set-Cookie, X"`, "no-cache")
	f.Add("max-age=1, max-age=2", ",,a=b;c,")
	f.Add("max-age=99999999999", "")
	f.Fuzz(func(t *testing.T, directives, set string) {
		if strings.Contains(set, `"`) {
			return // a quote in the wrong place makes what follows unreadable
		}
		defer func() {
			if p := recover(); p != nil && !strings.HasPrefix(p.(string), "origin: ") {
				t.Errorf("CacheControl(%q) panics with %v", directives, p)
			}
		}()
		wrap := origin.CacheControl(directives)
		handler := wrap(wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Cache-Control"] = []string{set}
		})))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		once := httptest.NewRecorder()
		wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Cache-Control"] = []string{set}
		})).ServeHTTP(once, httptest.NewRequest(http.MethodGet, "/", nil))
		got, want := w.Header().Values("Cache-Control"), once.Header().Values("Cache-Control")
		if len(got) != 1 || len(want) != 1 || got[0] != want[0] {
			t.Errorf("CacheControl(%q) of %q twice sends %q, once %q", directives, set, got, want)
		}
	})
}
