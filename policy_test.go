package cachecontrol_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

func TestBeforeStore(t *testing.T) {
	// What it says depends on the path; the origin answers each with the same fields.
	decide := func() *cachecontrol.Transport {
		return &cachecontrol.Transport{BeforeStore: func(resp *http.Response, _ cachecontrol.RuleDecision) cachecontrol.StoreDecision {
			if resp.Body != http.NoBody || resp.Request == nil || resp.StatusCode == 304 {
				t.Errorf("asked about %+v, want a Request, http.NoBody, another status than 304", resp)
			}
			var d cachecontrol.StoreDecision
			d.Refuse = strings.HasPrefix(resp.Request.URL.Path, "/private") || resp.StatusCode == 404 || resp.Header.Get("X-Keep") == "no"
			if resp.Request.URL.Path == "/hour" {
				d.Lifetime = time.Hour
			}
			return d
		}}
	}
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	runScenarios(t, []scenario{
		{
			name: "refuses by URL", transport: decide(), origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss, storing: "max-age"}, {want: hit},
				{do: "/private/a", want: miss, storing: "store-refused"}, {do: "/private/a", want: miss},
			},
		}, {
			name: "by status", transport: decide(), origin: []reply{status(404, fresh)},
			steps: []step{{want: miss, storing: "store-refused"}, {want: miss}},
		}, {
			name: "by header", transport: decide(), origin: []reply{ok(fresh, "X-Keep: no")},
			steps: []step{{want: miss, storing: "store-refused"}, {want: miss}},
		}, {
			name: "what a rule refuses, the rule refuses", transport: decide(), origin: []reply{ok("Cache-Control: no-store", "X-Keep: no")},
			steps: []step{{want: miss, storing: "no-store"}, {do: "/hour", want: miss, storing: "no-store"}},
		}, {
			name: "gives a lifetime", transport: decide(), origin: []reply{ok()},
			steps: []step{
				{do: "/hour", want: miss, storing: "own-lifetime"}, {do: "/hour", wait: 59 * time.Minute, want: hit},
				{do: "/hour", wait: time.Minute, want: miss}, {want: miss, storing: "nothing-to-reuse"},
			},
		}, {
			name: "that of the request goes before it", transport: decide(), origin: []reply{ok()},
			steps: []step{
				{do: "/hour", control: &cachecontrol.Control{Lifetime: time.Minute}, want: miss}, {do: "/hour", wait: time.Minute, want: miss},
			},
		}, {
			name: "and again after a 304", transport: decide(), origin: []reply{ok(tag), status(304, tag)},
			steps: []step{
				{do: "/hour", want: miss}, {do: "/hour", wait: time.Hour, want: revalidated}, {do: "/hour", wait: 59 * time.Minute, want: hit},
			},
		}, {
			name: "what it refuses after a 304 goes", transport: decide(), origin: []reply{ok(tag), status(304, tag, "X-Keep: no"), ok(tag)},
			steps: []step{{want: miss}, {want: revalidated, body: "#1"}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		}, {
			name: "what it refuses takes the place of nothing, and what is out of date goes", transport: decide(),
			origin: []reply{ok(fresh, tag), ok(fresh, "X-Keep: no"), ok(fresh, tag)},
			steps:  []step{{want: miss}, {wait: time.Minute, want: miss, body: "#2"}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		}, {
			name: "a part", transport: decide(), origin: []reply{status(206, "Content-Range: bytes 0-1/9", fresh, tag, "X-Keep: no")},
			steps: []step{{with: []string{"Range: bytes=0-1"}, want: miss, storing: "store-refused"}, {with: []string{"Range: bytes=0-1"}, want: miss}},
		}, {
			name: "what a POST brings", transport: decide(), origin: []reply{ok(fresh, "Content-Location: /private"), ok(fresh)},
			steps: []step{{do: "POST /private", want: bypass}, {do: "/private", want: miss}},
		},
	})
}

func TestBeforeReuse(t *testing.T) {
	always := func(use cachecontrol.Reuse) *cachecontrol.Transport {
		return &cachecontrol.Transport{BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			return cachecontrol.ReuseDecision{Use: use}
		}}
	}
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	confirmed := status(304, fresh, tag)
	runScenarios(t, []scenario{
		{
			name: "by the rules", transport: always(cachecontrol.ReuseByRules), origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {want: hit}, {wait: time.Minute, want: miss}},
		},

		{
			name: "validate", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(fresh, tag), confirmed},
			steps: []step{{want: miss}, {want: revalidated, sent: []string{`If-None-Match: "1"`}}, {want: revalidated}},
		}, {
			name: "validate what cannot be", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {want: miss, body: "#2"}},
		}, {
			name: "validate, and the origin fails", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(fresh+", stale-if-error=600", tag), status(503)},
			steps: []step{{want: miss}, {want: miss, status: 503}},
		}, {
			name: "validate, and the origin fails, although the request allows that", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(fresh, tag), status(503)},
			steps: []step{
				{want: miss}, {want: miss, status: 503, with: []string{"Cache-Control: stale-if-error=600"}},
				{want: miss, status: 503, control: &cachecontrol.Control{MaxStale: -1}},
			},
		}, {
			name: "validate, and the origin fails, although all is replayed", origin: []reply{ok(fresh, tag), status(503)},
			transport: &cachecontrol.Transport{Replay: true, BeforeReuse: always(cachecontrol.ReuseValidate).BeforeReuse},
			steps:     []step{{want: miss}, {want: miss, status: 503}},
		}, {
			name: "validate, and only-if-cached", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(fresh, tag)},
			steps: []step{{want: miss}, {with: []string{"Cache-Control: only-if-cached"}, want: miss, status: 504}},
		}, {
			name: "validate in the place of stale-while-revalidate", transport: always(cachecontrol.ReuseValidate), origin: []reply{ok(swr, tag), status(304, swr, tag)},
			steps: []step{{want: miss}, {wait: 11 * time.Second, want: revalidated}},
		},

		{
			name: "never", transport: always(cachecontrol.ReuseNever), origin: []reply{ok(fresh, tag)},
			steps: []step{{want: miss}, {want: miss, body: "#2", storing: "max-age", sent: []string{"If-None-Match:"}}},
		}, {
			name: "never, and the origin fails", transport: always(cachecontrol.ReuseNever), origin: []reply{ok(fresh+", stale-if-error=600", tag), status(503)},
			steps: []step{{want: miss}, {want: miss, status: 503}},
		}, {
			name: "never, and only-if-cached", transport: always(cachecontrol.ReuseNever), origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504}},
		}, {
			name: "never a part", transport: always(cachecontrol.ReuseNever), origin: []reply{status(206, "Content-Range: bytes 0-1/9", fresh, tag)},
			steps: []step{
				{with: []string{"Range: bytes=0-1"}, want: miss}, {with: []string{"Range: bytes=0-1"}, want: miss},
				{with: []string{"Range: bytes=0-1", "Cache-Control: only-if-cached"}, want: miss, status: 504},
			},
		},

		{
			name: "anyway, although it is stale", transport: always(cachecontrol.ReuseAnyway), origin: []reply{ok(fresh + ", must-revalidate")},
			steps: []step{{want: miss}, {want: hit}, {wait: 24 * time.Hour, want: stale, body: "#1"}},
		}, {
			name: "although each use must be validated", transport: always(cachecontrol.ReuseAnyway), origin: []reply{ok(fresh+", no-cache", tag)},
			steps: []step{{want: miss}, {want: hit, body: "#1"}},
		}, {
			name: "although the request wants it fresh", transport: always(cachecontrol.ReuseAnyway), origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: hit}, {control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, want: hit}},
		}, {
			name: "and nothing is revalidated", transport: always(cachecontrol.ReuseAnyway), origin: []reply{ok(swr)},
			steps: []step{{want: miss}, {wait: 11 * time.Second, want: stale, body: "#1"}, {wait: time.Second, want: stale, body: "#1"}},
		},
	})
}

// BeforeReuse gets all that it needs to decide, and is not called for validations in the background.
func TestBeforeReuseSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []cachecontrol.StoredResponse
		o := replies(t, status(203, swr, "X-A: 1", "Age: 3"))
		tr := &cachecontrol.Transport{Base: o, BeforeReuse: func(req *http.Request, s cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			if req.URL.Path != "/" {
				t.Errorf("asked for %s, want /", req.URL)
			}
			seen = append(seen, s)
			return cachecontrol.ReuseDecision{}
		}}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(8 * time.Second)
		do(t, tr, "/")
		synctest.Wait()
		if len(seen) != 1 || o.requests() != 2 {
			t.Fatalf("asked %d times, and the origin %d times, want 1, 2", len(seen), o.requests())
		}
		s := seen[0]
		if s.StatusCode != 203 || s.Header.Get("X-A") != "1" || s.Age != 11*time.Second || s.TTL != -time.Second {
			t.Errorf("got %+v, want 203, X-A: 1, Age 11s, TTL -1s", s)
		}
	})
}

func TestReplay(t *testing.T) {
	replay := func() *cachecontrol.Transport { return &cachecontrol.Transport{Replay: true} }
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	const years = 100 * 365 * 24 * time.Hour
	runScenarios(t, []scenario{
		{
			name: "whatever its age", transport: replay(), origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {want: hit}, {wait: years, want: stale, body: "#1"}},
		}, {
			name: "whatever it says", transport: replay(), origin: []reply{ok("Cache-Control: no-cache, must-revalidate, max-age=0", tag)},
			steps: []step{{want: miss, storing: "replay"}, {want: stale, body: "#1"}},
		}, {
			name: "whatever the request says", transport: replay(), origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: hit, body: "#1"}, {with: []string{"Cache-Control: max-age=0"}, want: hit, body: "#1"},
				{with: []string{"Pragma: no-cache"}, want: hit, body: "#1"}, {with: []string{"Cache-Control: min-fresh=900"}, want: hit, body: "#1"},
			},
		}, {
			name: "also what nothing makes worth storing", transport: replay(), origin: []reply{ok()},
			steps: []step{{want: miss, storing: "replay"}, {want: stale, body: "#1"}, {wait: years, want: stale, body: "#1"}},
		}, {
			name: "with TimePriority, too", transport: &cachecontrol.Transport{Replay: true, TimePriority: true}, origin: []reply{ok(tag)},
			steps: []step{{want: miss}, {want: stale}},
		}, {
			name: "but not what must not be stored", transport: replay(), origin: []reply{ok("Cache-Control: no-store")},
			steps: []step{{want: miss, storing: "no-store"}, {want: miss}},
		}, {
			name: "nor an error that nothing allows to store", transport: replay(), origin: []reply{status(500), ok(fresh)},
			steps: []step{{want: miss, storing: "not-cacheable"}, {want: miss, body: "#2"}, {want: hit}},
		}, {
			name: "no request in the background", transport: &cachecontrol.Transport{Replay: true, RefreshAhead: time.Hour}, origin: []reply{ok(swr)},
			steps: []step{{want: miss}, {want: hit}, {wait: 11 * time.Second, want: stale, body: "#1"}, {wait: time.Second, want: stale, body: "#1"}},
		}, {
			name: "variants are told apart", transport: replay(), origin: []reply{ok(fresh, "Vary: X")},
			steps: []step{
				{with: []string{"X: 1"}, want: miss, body: "#1"}, {with: []string{"X: 2"}, want: miss, body: "#2"},
				{wait: years, with: []string{"X: 1"}, want: stale, body: "#1"}, {with: []string{"X: 2"}, want: stale, body: "#2"},
			},
		}, {
			name: "HEAD, conditions and ranges", transport: replay(), origin: []reply{{body: "0123456789", fields: []string{tag}}},
			steps: []step{
				{want: miss}, {do: "HEAD /", want: stale}, {with: []string{`If-None-Match: "1"`}, want: stale, status: 304},
				{with: []string{"Range: bytes=2-3"}, want: stale, status: 206, body: "23"},
			},
		}, {
			name: "a part", transport: replay(), origin: []reply{status(206, "Content-Range: bytes 0-1/9", tag)},
			steps: []step{{with: []string{"Range: bytes=0-1"}, want: miss}, {wait: years, with: []string{"Range: bytes=0-1"}, want: stale, status: 206}},
		}, {
			name: "Refresh asks", transport: replay(), origin: []reply{ok(fresh, tag), status(304, tag), ok(fresh, tag), down},
			steps: []step{
				{want: miss}, {control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, want: revalidated}, {control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, want: miss, body: "#3"},
				{control: &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, want: stale, body: "#3"},
			},
		}, {
			name: "strictly offline", transport: replay(), origin: []reply{ok()},
			steps: []step{
				{want: miss}, {wait: years, control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: stale, body: "#1"},
				{do: "/other", control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
				{do: "POST /", control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
			},
		},
	})
}

// A Transport with Replay serves what another one has stored. A request without a stored response fails.
func TestReplayOver(t *testing.T) {
	for name, store := range fileStores(t) {
		synctest.Test(t, func(t *testing.T) {
			recorder := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=1", `ETag: "1"`)), Store: store}
			do(t, recorder, "/")
			time.Sleep(time.Hour)
			player := &cachecontrol.Transport{Base: replies(t, down), Store: store, Replay: true}
			if a := do(t, player, "/"); a.outcome != stale || a.body != "#1" || cachecontrol.StatusOf(a.Response).Reason != rules.Replayed {
				t.Errorf("%s: %v %q %v, want %v %q %v", name, a.outcome, a.body, cachecontrol.StatusOf(a.Response).Reason, stale, "#1", rules.Replayed)
			}
			if _, err := player.RoundTrip(request(t, "/other")); err == nil {
				t.Errorf("%s: no error for a response that is not stored, want one", name)
			}
			recorder.Close()
			player.Close()
		})
	}
}
