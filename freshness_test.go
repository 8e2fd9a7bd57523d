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

func TestFreshness(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "nothing said, nothing stored",
			origin: []reply{ok()},
			steps:  []step{{want: miss, body: "#1", storing: "nothing-to-reuse"}, {want: miss, body: "#2"}},
		}, {
			name:   "max-age",
			origin: []reply{ok("Cache-Control: max-age=3600")},
			steps: []step{
				{want: miss, body: "#1", storing: "max-age", head: []string{"X-From-Cache:", "Age:"}},
				{want: hit, body: "#1", head: []string{"X-From-Cache: 1", "Age: 0"}},
				{wait: 3599 * time.Second, want: hit, body: "#1", head: []string{"Age: 3599"}},
				{wait: time.Second, want: miss, body: "#2", sent: []string{"If-None-Match:", "If-Modified-Since:"}},
			},
		}, {
			name:   "max-age that is no number makes stale",
			origin: []reply{ok("Cache-Control: max-age=3600; public")},
			steps:  []step{{want: miss}, {want: miss}},
		}, {
			name:   "max-age of 0 is no reason to store",
			origin: []reply{ok("Cache-Control: max-age=0")},
			steps:  []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss}},
		}, {
			name:   "Expires",
			origin: []reply{ok("Expires: {1h}")},
			steps: []step{
				{want: miss, storing: "expires"},
				{wait: 59 * time.Minute, want: hit},
				{wait: time.Minute, want: miss, body: "#2"},
			},
		}, {
			name:   "max-age goes before Expires",
			origin: []reply{ok("Expires: {1h}", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:   "Expires is counted from Date",
			origin: []reply{ok("Date: {-50m}", "Expires: {10m}")},
			steps:  []step{{want: miss}, {wait: 9 * time.Minute, want: hit, head: []string{"Age: 3540"}}, {wait: time.Minute, want: miss}},
		}, {
			name:   "an age since Date counts",
			origin: []reply{ok("Date: {-59m}", "Cache-Control: max-age=3600")},
			steps:  []step{{want: miss}, {want: hit, head: []string{"Age: 3540"}}, {wait: time.Minute, want: miss}},
		}, {
			name:   "a response older than its max-age",
			origin: []reply{ok("Date: {-2h}", "Cache-Control: max-age=3600")},
			steps:  []step{{want: miss}, {want: miss, body: "#2"}},
		}, {
			name:   "without a Date, unlike in Python, the time of receipt counts",
			origin: []reply{ok("Date:", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit, head: []string{"Date: {-9s}"}}, {wait: time.Second, want: miss}},
		}, {
			name:   "a Date that is none, the same",
			origin: []reply{ok("Date: garbage", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:   "no-store",
			origin: []reply{ok("Cache-Control: no-store, max-age=60", `ETag: "a"`)},
			steps:  []step{{want: miss, storing: "no-store"}, {want: miss, sent: []string{"If-None-Match:"}}},
		}, {
			name:   "no-store from the origin removes what was stored",
			origin: []reply{ok("Cache-Control: max-age=10"), ok("Cache-Control: no-store"), ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {want: miss, with: []string{"Cache-Control: no-cache"}, body: "#2"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "no-store in the request removes what was stored, once the origin answers",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {want: miss, with: []string{"Cache-Control: no-store, no-cache"}, body: "#2", storing: "request-no-store"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "private is stored: it is a private cache",
			origin: []reply{ok("Cache-Control: private, max-age=60")},
			steps:  []step{{want: miss}, {want: hit}},
		},
	})
}

// Age is at most 2^31 seconds and stays there (RFC 9111, section 1.2.2).
func TestAgeLimits(t *testing.T) {
	for _, age := range []string{"2147483646", "2147483647", "2147483648", "2147483649", "9223372036854775808", strings.Repeat("9", 99)} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			shown := age
			if age > "2147483648" || len(age) > len("2147483648") {
				shown = "2147483648"
			}
			return []scenario{{
				"Age: " + age, tr(),
				[]reply{ok("Cache-Control: max-age=3600", "Age: "+age, `ETag: "1"`)},
				[]step{
					{want: miss},
					{want: stale, with: []string{"Cache-Control: max-stale"}, body: "#1", head: []string{"Age: " + shown}},
					{want: miss, body: "#2"},
				},
			}}
		})
	}
}

// A lifetime is at most 2^31 seconds too. If both are at the limit, the response is stale.
func TestLifetimeLimits(t *testing.T) {
	const year = 365 * 24 * time.Hour
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, age := range []string{"2147483647", "2147483648", "2147483649", "99999999999", strings.Repeat("9", 99)} {
			all = append(all, scenario{
				"max-age=" + age, tr(),
				[]reply{ok("Cache-Control: max-age=" + age)},
				[]step{
					{want: miss},
					{wait: 68 * year, want: hit, body: "#1", head: []string{"Age: 2144448000"}},
					{wait: year, want: miss, body: "#2"},
				},
			})
		}
		return all
	})
}

// A response becomes stale when its age equals its lifetime (RFC 9111, section 4.2).
func TestFreshnessEnds(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		fields := map[string][]string{
			"max-age":          {"Cache-Control: max-age=10"},
			"Expires":          {"Expires: {10s}"},
			"max-age and Age":  {"Cache-Control: max-age=100", "Age: 90"},
			"max-age and Date": {"Cache-Control: max-age=100", "Date: {-90s}"},
			"Expires and Age":  {"Expires: {100s}", "Age: 90"},
			"Expires and Date": {"Expires: {10s}", "Date: {-90s}"},
			"no Date":          {"Cache-Control: max-age=10", "Date:"},
		}
		var all []scenario
		for name, fields := range fields {
			all = append(all, scenario{name, tr(), []reply{ok(fields...)}, []step{
				{want: miss},
				{wait: 10*time.Second - time.Nanosecond, want: hit, body: "#1"},
				{wait: time.Nanosecond, want: miss, body: "#2"},
			}})
		}
		return all
	})
}

// Date and Expires are returned as the origin sent them. Age shows how long ago that was.
func TestDateAndExpiresStay(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		return []scenario{{"Expires", tr(), []reply{ok("Expires: {1h}", "Age: 30")}, []step{
			{want: miss, head: []string{"Age: 30"}},
			{wait: 3 * time.Second, want: hit, head: []string{"Date: {-3s}", "Expires: {59m57s}", "Age: 33"}},
		}}}
	})
}

// A hit has the time of receipt as its Date if the origin sent none (RFC 9110, section 6.6.1). The response to a miss is the
// origin's.
func TestMissingDate(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		const fresh = "Cache-Control: max-age=60"
		return []scenario{
			{"200", tr(), []reply{ok("Date:", fresh)}, []step{
				{want: miss, head: []string{"Date:"}},
				{wait: 3 * time.Second, want: hit, head: []string{"Date: {-3s}", "Age: 3"}},
				{do: "HEAD /", want: hit, head: []string{"Date: {-3s}"}},
			}},
			{"304", tr(), []reply{ok("Date:", fresh, `ETag: "a"`), status(304, "Date:", fresh)}, []step{
				{want: miss},
				{wait: time.Second, with: []string{`If-None-Match: "a"`}, want: hit, status: 304, head: []string{"Date: {-1s}"}},
				{wait: time.Second, with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{"Date: {0s}"}},
				{wait: time.Second, want: hit, head: []string{"Date: {-1s}", "Age: 1"}},
			}},
			{"206", tr(), []reply{status(206, "Date:", fresh, "Content-Range: bytes 0-1/9")}, []step{
				{with: []string{"Range: bytes=0-1"}, want: miss},
				{wait: time.Second, with: []string{"Range: bytes=0-1"}, want: hit, status: 206, head: []string{"Date: {-1s}"}},
			}},
		}
	})
}

// The time between request and response counts as age (RFC 9111, section 4.2.3), because the origin may have generated
// the response at its start.
func TestDelayCounts(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fields := []string{"Cache-Control: max-age=20"}
				o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
					time.Sleep(5 * time.Second)
					return respond(200, fmt.Sprintf("#%d", n), fields...)
				})
				tr := &cachecontrol.Transport{Base: o, Shared: shared}
				defer tr.Close()
				if a := do(t, tr, "/"); a.Header["Age"] != nil {
					t.Errorf("Age %q in a new response of the origin, want none", a.Header["Age"])
				}
				for _, st := range []step{
					{want: hit, head: []string{"Age: 5"}},
					{wait: 14 * time.Second, want: hit, head: []string{"Age: 19"}},
					{wait: time.Second, want: miss, body: "#2"},
				} {
					st.run(t, "delay", tr, o)
				}
				fields = append(fields, "Age: 3")
				step{do: "/older", want: miss}.run(t, "Age", tr, o)
				step{do: "/older", want: hit, head: []string{"Age: 8"}}.run(t, "Age", tr, o)
				// Written before the delay: both say the same time, and it is counted once.
				fields = []string{"Cache-Control: max-age=20", "Date: " + date(0)}
				step{do: "/early", want: miss}.run(t, "Date", tr, o)
				step{do: "/early", want: hit, head: []string{"Age: 5"}}.run(t, "Date", tr, o)
				fields = []string{"Cache-Control: max-age=5"}
				step{do: "/slow", want: miss}.run(t, "slow", tr, o)
				step{do: "/slow", want: miss}.run(t, "slow", tr, o)
			})
		})
	}
}

func TestBrokenDates(t *testing.T) {
	for _, d := range []string{
		"garbage", "0", "-1", "Thu, 99 Foo 2000 25:61:61 GMT", "Mon, 01 Jan 0000 00:00:00 GMT", "Sun, 31 Dec 9999 23:59:59 GMT",
		"Sat, 01 Jan 99999 00:00:00 GMT", strings.Repeat("9", 10000), "\x00\xff", `"Sat, 01 Jan 2000 00:00:00 GMT"`,
	} {
		runScenarios(t, []scenario{
			{
				name:   "Expires",
				origin: []reply{ok("Cache-Control: public", "Expires: "+d)},
				steps:  []step{{want: miss, body: "#1"}, {want: wantFar(d), status: 200}},
			}, {
				name:   "Date beside max-age",
				origin: []reply{ok("Date: "+d, "Cache-Control: max-age=60")},
				steps:  []step{{want: miss}, {want: wantFresh(d), status: 200}, {wait: time.Hour, want: miss}},
			}, {
				name:   "Last-Modified",
				origin: []reply{ok("Last-Modified: "+d, "Cache-Control: max-age=60"), ok()},
				steps:  []step{{want: miss}, {want: hit}, {wait: time.Hour, want: miss, body: "#2"}},
			},
		})
	}
}

// wantFar returns hit for the only value of TestBrokenDates that is a date in the future.
func wantFar(d string) cachecontrol.Outcome {
	if strings.Contains(d, "9999 23") {
		return hit
	}
	return miss
}

// wantFresh returns miss for the only value of TestBrokenDates that is a date in the past.
func wantFresh(d string) cachecontrol.Outcome {
	if strings.Contains(d, "0000 00") {
		return miss
	}
	return hit
}

func TestHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, fmt.Sprintf("body %d", n), "Cache-Control: max-age=60", "ETag: \"1\"")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		a := do(t, tr, "/")
		if a.outcome != cachecontrol.Miss || a.Header.Get("X-From-Cache") != "" {
			t.Errorf("first: %v %q, want %v %q; header: %v", a.outcome, a.Header.Get("X-From-Cache"), cachecontrol.Miss, "", a.Header)
		}
		time.Sleep(30 * time.Second)
		a = do(t, tr, "/")
		if a.outcome != cachecontrol.Hit || a.body != "body 1" || a.Header.Get("Age") != "30" {
			t.Errorf("second: %v %q %q, want %v %q %q; header: %v", a.outcome, a.body, a.Header.Get("Age"), cachecontrol.Hit, "body 1", "30", a.Header)
		}
		time.Sleep(40 * time.Second)
		a = do(t, tr, "/")
		if a.outcome != cachecontrol.Miss || a.body != "body 2" || o.last().Header.Get("If-None-Match") != `"1"` {
			t.Errorf("third: %v %q %q, want %v %q %q; header: %v", a.outcome, a.body, o.last().Header.Get("If-None-Match"), cachecontrol.Miss, "body 2", `"1"`, a.Header)
		}
	})
}

// A negative lifetime counts as none, in every store.
func TestNegativeLifetime(t *testing.T) {
	for name, store := range fileStores(t) {
		runScenarios(t, []scenario{{
			name, &cachecontrol.Transport{Store: store, BeforeStore: func(*http.Response, cachecontrol.RuleDecision) cachecontrol.StoreDecision {
				return cachecontrol.StoreDecision{Lifetime: -time.Second}
			}},
			[]reply{ok("Cache-Control: max-age=10", `ETag: "1"`), status(304, "Cache-Control: max-age=10", `ETag: "1"`)},
			[]step{{want: miss}, {want: hit}, {wait: 10 * time.Second, want: revalidated}, {want: hit}},
		}})
	}
}

// A response from another cache may be stale when it arrives, because of its Age.
func TestAgeCounts(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "older than max-age",
			origin: []reply{ok("Age: 100", "Cache-Control: max-age=60", `ETag: "a"`)},
			steps:  []step{{want: miss}, {want: miss, body: "#2"}},
		}, {
			name:   "nearly",
			origin: []reply{ok("Age: 50", "Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit, head: []string{"Age: 59"}}, {wait: time.Second, want: miss}},
		},
	})
}
