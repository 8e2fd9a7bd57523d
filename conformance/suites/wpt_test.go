package suites

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// Responses of the templates of the web platform tests.
const (
	fresh = "Expires: {100000s} | Last-Modified: {0s}"
	stale = "Expires: {-5000s} | Last-Modified: {-100000s}"
	vary  = "Expires: {5000s} | Last-Modified: {-3000s} | Vary: "
)

// webPlatformTests are fetch/http-cache of the web platform tests, which test the cache of a browser.
func webPlatformTests() []suite {
	return []suite{
		{name: "web platform tests, freshness", rows: wptFreshness()},
		{name: "web platform tests, request directives", rows: wptRequests()},
		{name: "web platform tests, heuristic freshness", rows: wptHeuristics()},
		{name: "web platform tests, status codes", rows: wptStatus()},
		{name: "web platform tests, 304", rows: wptUpdates()},
		{name: "web platform tests, Vary", rows: wptVary()},
		{name: "web platform tests, invalidation", rows: wptInvalidation()},
		{name: "web platform tests, ranges", rows: wptRanges()},
		{name: "web platform tests, POST and PATCH", rows: wptMethods()},
		{name: "web platform tests, partitions", rows: wptPartitions(), left: []omission{
			{2, "they repeat the partitions with the resource in an iframe, which a Go program does not have"},
			{6, "they test the fields that fetch adds for its cache modes and for a caller's condition: that is the browser's work, not the cache's"},
		}},
	}
}

// reused returns a row in which the first response answers a second request.
func reused(name, reply string) row {
	return row{name: name, turns: []turn{{reply: reply, want: "miss"}, {want: "hit | = #1"}}}
}

// asked returns a row in which the origin is asked again, and its second response reaches the client.
func asked(name, reply string) row {
	return row{name: name, turns: []turn{{reply: reply, want: "miss"}, {want: "miss | 200 | = #2"}}}
}

func wptFreshness() []row {
	return []row{
		reused("a response with a future Expires is reused", "Expires: {720h}"),
		asked("a response with a past Expires is not reused", "Expires: {-720h}"),
		asked("a response with a present Expires is not reused", "Expires: {0s}"),
		asked("a response with an invalid Expires is not reused", "Expires: 0"),
		reused("a response with a positive max-age is reused", "Cache-Control: max-age=3600"),
		asked("a response with max-age=0 is not reused", "Cache-Control: max-age=0"),
		reused("max-age wins over a past Expires", "Cache-Control: max-age=3600 | Expires: {-10000s}"),
		reused("max-age wins over an invalid Expires", "Cache-Control: max-age=3600 | Expires: 0"),
		asked("max-age=0 wins over a future Expires", "Cache-Control: max-age=0 | Expires: {10000s}"),
		{name: "a private cache does not prefer s-maxage to max-age", turns: []turn{
			{reply: "Cache-Control: max-age=1, s-maxage=3600"}, {wait: 3 * time.Second, want: "miss | = #2"}}},
		asked("a response whose Age exceeds its lifetime is not reused", "Cache-Control: max-age=3600 | Age: 12000"),
		asked("a response with no-store is not stored", "Cache-Control: no-store"),
		asked("a response with no-store is not stored, even with max-age and Expires", "Cache-Control: max-age=10000, no-store | Expires: {10000s}"),
		{name: "a response with no-cache is stored and validated", turns: []turn{
			{reply: "Cache-Control: no-cache | ETag: abcd"}, {reply: "304 | ETag: abcd", want: "revalidated | 200 | = #1", sent: "If-None-Match: abcd"}}},
		{name: "a response with no-cache is validated, even with max-age and Expires", turns: []turn{
			{reply: "Cache-Control: max-age=10000, no-cache | Expires: {10000s} | ETag: abcd"},
			{reply: "304 | ETag: abcd", want: "revalidated | 200 | = #1", sent: "If-None-Match: abcd"}}},
	}
}

func wptRequests() []row {
	const s = time.Second
	return []row{
		{name: "max-age=0 in a request asks the origin", turns: []turn{{reply: fresh}, {wait: 3 * s, send: "Cache-Control: max-age=0", want: "miss | = #2"}}},
		{name: "max-age=1 in a request asks the origin after three seconds", turns: []turn{
			{reply: fresh}, {wait: 3 * s, send: "Cache-Control: max-age=1", want: "miss | = #2"}}},
		{name: "max-age in a request counts the Age of the stored response", turns: []turn{
			{reply: "Cache-Control: max-age=3600 | Age: 1800"}, {send: "Cache-Control: max-age=600", want: "miss | = #2"}}},
		{name: "max-stale in a request allows a stale response", turns: []turn{
			{reply: "Cache-Control: max-age=1"}, {wait: 3 * s, send: "Cache-Control: max-stale=1000", want: "stale | = #1", reply: "none"}}},
		{name: "max-stale in a request counts the Age of the stored response", turns: []turn{
			{reply: "Cache-Control: max-age=1500 | Age: 2000"}, {send: "Cache-Control: max-stale=1000", want: "stale | = #1", reply: "none"}},
			differs: "the suite wants the origin to be asked. The response is stale by 500 seconds and the client accepts 1,000, so it may be used (RFC 9111, section 5.2.1.2). The cache tests of the HTTP working group, ccreq-max-stale-age, want that, too"},
		{name: "min-fresh in a request asks the origin if the lifetime is shorter", turns: []turn{
			{reply: "Cache-Control: max-age=1500"}, {send: "Cache-Control: min-fresh=2000", want: "miss | = #2"}}},
		{name: "min-fresh in a request counts the Age of the stored response", turns: []turn{
			{reply: "Cache-Control: max-age=1500 | Age: 1000"}, {send: "Cache-Control: min-fresh=1000", want: "miss | = #2"}}},
		{name: "no-cache in a request asks the origin", turns: []turn{
			{reply: "Cache-Control: max-age=1500"}, {send: "Cache-Control: no-cache", want: "miss | = #2"}}},
		{name: "no-store in a request does not prevent the use of a stored response", turns: []turn{
			{reply: "Cache-Control: max-age=1500"}, {send: "Cache-Control: no-store", want: "hit | = #1"}},
			differs: "the suite wants the origin to be asked. The directive forbids to store the response to this request, and not to use a stored one (RFC 9111, section 5.2.1.5)"},
		{name: "only-if-cached gets 504 if nothing is stored", turns: []turn{{send: "Cache-Control: only-if-cached", want: "504", reply: "none"}}},
	}
}

func wptHeuristics() []row {
	rows := []row{
		{name: "an unknown status with public gets heuristic freshness", turns: []turn{
			{reply: "299 | Last-Modified: {-300s} | Cache-Control: public"}, {want: "hit | 299"}}},
		{name: "an unknown status without public gets none", turns: []turn{
			{reply: "299 | Last-Modified: {-300s}"}, {want: "miss | 200 | = #2"}}},
	}
	for _, code := range []int{200, 203, 204, 404, 405, 410, 414, 501} {
		rows = append(rows, row{name: fmt.Sprintf("%d gets heuristic freshness", code), turns: []turn{
			{reply: fmt.Sprintf("%d | Last-Modified: {-300s}", code)}, {want: fmt.Sprintf("hit | %d", code)}}})
	}
	for _, code := range []int{201, 202, 403, 502, 503, 504} {
		rows = append(rows, row{name: fmt.Sprintf("%d gets no heuristic freshness", code), turns: []turn{
			{reply: fmt.Sprintf("%d | Last-Modified: {-300s}", code)}, {want: "miss | 200 | = #2"}}})
	}
	for i := range rows {
		rows[i].with = withErrors
	}
	return rows
}

// withErrors gives heuristic freshness to 404 and similar statuses, too, as browsers do.
func withErrors(tr *cachecontrol.Transport) {
	tr.Heuristic = heuristics.WithErrors(heuristics.LastModified)
}

func wptStatus() []row {
	var rows []row
	for _, code := range []int{200, 203, 204, 299, 400, 404, 410, 499, 500, 502, 503, 504, 599} {
		rows = append(rows,
			row{name: fmt.Sprintf("a stale %d is not reused", code), turns: []turn{
				{reply: fmt.Sprintf("%d | %s", code, stale)}, {want: "miss | 200 | = #2"}}},
			row{name: fmt.Sprintf("a fresh %d is reused", code), turns: []turn{
				{reply: fmt.Sprintf("%d | %s", code, fresh)}, {want: fmt.Sprintf("hit | %d", code)}}})
	}
	return rows
}

func wptUpdates() []row {
	var rows []row
	for _, v := range []struct{ field, condition string }{
		{"Last-Modified: {-3000s}", "If-Modified-Since: {-3000s}"},
		{"ETag: ABC", "If-None-Match: ABC"},
	} {
		name := v.field[:4]
		rows = append(rows,
			row{name: "a 304 with " + name + " updates the response that is returned", turns: []turn{
				{reply: "Expires: {-5000s} | Test-Header: A | " + v.field},
				{reply: "304 | Expires: {-3000s} | Test-Header: B | " + v.field, want: "revalidated | 200 | Test-Header: B | = #1", sent: v.condition}}},
			row{name: "a 304 with " + name + " updates the response that is stored", turns: []turn{
				{reply: "Expires: {-5000s} | Test-Header: A | " + v.field},
				{reply: "304 | Expires: {3000s} | Test-Header: B | " + v.field, want: "revalidated | 200 | Test-Header: B | = #1", sent: v.condition},
				{want: "hit | Test-Header: B | = #1"}}})
	}
	return rows
}

func wptVary() []row {
	pair := func(name, first, field, second, want string) row {
		return row{name: name, turns: []turn{{send: first, reply: vary + field}, {send: second, want: want}}}
	}
	const hit, miss = "hit | = #1", "miss | = #2"
	return []row{
		pair("a variant is reused if the request has the same value", "Foo: 1", "Foo", "Foo: 1", hit),
		pair("a variant is not reused if the value differs", "Foo: 1", "Foo", "Foo: 2", miss),
		pair("a variant is not reused if the request does not have the field", "Foo: 1", "Foo", "", miss),
		{name: "a new variant does not replace another one", turns: []turn{
			{send: "Foo: 1", reply: vary + "Foo"}, {send: "Foo: 2", reply: vary + "Foo", want: "miss | = #2"}, {send: "Foo: 1", want: "hit | = #1"}}},
		pair("fields that Vary does not name do not matter", "Foo: 1 | Other: 2", "Foo", "Foo: 1 | Other: 3", hit),
		pair("a variant by two fields is reused if both are equal", "Foo: 1 | Bar: abc", "Foo, Bar", "Foo: 1 | Bar: abc", hit),
		pair("a variant by two fields is not reused if the first differs", "Foo: 1 | Bar: abc", "Foo, Bar", "Foo: 2 | Bar: abc", miss),
		pair("a variant by two fields is not reused if the request has neither", "Foo: 1", "Foo, Bar", "", miss),
		pair("a variant by three fields is reused if all are equal", "Foo: 1 | Bar: abc | Baz: 789", "Foo, Bar, Baz", "Foo: 1 | Bar: abc | Baz: 789", hit),
		pair("a variant by three fields is not reused if the first differs", "Foo: 1 | Bar: abc | Baz: 789", "Foo, Bar, Baz", "Foo: 2 | Bar: abc | Baz: 789", miss),
		pair("a variant by three fields is not reused if the second differs", "Foo: 1 | Bar: abc4 | Baz: 789", "Foo, Bar, Baz", "Foo: 1 | Bar: abc | Baz: 789", miss),
		pair("a field that both requests lack is equal", "Foo: 1 | Baz: 789", "Foo, Bar, Baz", "Foo: 1 | Baz: 789", hit),
		pair("Vary: * is never reused", "Foo: 1 | Baz: 789", "*", "*: 1 | Baz: 789", miss),
	}
}

func wptInvalidation() []row {
	var rows []row
	const locations = "Location: /location | Content-Location: /content-location"
	for _, target := range []struct{ name, path, reply string }{
		{"its URL", "/", ""}, {"the URL in Location", "/location", locations}, {"the URL in Content-Location", "/content-location", locations},
	} {
		for _, method := range []string{"POST", "PUT", "DELETE", "FOO"} {
			rows = append(rows, row{name: method + " invalidates " + target.name, turns: []turn{
				{send: target.path, reply: fresh}, {send: method + " / | = abc", reply: target.reply}, {send: target.path, want: "miss | = #3"}}})
		}
		rows = append(rows, row{name: "a POST that fails does not invalidate " + target.name, turns: []turn{
			{send: target.path, reply: fresh}, {send: "POST / | = abc", reply: "500 | " + target.reply}, {send: target.path, want: "hit | = #1"}}})
	}
	return rows
}

func wptRanges() []row {
	whole := turn{reply: "Cache-Control: max-age=3600 | = 0123456789A"}
	// It has five bytes, although its Content-Range declares six.
	part := turn{send: "Range: bytes=-5", reply: "206 | Cache-Control: max-age=3600 | Content-Range: bytes 4-9/10 | = 01234", want: "miss | 206", sent: "Range: bytes=-5"}
	second := func(name string, first turn, wanted, body string) row {
		return row{name: name, turns: []turn{first, {send: "Range: bytes=" + wanted, want: "hit | 206 | = " + body}}}
	}
	return []row{
		second("a part is reused", part, "-5", "01234"),
		second("a range is served from a whole response", whole, "0-1", "01"),
		second("a range without an end is served from a whole response", whole, "1-", "123456789A"),
		second("a range from the end is served from a whole response", whole, "-1", "A"),
		second("a smaller range is served from a part", part, "6-8", "234"),
		second("a range without an end is served from a part", part, "6-", "234"),
		second("a range from the end is served from a part", part, "-1", "4"),
		{name: "the rest is requested, and without a validator a 206 is not combined with the part", turns: []turn{
			{send: "Range: bytes=0-4", reply: "206 | Cache-Control: max-age=3600 | Content-Range: bytes 0-4/10 | = 01234"},
			{reply: "206 | Content-Range: bytes 5-9/10 | = 56789 || = 9876543210", want: "miss | 200 | = 9876543210", sent: "Range:"}}},
		{name: "a whole response is completed from a part with a strong entity tag", turns: []turn{
			{send: "Range: bytes=0-4", reply: "206 | ETag: \"a\" | Cache-Control: max-age=3600 | Content-Range: bytes 0-4/10 | = 01234"},
			{reply: "206 | ETag: \"a\" | Content-Range: bytes 5-9/10 | = 56789", want: "200 | = 0123456789", sent: "Range: bytes=5-"}}},
	}
}

func wptMethods() []row {
	var rows []row
	for _, method := range []string{"PATCH", "POST"} {
		rows = append(rows, row{name: "the response to " + method + " with its URL in Content-Location answers a GET", turns: []turn{
			{send: method + " / | = abc", reply: "Cache-Control: private, max-age=1000 | Content-Location: / | = abc"}, {want: "hit | = abc"}}})
	}
	return rows
}

func wptPartitions() []row {
	partition := func(tr *cachecontrol.Transport) {
		tr.Partition = func(req *http.Request) string { return req.Header.Get("Top-Level-Site") }
	}
	return []row{
		{name: "two requests of one site share a response", with: partition, turns: []turn{
			{send: "Top-Level-Site: a", reply: "Expires: {720h}"}, {send: "Top-Level-Site: a", want: "hit | = #1"}}},
		{name: "requests of two sites share none", with: partition, turns: []turn{
			{send: "Top-Level-Site: a", reply: "Expires: {720h}"}, {send: "Top-Level-Site: b", want: "miss | = #2"}}},
	}
}
