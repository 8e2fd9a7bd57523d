package cachecontrol_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// must-understand overrides no-store if the status is understood, and forbids storing if it is not (RFC 9111, section
// 5.2.2.3).
func TestMustUnderstand(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, tt := range []struct {
			status  int
			says    string
			want    cachecontrol.Outcome
			storing string
		}{
			{200, "max-age=60, no-store, must-understand", hit, "max-age"},
			{200, "must-understand, no-store, max-age=60", hit, "max-age"},
			{200, "max-age=60, must-understand", hit, "max-age"},
			{404, "max-age=60, no-store, must-understand", hit, "max-age"},
			{599, "max-age=60, no-store, must-understand", miss, "status-not-understood"},
			{599, "max-age=60, must-understand", miss, "status-not-understood"},
			{299, "max-age=60, must-understand", miss, "status-not-understood"},
			{299, "max-age=60", hit, "max-age"},
			{200, "max-age=60, no-store, must-understand=1", miss, "no-store"},
		} {
			all = append(all, scenario{fmt.Sprintf("%d %s", tt.status, tt.says), tr(),
				[]reply{status(tt.status, "Cache-Control: "+tt.says)},
				[]step{{want: miss, storing: tt.storing}, {want: tt.want, status: tt.status}},
			})
		}
		return all
	})
}

// If a later response must not be stored, the stored one is used until the origin has sent that response, and is then
// removed.
func TestNoStoreAfterStored(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, says := range []string{"no-store", "no-store, max-age=0", "no-store, max-age=1000"} {
			all = append(all, scenario{says, tr(),
				[]reply{ok("Cache-Control: max-age=1000", "Expires: {1h}"), ok("Cache-Control: " + says)},
				[]step{
					{want: miss, body: "#1"},
					{wait: time.Second, want: hit, body: "#1"},
					{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2", storing: "no-store"},
					{want: miss, body: "#3"},
				},
			})
		}
		return append(all, scenario{"but not an error", tr(),
			[]reply{ok("Cache-Control: max-age=1000"), status(503, "Cache-Control: no-store")},
			[]step{
				{want: miss, body: "#1"},
				{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2", status: 503},
				{want: hit, body: "#1"},
			},
		})
	})
}

// Text after an unclosed quote permits nothing, because another recipient may read it as part of the quoted string.
func TestOpenQuotes(t *testing.T) {
	auth, open := []string{"Authorization: Basic eA=="}, `Cache-Control: max-age=60, extension="x, `
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	var all []scenario
	for _, says := range []string{"public", "must-revalidate", "s-maxage=60", "public, immutable"} {
		all = append(all, scenario{says, shared(), []reply{ok(open + says)}, []step{
			{with: auth, want: miss, storing: "authorization"}, {with: auth, want: miss},
		}})
	}
	runScenarios(t, append(all,
		scenario{"two lines", shared(), []reply{ok(strings.TrimSuffix(open, ", "), "Cache-Control: public")}, []step{{with: auth, want: miss, storing: "authorization"}, {with: auth, want: miss}}},
		scenario{"no-store counts", nil, []reply{ok(open + "no-store")}, []step{{want: miss, storing: "no-store"}, {want: miss}}},
		scenario{"no-cache counts", nil, []reply{ok(open+"no-cache", `ETag: "a"`), status(304)}, []step{{want: miss}, {want: revalidated}}},
		scenario{"what is before it counts", nil, []reply{ok(open + "x")}, []step{{want: miss, storing: "max-age"}, {want: hit}}},
		scenario{"stale use", nil, []reply{ok(open + "stale-while-revalidate=600")}, []step{{want: miss}, {wait: 2 * time.Minute, want: miss}}},
		scenario{"stale use on error", nil, []reply{ok(open+"stale-if-error=600", `ETag: "a"`), status(503)}, []step{{want: miss}, {wait: 2 * time.Minute, want: miss, status: 503}}},
		scenario{"of a request", nil, []reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(304)}, []step{
			{want: miss}, {wait: 2 * time.Minute, with: []string{`Cache-Control: x="y, max-stale`}, want: revalidated},
		}},
		scenario{"must-understand", nil, []reply{ok(`Cache-Control: no-store, max-age=60, x="y, must-understand`)}, []step{{want: miss, storing: "no-store"}, {want: miss}}},
	))
}

func TestRequestDirectives(t *testing.T) {
	hour := []reply{ok("Cache-Control: max-age=3600", `ETag: "a"`)}
	runScenarios(t, []scenario{
		{
			name: "no-cache asks the origin, and its answer is stored", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: no-cache"}, body: "#2"}, {want: hit, body: "#2"}},
		}, {
			name: "Pragma: no-cache does too, unlike in Python", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Pragma: no-cache"}, body: "#2"}},
		}, {
			name: "Pragma beside Cache-Control counts for nothing", origin: hour,
			steps: []step{{want: miss}, {want: hit, with: []string{"Pragma: no-cache", "Cache-Control: max-age=60"}}},
		}, {
			name: "max-age=0 asks the origin, and takes nothing away", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: max-age=0"}, body: "#2"}, {want: hit, body: "#2"}},
		}, {
			name: "max-age shortens", origin: hour,
			steps: []step{
				{want: miss},
				{wait: 10 * time.Second, want: hit, with: []string{"Cache-Control: max-age=10"}},
				{wait: time.Second, want: miss, with: []string{"Cache-Control: max-age=10"}, body: "#2"},
			},
		}, {
			name: "max-age does not lengthen, unlike in Python", origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{{want: miss}, {wait: 20 * time.Second, want: miss, with: []string{"Cache-Control: max-age=3600"}, body: "#2"}},
		}, {
			name: "min-fresh", origin: hour,
			steps: []step{
				{want: miss},
				{wait: 50 * time.Minute, want: hit, with: []string{"Cache-Control: min-fresh=600"}},
				{wait: time.Second, want: miss, with: []string{"Cache-Control: min-fresh=600"}, body: "#2"},
			},
		}, {
			name: "several directives on several lines", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: max-stale", "Cache-Control: no-cache"}}},
		},
	})
}

func TestMaxStale(t *testing.T) {
	with := func(cc string) []string { return []string{"Cache-Control: " + cc} }
	runScenarios(t, []scenario{
		{
			name:   "within",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {wait: 15 * time.Second, with: with("max-stale=5"), want: stale, body: "#1", head: []string{"Age: 15"}},
				{wait: time.Second, with: with("max-stale=5"), want: miss, body: "#2"},
			},
		}, {
			name:   "without a bound",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 10000 * time.Hour, with: with("max-stale"), want: stale, body: "#1"}},
		}, {
			name:   "forbidden",
			origin: []reply{ok("Cache-Control: max-age=10, must-revalidate")},
			steps:  []step{{want: miss}, {wait: 15 * time.Second, with: with("max-stale"), want: miss, body: "#2"}},
		}, {
			name:   "with only-if-cached",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 15 * time.Second, with: with("max-stale, only-if-cached"), want: stale}},
		},
	})
}

func TestOnlyIfCached(t *testing.T) {
	with := []string{"Cache-Control: only-if-cached"}
	runScenarios(t, []scenario{{
		origin: []reply{ok("Cache-Control: max-age=10", "Vary: Accept")},
		steps: []step{
			{with: with, want: miss, status: 504}, {want: miss, body: "#1"}, {with: with, want: hit, body: "#1"},
			{with: append([]string{"Accept: x/y"}, with...), want: miss, status: 504},
			{wait: 10 * time.Second, with: with, want: miss, status: 504},
			{do: "HEAD /other", with: with, want: miss, status: 504},
			{with: append([]string{"Range: bytes=0-1,3-4"}, with...), want: miss, status: 504},
			{want: miss, body: "#2"},
		},
	}})
}

func TestContradictoryDirectives(t *testing.T) {
	for cc, want := range map[string]cachecontrol.Outcome{
		"max-age=60, max-age=60":             hit,
		"max-age=60, max-age=0":              miss,
		"max-age=0, max-age=60":              miss,
		"max-age=60, no-store":               miss,
		"no-store, public, max-age=60":       miss,
		"max-age=60, no-cache":               miss,
		"public, private, max-age=60":        hit,
		"max-age=-1":                         miss,
		"max-age=1e9":                        miss,
		"max-age":                            miss,
		"max-age=":                           miss,
		"max-age=99999999999999999999999999": hit,
		`max-age="60"`:                       hit,
		"MAX-AGE=60":                         hit,
		",,, max-age=60 ,,,":                 hit,
		"max-age=60, =, \"":                  hit,
		`no-cache="`:                         miss,
		`x="no-store", max-age=60`:           hit,
		`x="a, no-store`:                     miss,
		"max-age=60;no-store":                miss,
		strings.Repeat("x, ", 1000):          miss,
	} {
		runScenarios(t, []scenario{{
			name:   cc[:min(len(cc), 40)],
			origin: []reply{ok("Cache-Control: " + cc)},
			steps:  []step{{want: miss}, {want: want}},
		}, {
			name:   "on two lines: " + cc[:min(len(cc), 40)],
			origin: []reply{ok("Cache-Control: x", "Cache-Control: "+cc)},
			steps:  []step{{want: miss}, {want: want}},
		}})
	}
}

// A request with no-store may be answered from the cache, but its response is not stored (RFC 9111, section 5.2.1.5).
func TestNoStoreRequestLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("If-None-Match") != "" {
				return respond(304, "", "Cache-Control: max-age=60", `ETag: "1"`, "Secret: of this request")
			}
			return respond(200, "body", "Cache-Control: max-age=60", `ETag: "1"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(2 * time.Minute)
		if a := do(t, tr, "/", "Cache-Control: no-store"); a.outcome != cachecontrol.Revalidated || a.body != "body" {
			t.Errorf("%v %q, want the stored body, revalidated", a.outcome, a.body)
		}
		a := do(t, tr, "/", "Cache-Control: only-if-cached, max-stale")
		if a.outcome != cachecontrol.Stale || a.Header.Get("Secret") != "" {
			t.Errorf("%v %v, want the stale response as it was", a.outcome, a.Header)
		}
	})
}
