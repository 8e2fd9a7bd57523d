package cachecontrol_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// keptAfter are the statuses that say nothing of the stored response: it stays while the answer reaches the caller.
var keptAfter = []int{
	300, 302, 303, 305, 306, 307, 400, 401, 402, 403, 405, 406, 407, 408, 409, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425,
	426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 511, 599,
}

// goneAfter are the statuses that say that there is another representation now, or none.
var goneAfter = []int{200, 201, 202, 203, 204, 226, 299, 404, 410}

// What the origin answers to a validation, or to a request for what is stored without one, reaches the caller. If it is not stored
// itself, the stored response goes only if the answer says that it is out of date.
func TestAnswersToValidation(t *testing.T) {
	const tag = `ETag: "a"`
	asks := []string{"Cache-Control: no-cache"}
	refresh := &cachecontrol.Control{Refresh: true}
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, code := range slices.Concat(keptAfter, goneAfter) {
			kept := slices.Contains(keptAfter, code)
			// The last step finds what is stored, still fresh, or asks the origin.
			check := func(name string, first reply, steps ...step) {
				last := step{want: miss, body: "#3", status: 200}
				if kept {
					last = step{want: hit, body: "#1", status: 200}
				}
				all = append(all, scenario{fmt.Sprint(code, " ", name), tr(), []reply{first, status(code, "Location: /x", "Cache-Control: no-store"), ok("Cache-Control: max-age=60")},
					append(append([]step{{want: miss, body: "#1"}}, steps...), last)})
			}
			fresh := ok("Cache-Control: max-age=60", tag)
			check("validated", fresh, step{with: asks, want: miss, status: code, sent: []string{`If-None-Match: "a"`}})
			check("refreshed", fresh, step{control: refresh, want: miss, status: code})
			check("without a validator", ok("Cache-Control: max-age=60"), step{with: asks, want: miss, status: code})
			check("by date", ok("Cache-Control: max-age=60", "Last-Modified: {-1h}"), step{with: asks, want: miss, status: code})
			check("a condition of the caller's", fresh, step{with: append([]string{`If-None-Match: "b"`}, asks...), want: miss, status: code})
			if code != 206 && code != 416 {
				check("a range", fresh, step{with: append([]string{"Range: bytes=0-0"}, asks...), want: miss, status: code})
			}
			if code != 200 { // which updates the stored response
				check("HEAD", fresh, step{do: "HEAD /", with: asks, want: miss, status: code})
			}
		}
		return all
	})
}

// Once the origin answers again, the stored response is validated with what it has: no body is fetched twice.
func TestValidationAfterRefusal(t *testing.T) {
	for _, code := range keptAfter {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok("Cache-Control: max-age=1", `ETag: "a"`), status(code), status(304, "Cache-Control: max-age=60")},
			[]step{
				{want: miss}, {wait: time.Minute, want: miss, status: code},
				{want: revalidated, body: "#1", sent: []string{`If-None-Match: "a"`}}, {want: hit, body: "#1"},
			},
		}})
	}
}

// In the background the same answers have the same effect, and reach nobody.
func TestAnswersToValidationInBackground(t *testing.T) {
	for _, code := range slices.Concat(keptAfter, goneAfter) {
		last := step{want: miss, body: "#3"}
		if slices.Contains(keptAfter, code) {
			last = step{want: stale, body: "#1"}
		}
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil,
			[]reply{ok("Cache-Control: max-age=1, stale-while-revalidate=3600", `ETag: "a"`), status(code, "Cache-Control: no-store"), ok("Cache-Control: max-age=60")},
			[]step{{want: miss}, {wait: time.Minute, want: stale, body: "#1"}, func() step { last.wait = time.Second; return last }()},
		}})
	}
}

// Of several variants the one that was asked about goes, or stays.
func TestAnswersToValidationOfVariants(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	a, b := []string{"A: 1"}, []string{"A: 2"}
	asks := append([]string{"Cache-Control: no-cache"}, b...)
	for code, want := range map[int]cachecontrol.Outcome{403: hit, 429: hit, 302: hit, 404: miss, 410: miss, 200: miss} {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok(fresh, "Vary: A"), ok(fresh, "Vary: A"), status(code, "Cache-Control: no-store", "Vary: A"), ok("Vary: A")},
			[]step{{with: a, want: miss}, {with: b, want: miss}, {with: asks, want: miss, status: code}, {with: a, want: hit, body: "#1"}, {with: b, want: want}},
		}})
	}
}

// What may be stored takes the place of what was stored, as ever.
func TestStorableAnswersToValidation(t *testing.T) {
	for _, code := range []int{203, 301, 302, 308, 403, 404, 410, 500} {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(code, "Cache-Control: max-age=60", "Location: /x")},
			[]step{{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: miss, status: code}, {want: hit, status: code, body: "#2"}},
		}})
	}
}

// What the program does not want used is gone once the origin has sent something else, even if that is not stored.
func TestRefusedAndReplaced(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	never := func(refuse bool) *cachecontrol.Transport {
		n := 0
		tr := &cachecontrol.Transport{BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			if n++; n == 1 {
				return cachecontrol.ReuseNever
			}
			return cachecontrol.ReuseByRules
		}}
		if refuse {
			tr.BeforeStore = func(resp *http.Response) cachecontrol.StoreDecision {
				return cachecontrol.StoreDecision{Refuse: resp.Header.Get("X-Keep") == "no"}
			}
		}
		return tr
	}
	part := []string{"Range: bytes=0-1"}
	partial := func(fields ...string) reply {
		return reply{status: 206, body: "ab", fields: append(fields, "Content-Range: bytes 0-1/9", tag)}
	}
	all := []scenario{
		{"no-store", never(false), []reply{ok(fresh, tag), ok("Cache-Control: no-store"), ok()}, []step{
			{want: miss}, {want: miss, body: "#2", sent: []string{"If-None-Match:"}}, {want: miss, body: "#3"},
		}},
		{"refused", never(true), []reply{ok(fresh, tag), ok(fresh, "X-Keep: no"), ok()}, []step{
			{want: miss}, {want: miss, body: "#2", storing: "store-refused"}, {want: miss, body: "#3"},
		}},
		{"nothing to reuse", never(false), []reply{ok(fresh, tag), ok(), ok()}, []step{{want: miss}, {want: miss, body: "#2"}, {want: miss, body: "#3"}}},
		{"HEAD of another", never(false), []reply{ok(fresh, tag), ok("Cache-Control: no-store", `ETag: "b"`), ok()}, []step{
			{want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"},
		}},
		{"HEAD of none", never(false), []reply{ok(fresh, tag), status(404), ok()}, []step{{want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"}}},
		{"HEAD of the same", never(false), []reply{ok(fresh, tag), ok(fresh, tag)}, []step{{want: miss}, {do: "HEAD /", want: miss}, {want: hit, body: "#1"}}},
		{"a part of the same", never(false), []reply{ok(fresh, tag), partial(fresh)}, []step{{want: miss}, {with: part, want: miss}, {want: hit, body: "#1"}}},
		{"404", never(false), []reply{ok(fresh, tag), status(404), ok()}, []step{{want: miss}, {want: miss, status: 404}, {want: miss, body: "#3"}}},
		{"403", never(false), []reply{ok(fresh, tag), status(403)}, []step{{want: miss}, {want: miss, status: 403}, {want: hit, body: "#1"}}},
		{"503", never(false), []reply{ok(fresh, tag), status(503)}, []step{{want: miss}, {want: miss, status: 503}, {want: hit, body: "#1"}}},
		{"a variant", never(false), []reply{ok(fresh, "Vary: A"), ok("Cache-Control: no-store", "Vary: A"), ok()}, []step{
			{with: []string{"A: 1"}, want: miss}, {with: []string{"A: 1"}, want: miss}, {with: []string{"A: 1"}, want: miss},
		}},
		{"a part", never(false), []reply{partial(fresh), partial("Cache-Control: no-store"), partial()}, []step{
			{with: part, want: miss, status: 206}, {with: part, want: miss, status: 206}, {with: part, want: miss, status: 206},
		}},
		{"a part, and then the whole", never(false), []reply{partial(fresh), ok("Cache-Control: no-store"), partial()}, []step{
			{with: part, want: miss, status: 206}, {want: miss, body: "#2"}, {with: part, want: miss, status: 206},
		}},
		// The 304 is about another response, so that the request is made once more.
		{"a 304 that does not match", nil, []reply{ok(fresh, tag), status(304, `ETag: "b"`), ok("Cache-Control: no-store"), ok()}, []step{
			{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: miss, body: "#3"}, {want: miss, body: "#4"},
		}},
	}
	for _, collapse := range []bool{false, true} {
		for _, control := range []cachecontrol.Control{{Refresh: true}, {Refresh: true, AllowStale: -1}} {
			for name, second := range map[string]reply{"no-store": ok("Cache-Control: no-store"), "refused": ok(fresh, "X-Keep: no"), "410": status(410)} {
				tr := never(true)
				tr.BeforeReuse, tr.Collapse = nil, collapse
				all = append(all, scenario{fmt.Sprint("Refresh, ", name, collapse, control.AllowStale), tr, []reply{ok(fresh, tag), second, ok()},
					[]step{{want: miss}, {control: &control, want: miss, body: "#2"}, {want: miss, body: "#3"}}})
			}
		}
	}
	runScenarios(t, all)
}
