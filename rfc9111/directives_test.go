package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

func TestDirectives(t *testing.T) {
	none := rfc9111.Directives{MaxAge: -1, SMaxAge: -1, MaxStale: -1, MinFresh: -1, StaleWhileRevalidate: -1, StaleIfError: -1}
	for _, h := range []http.Header{nil, {}, {"Cache-Control": {"", "x=1"}}} {
		for name, got := range map[string]rfc9111.Directives{
			"ParseRequestDirectives": rfc9111.ParseRequestDirectives(h), "ParseResponseDirectives": rfc9111.ParseResponseDirectives(h, true),
		} {
			if diff := cmp.Diff(none, got); diff != "" {
				t.Errorf("%s(%q) (-want +got)\n%s", name, h, diff)
			}
		}
	}

	all := http.Header{"Cache-Control": {
		"no-store, no-cache, no-transform, only-if-cached, private, public, must-revalidate, must-understand, proxy-revalidate, immutable",
		`no-cache="a", private="b, c"`,
		"max-age=1, s-maxage=2, max-stale=3, min-fresh=4, stale-while-revalidate=5, stale-if-error=6",
	}}
	want := rfc9111.Directives{
		NoStore: true, NoCache: true, NoTransform: true, OnlyIfCached: true,
		MaxAge: 1 * time.Second, SMaxAge: -1, MaxStale: 3 * time.Second, MinFresh: 4 * time.Second, StaleWhileRevalidate: -1, StaleIfError: 6 * time.Second,
	}
	if diff := cmp.Diff(want, rfc9111.ParseRequestDirectives(all)); diff != "" {
		t.Errorf("ParseRequestDirectives (-want +got)\n%s", diff)
	}
	want = rfc9111.Directives{
		NoStore: true, NoCache: true, NoTransform: true, Private: true, Public: true, MustRevalidate: true, MustUnderstand: true, ProxyRevalidate: true,
		Immutable: true, NoCacheFields: []string{"A"}, PrivateFields: []string{"B", "C"},
		MaxAge: 1 * time.Second, SMaxAge: 2 * time.Second, MaxStale: -1, MinFresh: -1, StaleWhileRevalidate: 5 * time.Second, StaleIfError: 6 * time.Second,
	}
	if diff := cmp.Diff(want, rfc9111.ParseResponseDirectives(all, false)); diff != "" {
		t.Errorf("ParseResponseDirectives (-want +got)\n%s", diff)
	}
}
