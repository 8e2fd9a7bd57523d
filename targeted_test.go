package cachecontrol_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// For shared caches CDN-Cache-Control replaces Cache-Control and Expires if it is a valid, non-empty structured field
// (RFC 9213). A private cache ignores it.
func TestTargeted(t *testing.T) {
	for _, tt := range []struct {
		name            string
		fields          []string
		wait            time.Duration
		shared, private cachecontrol.Outcome // of a second request after the wait
	}{
		{"max-age alone", []string{"CDN-Cache-Control: max-age=3600"}, time.Minute, hit, miss},
		{"max-age alone, past", []string{"CDN-Cache-Control: max-age=3600"}, time.Hour, miss, miss},
		{"2^31 seconds", []string{"CDN-Cache-Control: max-age=2147483648"}, 60 * 365 * 24 * time.Hour, hit, miss},
		{"more than 2^31 seconds", []string{"CDN-Cache-Control: max-age=99999999999"}, 60 * 365 * 24 * time.Hour, hit, miss},
		{"the longest integer", []string{"CDN-Cache-Control: max-age=999999999999999"}, 60 * 365 * 24 * time.Hour, hit, miss},
		{"longer than an integer", []string{"CDN-Cache-Control: max-age=1000000000000000", "Cache-Control: no-store"}, 0, miss, miss},
		{"Age past it", []string{"CDN-Cache-Control: max-age=3600", "Age: 7200"}, 0, miss, miss},
		{"zero", []string{"CDN-Cache-Control: max-age=0"}, 0, miss, miss},
		{"zero, with a later Expires", []string{"CDN-Cache-Control: max-age=0", "Expires: {3h}"}, 0, miss, hit},
		{"zero, with a longer max-age", []string{"CDN-Cache-Control: max-age=0", "Cache-Control: max-age=3600"}, 0, miss, hit},
		{"negative", []string{"CDN-Cache-Control: max-age=-1", "Cache-Control: max-age=3600"}, 0, miss, hit},
		{"a past Expires", []string{"CDN-Cache-Control: max-age=3600", "Expires: {-3h}"}, time.Minute, hit, miss},
		{"an invalid Expires", []string{"CDN-Cache-Control: max-age=3600", "Expires: 0"}, time.Minute, hit, miss},
		{"a shorter max-age", []string{"CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=1"}, time.Minute, hit, miss},
		{"a longer max-age", []string{"CDN-Cache-Control: max-age=1", "Cache-Control: max-age=3600"}, time.Minute, miss, hit},
		{"s-maxage goes before max-age", []string{"CDN-Cache-Control: max-age=1, s-maxage=3600"}, time.Minute, hit, miss},
		{"s-maxage of Cache-Control does not count", []string{"CDN-Cache-Control: max-age=3600", "Cache-Control: s-maxage=1"}, time.Minute, hit, miss},
		{"private", []string{"CDN-Cache-Control: private", "Cache-Control: max-age=3600"}, 0, miss, hit},
		{"private of Cache-Control does not count", []string{"CDN-Cache-Control: max-age=3600", "Cache-Control: private, max-age=3600"}, 0, hit, hit},
		{"no-cache", []string{"CDN-Cache-Control: no-cache", "Cache-Control: max-age=3600"}, 0, miss, hit},
		{"no-cache, with a validator", []string{"CDN-Cache-Control: no-cache", "Cache-Control: max-age=3600", `ETag: "1"`}, 0, revalidated, hit},
		{"no-cache of Cache-Control does not count", []string{"CDN-Cache-Control: max-age=3600", "Cache-Control: no-cache", `ETag: "1"`}, 0, hit, revalidated},
		{"no-store", []string{"CDN-Cache-Control: no-store", "Cache-Control: max-age=3600", "Expires: {3h}"}, 0, miss, hit},
		{"no-store of Cache-Control does not count", []string{"CDN-Cache-Control: max-age=3600", "Cache-Control: no-store"}, 0, hit, miss},
		{"a directive nobody knows, beside", []string{"CDN-Cache-Control: foobar, max-age=3600"}, time.Minute, hit, miss},
		{"a directive nobody knows, alone", []string{"CDN-Cache-Control: foobar", "Cache-Control: max-age=3600"}, 0, miss, hit},
		{"Expires does not count", []string{"CDN-Cache-Control: foobar", "Expires: {3h}"}, 0, miss, hit},
		{"two lines", []string{"CDN-Cache-Control: foobar", "CDN-Cache-Control: max-age=3600"}, time.Minute, hit, miss},
		{"the last of two counts", []string{"CDN-Cache-Control: max-age=3600, max-age=1"}, time.Minute, miss, miss},
		{"parameters", []string{"CDN-Cache-Control: max-age=3600;why=\"x, no-store\""}, time.Minute, hit, miss},
		{"pragma", []string{"CDN-Cache-Control: max-age=3600", "Pragma: no-cache"}, time.Minute, hit, miss},

		// What does not parse, or is of the wrong type, is as if it were not there.
		{"empty", []string{"CDN-Cache-Control:", "Cache-Control: max-age=3600"}, time.Minute, hit, hit},
		{"empty, with no-store", []string{"CDN-Cache-Control:", "Cache-Control: no-store"}, 0, miss, miss},
		{"no structured field", []string{"CDN-Cache-Control: max-age=3600, &&&", "Cache-Control: no-store"}, 0, miss, miss},
		{"no structured field, with max-age", []string{"CDN-Cache-Control: no-store, &&&", "Cache-Control: max-age=3600"}, 0, hit, hit},
		{"upper case is no key", []string{"CDN-Cache-Control: MaX-aGe=3600", "Cache-Control: max-age=1"}, time.Minute, miss, miss},
		{"a space before =", []string{"CDN-Cache-Control: max-age =3600", "Cache-Control: max-age=1"}, time.Minute, miss, miss},
		{"a space after =", []string{"CDN-Cache-Control: max-age= 3600", "Cache-Control: max-age=1"}, time.Minute, miss, miss},
		{"a comma at the end", []string{"CDN-Cache-Control: max-age=3600,", "Cache-Control: no-store"}, 0, miss, miss},
		{"a lifetime as a string", []string{`CDN-Cache-Control: max-age="3600"`, "Cache-Control: no-store"}, 0, miss, miss},
		{"a lifetime as a token", []string{"CDN-Cache-Control: max-age=long", "Cache-Control: max-age=3600"}, time.Minute, hit, hit},
		{"a lifetime as a decimal", []string{"CDN-Cache-Control: max-age=3600.5", "Cache-Control: no-store"}, 0, miss, miss},
		{"a lifetime as a boolean", []string{"CDN-Cache-Control: max-age", "Cache-Control: max-age=3600"}, time.Minute, hit, hit},
		{"a lifetime as a list", []string{"CDN-Cache-Control: max-age=(3600 7200)", "Cache-Control: no-store"}, 0, miss, miss},
	} {
		for _, shared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s", tt.name, mode(shared)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := replies(t, ok(tt.fields...), status(304, `ETag: "1"`), ok())
					if tt.private != revalidated && tt.shared != revalidated {
						o = replies(t, ok(tt.fields...), ok())
					}
					tr := &cachecontrol.Transport{Base: o, Shared: shared}
					defer tr.Close()
					want := tt.private
					if shared {
						want = tt.shared
					}
					step{want: miss}.run(t, "first", tr, o)
					step{wait: tt.wait, want: want}.run(t, "second", tr, o)
				})
			})
		}
	}
}

// All these fields are passed on unchanged, with Age, for other caches.
func TestTargetedIsHandedOn(t *testing.T) {
	runScenarios(t, []scenario{{
		name:      "shared",
		transport: &cachecontrol.Transport{Shared: true},
		origin:    []reply{ok("CDN-Cache-Control: max-age=3600, foo", "Cache-Control: max-age=1", "Expires: {1s}")},
		steps: []step{
			{want: miss, head: []string{
				"CDN-Cache-Control: max-age=3600, foo", "Cache-Control: max-age=1", "Expires: {1s}", "Date: {0s}",
			}},
			{wait: time.Minute, want: hit, head: []string{
				"CDN-Cache-Control: max-age=3600, foo", "Cache-Control: max-age=1", "Expires: {-59s}", "Date: {-1m}", "Age: 60",
			}},
		},
	}})
}

// Each directive in the field counts as it does in Cache-Control (RFC 9213, section 2.2).
func TestTargetedDirectives(t *testing.T) {
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	runScenarios(t, []scenario{
		{
			"stale-if-error", shared(),
			[]reply{ok("CDN-Cache-Control: max-age=10, stale-if-error=60", "Cache-Control: max-age=10, must-revalidate"), down},
			[]step{{want: miss}, {wait: 20 * time.Second, want: stale, body: "#1"}},
		},
		{
			"must-revalidate", shared(),
			[]reply{ok("CDN-Cache-Control: max-age=10, must-revalidate", "Cache-Control: max-age=10, stale-if-error=60"), status(503)},
			[]step{{want: miss}, {wait: 20 * time.Second, want: miss, status: 503}},
		},
		{
			"must-understand", shared(),
			[]reply{status(599, "CDN-Cache-Control: max-age=60, must-understand", "Cache-Control: max-age=60"), ok()},
			[]step{{want: miss, storing: "status-not-understood"}, {want: miss}},
		},
		{
			"public allows Authorization", shared(),
			[]reply{ok("CDN-Cache-Control: max-age=60, public", "Cache-Control: max-age=60"), ok()},
			[]step{{with: []string{"Authorization: x"}, want: miss}, {want: hit, body: "#1"}},
		},
		{
			"public of Cache-Control does not", shared(),
			[]reply{ok("CDN-Cache-Control: max-age=60", "Cache-Control: max-age=60, public"), ok()},
			[]step{{with: []string{"Authorization: x"}, want: miss, storing: "authorization"}, {want: miss, body: "#2"}},
		},
		{
			"a 304 updates it", shared(),
			[]reply{
				ok("CDN-Cache-Control: max-age=10", `ETag: "1"`), status(304, "CDN-Cache-Control: max-age=100", `ETag: "1"`), ok(),
			},
			[]step{
				{want: miss},
				{wait: 20 * time.Second, want: revalidated, body: "#1"},
				{wait: 20 * time.Second, want: hit, body: "#1", head: []string{"CDN-Cache-Control: max-age=100"}},
			},
		},
	})
}
