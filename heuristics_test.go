package cachecontrol_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

func TestHeuristics(t *testing.T) {
	const staleWarning = `110 - "Response is Stale"`
	week := heuristics.Func(func(resp *http.Response) http.Header {
		d, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			return nil
		}
		return http.Header{"Expires": {d.AddDate(0, 0, 7).Format(http.TimeFormat)}, "Cache-Control": {"public"}}
	})
	runScenarios(t, []scenario{
		{
			name:      "OneDay",
			transport: &cachecontrol.Transport{Heuristic: heuristics.OneDay},
			origin:    []reply{ok()},
			steps: []step{
				{want: miss, head: []string{"Expires: {24h}", "Cache-Control: public", "Warning: " + staleWarning}},
				{wait: 24*time.Hour - time.Second, want: hit, head: []string{"Warning: " + staleWarning}},
				{wait: time.Second, want: miss, body: "#2"},
			},
		}, {
			name:      "OneDay leaves Expires, and then gives no Warning",
			transport: &cachecontrol.Transport{Heuristic: heuristics.OneDay},
			origin:    []reply{ok("Expires: {1h}")},
			steps: []step{
				{want: miss, head: []string{"Expires: {1h}", "Cache-Control:", "Warning:"}},
				{wait: 59 * time.Minute, want: hit, head: []string{"Warning:"}}, {wait: time.Minute, want: miss},
			},
		}, {
			name:      "ExpiresAfter overrides what the origin says",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(26 * time.Hour)},
			origin:    []reply{ok("Cache-Control: no-store, private", "Expires: -1")},
			steps: []step{
				{want: miss, head: []string{"Expires: {26h}", "Cache-Control: public",
					"Warning: 110 - Automatically cached for 1 day, 2:00:00. Response might be stale"}},
				{wait: 26*time.Hour - time.Second, want: hit},
				{wait: time.Second, want: miss, body: "#2"},
			},
		}, {
			name:      "ExpiresAfter for a 301",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(time.Hour)},
			origin:    []reply{status(301, "Location: /elsewhere")},
			steps: []step{
				{want: miss, head: []string{"Cache-Control: public", "Expires: {1h}"}},
				{want: hit, status: 301}, {wait: time.Hour, want: miss},
			},
		}, {
			name:      "ExpiresAfter for a 304: the entry is fresh anew",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(time.Hour)},
			origin:    []reply{ok(`ETag: "a"`), status(304)},
			steps: []step{
				{want: miss},
				{wait: time.Hour, want: revalidated, body: "#1", head: []string{"Expires: {1h}", "Cache-Control: public"}},
				{wait: 59 * time.Minute, want: hit},
				{wait: time.Minute, want: revalidated},
			},
		}, {
			name:      "LastModified: a tenth of its age",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}")},
			steps: []step{
				{want: miss, head: []string{"Expires: {1h}", "Warning:"}},
				{wait: time.Hour - time.Second, want: hit},
				{wait: time.Second, want: miss},
			},
		}, {
			name:      "LastModified: a day at most",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10000h}")},
			steps:     []step{{want: miss, head: []string{"Expires: {24h}"}}, {wait: 24*time.Hour - time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:      "LastModified leaves Expires",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}", "Expires: {10m}")},
			steps:     []step{{want: miss, head: []string{"Expires: {10m}"}}},
		}, {
			name:      "LastModified leaves any Cache-Control but public",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}", "Cache-Control: private"), ok("Last-Modified: {-10h}", "Cache-Control: public")},
			steps: []step{
				{do: "/a", want: miss, head: []string{"Expires:"}},
				{do: "/b", want: miss, head: []string{"Expires: {1h}"}}, {do: "/b", wait: 59 * time.Minute, want: hit},
			},
		}, {
			name:      "LastModified has nothing to say without one, or for other statuses",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok(), status(299, "Last-Modified: {-10h}")},
			steps:     []step{{want: miss, head: []string{"Expires:"}}, {want: miss, head: []string{"Expires:"}}},
		}, {
			name:      "one's own",
			transport: &cachecontrol.Transport{Heuristic: week},
			origin:    []reply{ok("Cache-Control: private", "Expires: -1")},
			steps: []step{
				{want: miss, head: []string{"Expires: {168h}", "Cache-Control: public", "Warning:"}},
				{wait: 6 * 24 * time.Hour, want: hit}, {wait: 24 * time.Hour, want: miss},
			},
		}, {
			name:      "one that changes nothing gives no Warning",
			transport: &cachecontrol.Transport{Heuristic: heuristics.Func(func(*http.Response) http.Header { return nil })},
			origin:    []reply{ok("Cache-Control: max-age=60")},
			steps:     []step{{want: miss, head: []string{"Warning:"}}, {want: hit, head: []string{"Warning:"}}},
		},
	})
}

// In a shared cache heuristics do not apply to errors, because a client may have provoked the error for all users.
func TestHeuristicsForSharedErrors(t *testing.T) {
	custom := heuristics.Func(func(*http.Response) http.Header { return http.Header{"Cache-Control": {"max-age=3600"}} })
	for name, h := range map[string]heuristics.Heuristic{
		"LastModified": heuristics.LastModified, "OneDay": heuristics.OneDay, "ExpiresAfter": heuristics.ExpiresAfter(time.Hour),
		"custom": custom, "with errors": heuristics.WithErrors(heuristics.LastModified),
	} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			var all []scenario
			for _, code := range []int{200, 203, 204, 300, 404, 405, 410, 414, 501} {
				with := tr()
				with.Heuristic = h
				want := hit
				if with.Shared && code >= 400 && name != "custom" && name != "with errors" {
					want = miss
				}
				all = append(all, scenario{fmt.Sprint(name, " ", code), with, []reply{status(code, "Last-Modified: {-10h}")}, []step{{want: miss}, {wait: time.Minute, want: want}}})
				if want == miss { // which the origin may allow
					for _, says := range []string{"max-age=120", "public"} {
						with := tr()
						with.Heuristic = h
						all = append(all, scenario{fmt.Sprint(name, " ", code, " ", says), with, []reply{status(code, "Last-Modified: {-10h}", "Cache-Control: "+says)},
							[]step{{want: miss}, {wait: time.Minute, want: hit}}})
					}
				}
			}
			return all
		})
	}
}

// With a heuristic, a status that is not cacheable by default is reused only if the response is public (RFC 9111,
// section 4.2.2). In a shared cache that holds for errors, too.
func TestHeuristicStatuses(t *testing.T) {
	statuses := map[int]cachecontrol.Outcome{}
	for _, code := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
		statuses[code] = hit
	}
	for _, code := range []int{201, 202, 299, 302, 303, 307, 400, 403, 499, 500, 502, 503, 504, 599} {
		statuses[code] = miss
	}
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		with := func() *cachecontrol.Transport {
			t := tr()
			t.Heuristic = heuristics.LastModified
			return t
		}
		var all []scenario
		for code, want := range statuses {
			if code >= 400 && tr().Shared {
				want = miss
			}
			all = append(all,
				scenario{fmt.Sprint(code), with(), []reply{status(code, "Last-Modified: {-10h}")},
					[]step{{want: miss}, {wait: time.Minute, want: want, status: code}}},
				scenario{fmt.Sprint(code, " public"), with(), []reply{status(code, "Last-Modified: {-10h}", "Cache-Control: public")},
					[]step{{want: miss}, {wait: time.Minute, want: hit, status: code}}})
		}
		return all
	})
}
