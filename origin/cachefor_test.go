package origin_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/origin"
)

// What Flask-CacheControl's and pesto's decorators do, and where they apply.
func TestCacheFields200(t *testing.T) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	tests := []struct {
		name string
		m    middleware
		h    http.Handler
		code int
		want []string
	}{
		{"cache_for", origin.CacheFor(time.Hour), answer(0, "x"), 200, []string{"Cache-Control: max-age=3600", "Expires: Sat, 01 Jan 2000 01:00:00 GMT"}},
		{"cache_for, nothing written", origin.CacheFor(time.Hour), nothing, 200, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, an error", origin.CacheFor(time.Hour), answer(500, "x"), 500, []string{"Cache-Control:", "Expires:"}},
		{"cache_for, a redirect", origin.CacheFor(time.Hour), answer(302, ""), 302, []string{"Cache-Control:", "Expires:"}},
		{"cache_for, 304", origin.CacheFor(time.Hour), answer(304, ""), 304, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, redirects too", origin.CacheFor(time.Hour, origin.SuccessOrRedirect), answer(302, ""), 302, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, always", origin.CacheFor(time.Hour, origin.Always), answer(500, ""), 500, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, by choice", origin.CacheFor(time.Hour, func(s int) bool { return s == 404 }), answer(404, ""), 404, []string{"Cache-Control: max-age=3600"}},
		{"cache_for, below 0", origin.CacheFor(-time.Hour), answer(0, "x"), 200, []string{"Cache-Control: max-age=0", "Expires: Sat, 01 Jan 2000 00:00:00 GMT"}},
		{"cache_for, for ever", origin.CacheFor(1<<63 - 1), answer(0, "x"), 200, []string{"Cache-Control: max-age=2147483648"}},
		{"cache_for over the handler's", origin.CacheFor(time.Hour), answer(0, "x", "Cache-Control: max-age=5, no-transform", "Expires: 0"), 200,
			[]string{"Cache-Control: no-transform, max-age=3600", "Expires: Sat, 01 Jan 2000 01:00:00 GMT"}},
		{"cache_for does not undo no-store", origin.CacheFor(time.Hour), answer(0, "x", "Cache-Control: no-store"), 200, []string{"Cache-Control: no-store, max-age=3600"}},
		{"cache(max_age=, public=)", origin.CacheControl("max-age=60, public"), answer(0, "x"), 200,
			[]string{"Cache-Control: max-age=60, public", "Expires:"}},
		{"every directive", origin.CacheControl("private, s-maxage=1, stale-if-error=0, stale-while-revalidate=60, no-cache, must-revalidate, immutable"), answer(0, "x"), 200,
			[]string{"Cache-Control: private, s-maxage=1, stale-if-error=0, stale-while-revalidate=60, no-cache, must-revalidate, immutable"}},
		{"later wins", origin.CacheControl("max-age=0, public, max-age=3600, private"), answer(0, "x"), 200,
			[]string{"Cache-Control: max-age=3600, private"}},
		{"private with a field", origin.CacheControl(`public, max-age=60, private="Set-Cookie"`), answer(0, "x"), 200,
			[]string{`Cache-Control: max-age=60, private="Set-Cookie"`}},
		{"over the handler's, on two lines", origin.CacheControl("public"), answer(0, "x", `Cache-Control: ext="a, b", Private`, "Cache-Control: no-cache"), 200,
			[]string{`Cache-Control: ext="a, b", no-cache, public`}},
		{"nothing to say", origin.CacheControl(""), answer(0, "x"), 200, []string{"Cache-Control:"}},
		{"dont_cache", origin.NoStore(), answer(0, "x"), 200, []string{"Cache-Control: no-store", "Expires:", "Pragma:"}},
		{"dont_cache replaces", origin.NoStore(), answer(0, "x", "Cache-Control: public, max-age=9", "Expires: x", "Pragma: y", "Cdn-Cache-Control: max-age=9"), 200,
			[]string{"Cache-Control: no-store", "Expires:", "Pragma:", "Cdn-Cache-Control:"}},
		{"dont_cache of errors", origin.NoStore(), answer(500, "x"), 500, []string{"Cache-Control: no-store"}},
		{"no_cache for old proxies", origin.NoStoreForOldProxies(), answer(0, "x", "Cache-Control: public"), 200,
			[]string{"Cache-Control: no-store, no-cache, must-revalidate, max-age=0", "Expires: 0", "Pragma: no-cache"}},
		{"Vary", origin.Vary("Accept", "cookie", "Accept"), answer(0, "x", "Vary: ACCEPT, X"), 200, []string{"Vary: ACCEPT, X | cookie"}},
		{"Vary, star", origin.Vary("Accept"), answer(0, "x", "Vary: *"), 200, []string{"Vary: *"}},
		{"Vary, none", origin.Vary("Accept", "Cookie"), answer(404, "x"), 404, []string{"Vary: Accept, Cookie"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight, 2000-01-01
				w := call(t, test.m(test.h), "/")
				want(t, w.Code, test.code, w.Header(), test.want...)
			})
		})
	}
}

func TestDirectivesPanic(t *testing.T) {
	for _, field := range []string{"max_age=60", "max-age", "max-age=-1", "max-age=01", "max-age=\"1\"", "public=1", "nostore", "no-store; public", "=", "public x",
		`private=x`, `private="`, "max-age =1", "max-age=99999999999"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("CacheControl(%q) returned, want a panic", field)
				}
			}()
			origin.CacheControl(field)
		}()
	}
}
