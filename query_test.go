package cachecontrol_test

import (
	"slices"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/keys"
)

// rfc10008 lists what RFC 10008 requires or permits a cache to do with QUERY, with the scenarios of TestQuery that show it.
// What it requires of origins is in package origin, and what it requires of readers of Accept-Query in package lint. Its
// other requirements are about the choice of URLs, which is the application's (section 4).
var rfc10008 = []struct{ section, text, shownBy string }{
	{"2", "QUERY requests are safe with regard to the target resource", "safe"},
	{"2", "QUERY requests are idempotent; they can be retried or repeated when needed", "idempotent"},
	{"2.2", "the equivalent resource takes both message content and metadata into account", "metadata"},
	{"2.3", "Content-Location identifies a resource corresponding to the results; a client can GET it", "Content-Location"},
	{"2.4", "Location identifies the equivalent resource; a client can GET it to repeat the query", "Location"},
	{"2.5", "301 and 308 redirect the QUERY, 302 and 307 temporarily, 303 to a GET", "redirects"},
	{"2.6", "a conditional QUERY requests the selected representation only under the circumstances described", "conditions"},
	{"2.6", "the same, when the origin answers", "conditions that the origin evaluates"},
	{"2.6", "the selected representation is the result, after content negotiation", "content negotiation"},
	{"2.7", "a cache MAY use the response to satisfy subsequent QUERY requests as per RFC 9111, section 4", "cacheable"},
	{"2.7", "RFC 9111, section 4.3: validation", "validation"},
	{"2.7", "RFC 9111, section 4.4: invalidation", "invalidation"},
	{"2.7", "the cache key MUST incorporate the request content", "content"},
	{"2.7", "the cache key MUST incorporate related metadata", "metadata"},
	{"2.7", "caches MAY remove semantically insignificant differences, for the key alone", "normalization"},
	{"2.7", "clients can indicate with no-transform that no such transformation happens", "no-transform"},
	{"2.7", "no false positives: what is not certainly the same is not", "what is not normalized"},
	{"2.8", "range requests are identical to those for GET", "ranges"},
}

func queryScenarios() []scenario {
	const fresh, form, asJSON = "Cache-Control: max-age=60", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	normalizing := func() *cachecontrol.Transport {
		return &cachecontrol.Transport{NormalizeContent: keys.NormalizeContent}
	}
	q := func(content string, want cachecontrol.Outcome, body string, with ...string) step {
		return step{do: "QUERY /", content: content, want: want, body: body, with: with}
	}
	return []scenario{
		{"cacheable", nil, []reply{ok(fresh)}, []step{
			q("a", miss, "#1", form), q("a", hit, "#1", form), {wait: 61 * time.Second, do: "QUERY /", content: "a", with: []string{form}, want: miss, body: "#2"},
			{want: miss, body: "#3"}, {want: hit, body: "#3"}, {do: "HEAD /", want: hit}, q("a", hit, "#2", form),
		}},
		{"not stored if forbidden", nil, []reply{ok("Cache-Control: no-store, max-age=60")}, []step{q("a", miss, "#1"), q("a", miss, "#2")}},
		{"in a shared cache", &cachecontrol.Transport{Shared: true}, []reply{ok("Cache-Control: private, max-age=60"), ok(fresh)}, []step{
			q("a", miss, "#1"), q("a", miss, "#2"), q("a", hit, "#2"), q("b", miss, "#3", "Authorization: x"), q("b", miss, "#4", "Authorization: x"),
		}},
		{"safe", nil, []reply{ok(fresh), ok(fresh, "Location: /", "Content-Location: /")}, []step{
			{want: miss}, q("a", miss, "#2"), {want: hit, body: "#1"}, q("b", miss, "#3"), q("a", hit, "#2"),
		}},
		{"idempotent", nil, []reply{ok(`ETag: "1"`), {status: 304, fields: []string{`ETag: "another"`}}, ok(`ETag: "2"`)}, []step{
			q("a", miss, "#1"), q("a", miss, "#3"), // the 304 is about another response, so the request is sent again
		}},
		{"content", nil, []reply{ok(fresh)}, []step{
			q("a", miss, "#1"), q("b", miss, "#2"), q("a ", miss, "#3"), q("A", miss, "#4"), {do: "QUERY /", want: miss, body: "#5"}, {do: "QUERY /?a", content: "a", want: miss, body: "#6"},
			q("a", hit, "#1"), q("b", hit, "#2"), q("a ", hit, "#3"), q("A", hit, "#4"), {do: "QUERY /", want: hit, body: "#5"},
		}},
		{"metadata", nil, []reply{ok(fresh)}, []step{
			q("a", miss, "#1", form), q("a", miss, "#2", asJSON), q("a", miss, "#3"), q("a", miss, "#4", form, "Content-Encoding: gzip"),
			q("a", miss, "#5", form, "Content-Language: de"), q("a", miss, "#6", form, "Content-Language: en"), q("a", miss, "#7", form, "Content-Location: /q"),
			q("a", hit, "#1", form), q("a", hit, "#2", asJSON), q("a", hit, "#3"), q("a", hit, "#4", form, "Content-Encoding: gzip"), q("a", hit, "#5", form, "Content-Language: de"),
		}},
		{"validation", nil, []reply{ok(`ETag: "1"`, "Vary: Foo"), {status: 304, fields: []string{fresh, `ETag: "1"`, "X: 1"}}, ok(`ETag: "2"`), ok()}, []step{
			q("a", miss, "#1"),
			{do: "QUERY /", content: "a", want: revalidated, body: "#1", sent: []string{`If-None-Match: "1"`}, head: []string{"X: 1"}},
			q("a", hit, "#1"),
			{wait: time.Hour, do: "QUERY /", content: "a", want: miss, body: "#3", sent: []string{`If-None-Match: "1"`}},
			{do: "QUERY /", content: "b", want: miss, body: "#4", sent: []string{"If-None-Match:"}},
		}},
		{"conditions", nil, []reply{ok(fresh, `ETag: "1"`, "Last-Modified: Fri, 31 Dec 1999 22:00:00 GMT")}, []step{
			q("a", miss, "#1"),
			{do: "QUERY /", content: "a", with: []string{`If-None-Match: "0", "1"`}, want: hit, status: 304},
			{do: "QUERY /", content: "a", with: []string{`If-None-Match: "0"`}, want: hit, status: 200, body: "#1"},
			{do: "QUERY /", content: "a", with: []string{"If-Modified-Since: Fri, 31 Dec 1999 22:00:00 GMT"}, want: hit, status: 304},
			{do: "QUERY /", content: "a", with: []string{"If-Modified-Since: Fri, 31 Dec 1999 21:59:59 GMT"}, want: hit, status: 200, body: "#1"},
			{do: "QUERY /", content: "a", with: []string{`If-Match: "1"`}, want: hit, status: 200, body: "#1"},
			{do: "QUERY /", content: "b", with: []string{`If-None-Match: "1"`}, want: miss, status: 200, body: "#2", sent: []string{`If-None-Match: "1"`}},
			{do: "QUERY /", content: "b", with: []string{`If-None-Match: "1"`}, want: hit, status: 304},
		}},
		{"conditions that the origin evaluates", nil, []reply{ok(`ETag: "1"`), {status: 304, fields: []string{`ETag: "1"`, fresh}}, status(412)}, []step{
			q("a", miss, "#1"),
			{do: "QUERY /", content: "a", with: []string{`If-None-Match: "1"`}, want: miss, status: 304, sent: []string{`If-None-Match: "1"`}},
			q("a", hit, "#1"), // the 304 to the caller has confirmed it
			{do: "QUERY /", content: "a", with: []string{`If-Match: "2"`}, want: bypass, status: 412, sent: []string{`If-Match: "2"`}},
			q("a", hit, "#1"),
		}},
		{"content negotiation", nil, []reply{ok(fresh, "Vary: Accept", `ETag: "1"`), ok(fresh, "Vary: Accept", `ETag: "2"`), {status: 304, fields: []string{fresh, "Vary: Accept", `ETag: "1"`}}}, []step{
			q("a", miss, "#1", "Accept: text/csv"), q("a", miss, "#2", "Accept: text/html"), q("a", hit, "#1", "Accept: text/csv"), q("a", hit, "#2", "Accept: text/html"),
			{do: "QUERY /", content: "a", with: []string{"Accept: text/*"}, want: revalidated, body: "#1", sent: []string{`If-None-Match: "1", "2"`}},
			q("a", hit, "#1", "Accept: text/*"),
		}},
		{"invalidation", nil, []reply{ok(fresh)}, []step{
			q("a", miss, "#1"), q("b", miss, "#2"), {do: "POST /", want: bypass}, q("a", miss, "#4"), q("b", miss, "#5"),
			{do: "POST /other", want: bypass}, q("a", hit, "#4"),
		}},
		{"Content-Location", nil, []reply{ok(fresh, "Content-Location: /results/17"), ok(fresh, "Content-Location: /"), ok(fresh)}, []step{
			q("a", miss, "#1"), q("b", miss, "#2"),
			{do: "/results/17", want: miss, body: "#3"}, {want: miss, body: "#4"}, // the origin says what GET returns there
			q("a", hit, "#1"), q("b", hit, "#2"), {do: "/results/17", want: hit, body: "#3"},
		}},
		{"Location", nil, []reply{ok(fresh, "Location: /queries/42"), ok(fresh)}, []step{
			q("a", miss, "#1"), {do: "/queries/42", want: miss, body: "#2"}, q("a", hit, "#1"), {do: "/queries/42", want: hit, body: "#2"},
			{do: "QUERY /", content: "a", want: hit, head: []string{"Location: /queries/42"}},
		}},
		{"redirects", nil, []reply{status(308, "Location: /new"), status(307, "Location: /new"), status(303, "Location: /queries/42", fresh)}, []step{
			q("a", miss, "#1"), q("a", hit, "#1"), q("b", miss, "#2"), q("b", miss, "#3"), {do: "QUERY /", content: "b", want: hit, status: 303, head: []string{"Location: /queries/42"}},
		}},
		{"normalization", normalizing(), []reply{ok(fresh)}, []step{
			q(`{"a": 1, "b": [2]}`, miss, "#1", asJSON), q(`{"b":[2],"a":1}`, hit, "#1", asJSON), q(`{"b":[2],"a":2}`, miss, "#2", asJSON),
			q("a=1&b=2", miss, "#3", form), q("b=2&a=1", hit, "#3", form), q("b=2&a=1", miss, "#4", "Content-Type: text/plain"), q("a=1&b=2", miss, "#5", "Content-Type: text/plain"),
		}},
		{"no-transform", normalizing(), []reply{ok(fresh)}, []step{
			q(`{"a":1}`, miss, "#1", asJSON), q(`{"a": 1}`, hit, "#1", asJSON), q(`{"a": 1}`, miss, "#2", asJSON, "Cache-Control: no-transform"),
			q(`{"a":1}`, miss, "#3", asJSON, "Cache-Control: no-transform"), q(`{"a": 1}`, hit, "#2", asJSON, "Cache-Control: no-transform"), q(`{"a":1} `, hit, "#1", asJSON),
		}},
		{"what is not normalized", normalizing(), []reply{ok(fresh)}, []step{
			q(`{"a":1}`, miss, "#1", asJSON), q(`{"a":1.0}`, miss, "#2", asJSON), q(`{"a":1,"a":1}`, miss, "#3", asJSON), q(`{"a":1`, miss, "#4", asJSON), q(`{"a":1}`, miss, "#5"),
			q(`{"a":1}`, miss, "#6", asJSON, asJSON), q(`{ "a":1}`, miss, "#7", asJSON, "Content-Encoding: x"), q(`{"a":1}`, miss, "#8", asJSON, "Content-Encoding: x"),
			q(`[1,2]`, miss, "#9", asJSON), q(`[2,1]`, miss, "#10", asJSON),
		}},
		{"ranges", nil, []reply{{body: "0123456789", fields: []string{fresh, `ETag: "1"`}}, {status: 206, body: "34", fields: []string{"Content-Range: bytes 3-4/10", fresh, `ETag: "1"`}}}, []step{
			q("a", miss, "0123456789"),
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=2-3"}, want: hit, status: 206, body: "23", head: []string{"Content-Range: bytes 2-3/10"}},
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=-1, ,"}, want: hit, status: 206, body: "9"},
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=10-"}, want: hit, status: 416, head: []string{"Content-Range: bytes */10"}},
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=2-3", `If-Range: "1"`}, want: hit, status: 206, body: "23"},
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=2-3", `If-None-Match: "1"`}, want: hit, status: 304},
			{do: "QUERY /", content: "a", with: []string{"Range: bytes=2-3", `If-Range: "2"`}, want: bypass, status: 206, body: "34", sent: []string{"Range: bytes=2-3"}},
			{do: "QUERY /", content: "a", with: []string{"Range: lines=2-3"}, want: bypass, status: 206, body: "34"},
			{do: "QUERY /", content: "b", with: []string{"Range: bytes=3-4"}, want: bypass, status: 206, body: "34"},
			{do: "QUERY /", content: "b", with: []string{"Range: bytes=3-4"}, want: bypass, status: 206, body: "34"},
			q("a", hit, "0123456789"),
		}},
		{"stale", &cachecontrol.Transport{StaleIfError: time.Hour}, []reply{ok(swr), ok(swr), status(503), down}, []step{
			q("a", miss, "#1"), {wait: 11 * time.Second, do: "QUERY /", content: "a", want: stale, body: "#1"},
			{wait: time.Second, do: "QUERY /", content: "a", want: hit, body: "#2"},
			{wait: time.Minute, do: "QUERY /", content: "a", want: stale, body: "#2"}, {wait: time.Minute, do: "QUERY /", content: "a", want: stale, body: "#2"},
		}},
		{"refreshed ahead", &cachecontrol.Transport{RefreshAhead: 20 * time.Second}, []reply{ok(fresh)}, []step{
			q("a", miss, "#1"), {wait: 50 * time.Second, do: "QUERY /", content: "a", want: hit, ahead: true, body: "#1"}, {wait: time.Second, do: "QUERY /", content: "a", want: hit, body: "#2"},
		}},
		{"only-if-cached", nil, []reply{ok(fresh)}, []step{
			q("a", miss, "#1"), q("a", hit, "#1", "Cache-Control: only-if-cached"), {do: "QUERY /", content: "b", with: []string{"Cache-Control: only-if-cached"}, want: miss, status: 504},
		}},
		{"a list of other methods", &cachecontrol.Transport{CacheableMethods: []string{"GET"}}, []reply{ok(fresh)}, []step{q("a", bypass, "#1"), q("a", bypass, "#2")}},
		{"in lower case", nil, []reply{ok(fresh)}, []step{{do: "query /", content: "a", want: bypass}, {do: "query /", content: "a", want: bypass}}},
	}
}

func TestQuery(t *testing.T) {
	all := queryScenarios()
	for _, r := range rfc10008 {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name == r.shownBy }) {
			t.Errorf("section %s, %q: no scenario %q", r.section, r.text, r.shownBy)
		}
	}
	runScenarios(t, all)
}
