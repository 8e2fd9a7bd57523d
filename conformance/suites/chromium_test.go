package suites

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// Reasons that several rows share.
const (
	allFields    = "the suite keeps the stored field, or does not add it. All fields of a 304 update the stored response, except those that its body depends on (RFC 9111, section 3.2)"
	leastResumed = "the suite completes it. This cache completes bodies of 64 KiB or more: a shorter one is requested as a whole, which takes one request, too"
	grammar      = "the suite takes another value. The field does not match the grammar, and a response whose freshness is not clear is stale (RFC 9111, sections 4.2.1 and 5.2)"
)

// chromium are the tests of Chromium's network stack that concern caches.
func chromium() []suite {
	return []suite{
		{name: "Chromium, http_response_headers: validation", rows: chromiumValidation()},
		{name: "Chromium, http_response_headers: 304", rows: chromiumUpdates()},
		{name: "Chromium, http_response_headers: fields that are stored", rows: chromiumFields(), left: []omission{
			{5, "they test fields that Chromium does not send to the processes of web pages"},
		}},
		{name: "Chromium, http_response_headers: age and freshness", rows: chromiumFreshness()},
		{name: "Chromium, http_response_headers: ranges and validators", rows: chromiumValidators(), left: []omission{
			{207, "they test how a status line is read, the header as a data structure, Content-Type, Content-Length, redirects and connections: here that is net/http"},
		}},
		{name: "Chromium, http_vary_data", rows: chromiumVary(), left: []omission{
			{5, "they test the life of a C++ object, and that Vary: * is no error"},
		}},
		{name: "Chromium, http_cache: requests", rows: chromiumRequests()},
		{name: "Chromium, http_cache: methods", rows: chromiumMethods()},
		{name: "Chromium, http_cache: ranges", rows: chromiumRanges(), left: []omission{
			{226, "they test the disk cache's backend and its locks, concurrent transactions (here: Collapse, with tests of its own), load flags and prefetching of a browser, logs, histograms, timing, TLS, splitting by site, and priorities"},
		}},
	}
}

func chromiumValidation() []row {
	var rows []row
	add := func(name, reply, want, differs string) {
		reply2 := ""
		if want == "revalidated" {
			reply2 = "304"
		}
		rows = append(rows, row{name: name, differs: differs, turns: []turn{{reply: "Date: {-1s} | " + reply}, {wait: 308 * s, reply: reply2, want: want}}})
	}
	add("no freshness", "200", "miss", "")
	add("max-age", "Cache-Control: max-age=10000", "hit", "")
	add("a future Expires", "Expires: {20m}", "hit", "")
	add("a past Expires", "Expires: {-40m}", "miss", "")
	add("max-age and a past Expires", "Expires: {-40m} | Cache-Control: max-age=10000", "hit", "")
	add("Last-Modified long ago", "Last-Modified: {-17h}", "hit", "")
	add("Last-Modified long ago, with another day of the week", "Last-Modified: Mon, 31 Dec 1999 08:00:00 GMT", "hit", "")
	add("203 with Last-Modified long ago", "203 | Last-Modified: {-17h}", "hit", "")
	add("Last-Modified and Expires: 0", "Last-Modified: {-17h} | Expires: 0", "revalidated", "")
	add("Last-Modified and Expires: 0 with spaces", "Last-Modified: {-17h} | Expires:  0 ", "revalidated", "")
	add("Last-Modified and an Expires that is not valid", "Last-Modified: {-17h} | Expires: banana", "revalidated",
		"the suite takes a lifetime from Last-Modified. An Expires that is not valid is in the past (RFC 9111, section 5.3)")
	add("Last-Modified a second ago", "Last-Modified: {-2s}", "revalidated", "")
	add("203 with Last-Modified a second ago", "203 | Last-Modified: {-2s}", "revalidated", "")
	add("301", "301", "hit", "")
	add("308", "308", "hit", "")
	add("300 with no-cache", `300 | ETag: "a" | Cache-Control: no-cache`, "revalidated", "")
	add("410", "410", "miss", "the suite takes 410 for fresh forever. The status permits heuristic freshness, which the program chooses (RFC 9111, section 4.2.2)")
	add("302", "302", "miss", "")
	add("302 with max-age", "302 | Cache-Control: max-age=10000", "hit", "")
	add("max-age and an Expires before Date", "Expires: {-20m} | Cache-Control: max-age=10000", "hit", "")
	add("no-store and a future Expires", `Expires: {24h} | Cache-Control: no-store,private,no-cache="foo"`, "miss", "")
	add("Pragma and Last-Modified long ago", "Last-Modified: {-17h} | Pragma: no-cache", "hit", "the suite validates. Pragma is defined for requests only (RFC 9111, section 5.4)")
	add("max-age that is over", "Cache-Control: max-age=300", "miss", "")
	add("stale-while-revalidate", "Cache-Control: max-age=300, stale-while-revalidate=3600", "stale", "")
	add("stale-while-revalidate that is over", "Cache-Control: max-age=300, stale-while-revalidate=5", "miss", "")
	add("max-age=0 and stale-while-revalidate", "Cache-Control: max-age=0, stale-while-revalidate=360", "stale", "")
	add("no-cache and stale-while-revalidate", `ETag: "a" | Cache-Control: no-cache, stale-while-revalidate=360`, "revalidated", "")
	add("max-age and stale-while-revalidate that does not count yet", "Cache-Control: max-age=3600, stale-while-revalidate=3600", "hit", "")
	add("must-revalidate wins over stale-while-revalidate", "Cache-Control: must-revalidate, max-age=300, stale-while-revalidate=3600", "miss", "")
	add("must-revalidate after stale-while-revalidate", "Cache-Control: stale-while-revalidate=30, must-revalidate", "miss", "")
	rows = append(rows,
		row{name: "206 with Last-Modified long ago", turns: []turn{
			{send: "Range: bytes=0-0", reply: "206 | Content-Range: bytes 0-0/9 | Last-Modified: {-17h} | = x"}, {wait: 308 * s, send: "Range: bytes=0-0", want: "hit | 206"}}},
		row{name: "206 with Last-Modified a second ago", turns: []turn{
			{send: "Range: bytes=0-0", reply: "206 | Content-Range: bytes 0-0/9 | Last-Modified: {-1s} | = x"},
			{wait: 308 * s, send: "Range: bytes=0-0", reply: "206 | Content-Range: bytes 0-0/9 | Last-Modified: {-1s} | = y", want: "miss | 206 | = y"}}})
	return rows
}

func chromiumUpdates() []row {
	var rows []row
	add := func(name, stored, received, want, differs string) {
		rows = append(rows, row{name: name, differs: differs, turns: []turn{
			{reply: `ETag: "a" | ` + stored}, {reply: "304 | " + received, want: "revalidated | 200 | " + want}, {send: "Cache-Control: max-stale, only-if-cached", reply: "none", want: want}}})
	}
	add("a new field", "X: 1", "Connection: keep-alive | Cache-Control: max-age=10000", "Cache-Control: max-age=10000 | Connection:", "")
	add("a field that both have", "Foo: 1 | Cache-Control: private", "Connection: keep-alive | Cache-Control: max-age=10000", "Cache-Control: max-age=10000 | Foo: 1", "")
	add("a name in another case", "Foo: 1 | Cache-Control: private", "Connection: keep-alive | Cache-CONTROL: max-age=10000", "Cache-Control: max-age=10000 | Foo: 1", "")
	add("white space around the value", "Content-Length: 2", "Connection: keep-alive | Cache-Control:      max-age=10001   ", "Cache-Control: max-age=10001 | Content-Length: 2", "")
	add("X-Frame-Options", "X-Frame-Options: DENY", "X-Frame-Options: ALLOW", "X-Frame-Options: ALLOW", allFields)
	add("X-WebKit-CSP", "X-WebKit-CSP: default-src 'none'", "X-WebKit-CSP: default-src *", "X-WebKit-CSP: default-src *", allFields)
	add("X-XSS-Protection", "X-XSS-Protection: 1", "X-XSS-Protection: 0", "X-XSS-Protection: 0", allFields)
	add("X-Content-Type-Options", "X: 1", "X-Content-Type-Options: nosniff", "X-Content-Type-Options: nosniff", allFields)
	add("the coding and the length of the body", "Content-Encoding: identity | Content-Length: 2", "Content-Encoding: gzip | Content-Length: 200", "Content-Encoding: identity | Content-Length: 2", "")
	add("Content-Security-Policy", "Content-Security-Policy: default-src 'none'", "Content-Security-Policy: default-src 'self'", "Content-Security-Policy: default-src 'self'", "")
	add("Content-Type", "Content-Type: text/html", "Content-Type: text/xml", "Content-Type: text/xml", allFields)
	add("Content-Location", "Content-Location: /example_page.html", "Content-Location: /not_example_page.html", "Content-Location: /not_example_page.html", allFields)
	return rows
}

func chromiumFields() []row {
	var rows []row
	add := func(name, reply, want, differs string) {
		rows = append(rows, row{name: name, differs: differs, turns: []turn{{reply: reply}, {want: want}}})
	}
	const whole = "the suite ignores the value, for the fields that it stores. no-cache whose value is no list of names applies to the whole response (RFC 9111, section 5.2.2.4), which can be used only after a validation"
	validated := func(name, value string) {
		rows = append(rows, row{name: name, differs: whole, turns: []turn{
			{reply: `ETag: "a" | Foo: 2 | Cache-Control: max-age=60, private, no-cache=` + value}, {reply: "304", want: "revalidated | Foo: 2"}}})
	}
	add("two lines of Cache-Control", "Cache-control: private | Cache-Control: max-age=60", "hit | Cache-Control: private, max-age=60", "")
	add("fields of the connection", "Connection: keep-alive | Server: blah | Cache-Control: max-age=60", "hit | Connection: | Server: blah", "")
	add("a field that no-cache names", `Foo: 1 | Foo: 2 | Connection: keep-alive | Cache-Control: max-age=60, private, no-cache="foo"`, "hit | Foo: | Connection:", "")
	add("two fields that no-cache names", `Foo: 2 | Bar: | Cache-Control: max-age=60, private,no-cache="foo, bar"`, "hit | Foo: | Bar:", "")
	add("white space in the names of no-cache", "Foo: 2 | Cache-Control: max-age=60, private, no-cache=\" foo\t, bar\"", "hit | Foo:", "")
	add("a name of no-cache without quotes", "Foo: 2 | Cache-Control: max-age=60, private,no-cache=foo", "hit | Foo:",
		"the suite stores the field. Both forms of a value are accepted (RFC 9111, section 5.2)")
	validated("no-cache with an empty value", "")
	validated("no-cache with an empty quoted value", `""`)
	validated("no-cache with single quotes", "'foo bar'")
	validated("no-cache with quotes that do not end", `"foo`)
	add("a field on two lines", "Foo: 1 | Bar: 2 | Foo: 3 | Cache-Control: max-age=60", "hit | Foo: 1, 3 | Bar: 2", "")
	add("a field with members on two lines", "Foo: 1, 3 | Bar: 2 | Foo: 4 | Cache-Control: max-age=60", "hit | Foo: 1, 3, 4 | Bar: 2", "")
	add("cookies", "Set-Cookie: foo=bar; httponly | Set-Cookie: bar=foo | Bar: 1 | Set-Cookie2: bar2=foo2 | Cache-Control: max-age=60", "hit | Set-Cookie: | Set-Cookie2: | Bar: 1", "")
	return rows
}

func chromiumFreshness() []row {
	cc := func(value string, seconds time.Duration, differs string) row {
		r := lifetime("Cache-Control: "+value, "Cache-Control: "+value, seconds)
		r.differs = differs
		return r
	}
	rows := []row{
		lifetime("Age: 10", "Age: 10 | Cache-Control: max-age=20", 10),
		lifetime("Age: 0", "Age: 0 | Cache-Control: max-age=20", 20),
		lifetime("Age: donkey", "Age: donkey | Cache-Control: max-age=20", 20),
		lifetime("Age: -10", "Age: -10 | Cache-Control: max-age=20", 20),
		lifetime("Age: +10", "Age: +10 | Cache-Control: max-age=20", 20),
		lifetime("Age with 42 digits", "Age: 999999999999999999999999999999999999999999 | Cache-Control: max-age=20", 0),
		cc("nocache", 0, ""), cc("max-age=,private", 0, ""), cc("max-age= ,private", 0, ""), cc("max-age=1 2", 0, ""), cc("max-age=-7", 0, ""), cc("max-age = 7", 0, ""),
		cc("max-age= 7  ", 0, grammar), cc("max-age=10, max-age=20", 0, "the suite takes the first value. Two values that differ may also count as stale (RFC 9111, section 4.2.1)"), cc("max-age10, max-age=now, max-age=20, max-age=30", 0, grammar),
		cc("Max-aGe=15", 15, ""), cc("max-age= 1 ", 0, grammar), cc("max-age=-1", 0, ""), cc("max-age=--1", 0, ""), cc("max-age=2s", 0, ""), cc("max-age=3 days", 0, ""),
		cc("max-age='4'", 0, ""), cc(`max-age="5"`, 5, "the suite does not accept it. Both forms of a value are accepted (RFC 9111, section 5.2)"),
		cc("max-age=0x6", 0, ""), cc("max-age=7F", 0, ""), cc("max-age=010", 10, ""),
		cc("max-age10, max-age=8a0, max-age= 500, max-age=900", 0, grammar),
		cc("max-age=300, stale-while-revalidate=", 300, ""), cc("max-age=300, stale-while-revalidate=true", 300, ""),
		cc("max-age=400, must-revalidate, stale-while-revalidate=200", 400, ""), cc("no-store", 0, ""), cc("no-cache", 0, ""),
		cc("max-age=500, stale-while-revalidate=600, no-store", 0, ""),
	}
	const limit = "the suite's largest value is 9,223,372,036,854. A cache may reduce larger values to 2,147,483,648, which is 68 years (RFC 9111, section 1.2.2)"
	for _, n := range []string{"9223372036853", "9223372036854", "9223372036855", "9223372036854775806", "9223372036854775807", "20000000000000000000", "99999999999999999999"} {
		r := cc("max-age="+n, 0, limit)
		r.turns = []turn{{reply: "Cache-Control: max-age=" + n}, {wait: (1<<31 - 1) * s, want: "hit"}, {wait: s, want: "miss"}}
		rows = append(rows, r)
	}
	for _, swr := range []struct {
		value string
		until time.Duration
	}{{"max-age=300, stale-while-revalidate=600", 900}, {"max-age=3600,stale-while-revalidate=7200", 10800}, {"max-age=1,stale-while-revalidate=1,stale-while-revalidate=7200", 2}} {
		rows = append(rows, row{name: "Cache-Control: " + swr.value, turns: []turn{
			{reply: "Cache-Control: " + swr.value}, {wait: swr.until * s, reply: "down", want: "stale"}, {wait: s, want: "miss"}}})
	}
	rows = append(rows,
		row{name: "Pragma in a response with max-age", turns: []turn{{reply: "Cache-Control: max-age=500, immutable | Pragma: no-cache"}, {want: "hit"}},
			differs: "the suite takes Pragma for no-cache, unless an option is set. It is defined for requests only (RFC 9111, section 5.4)"},
		row{name: "Pragma in a response with max-age, with the option of the suite", turns: []turn{{reply: "Cache-Control: max-age=500, immutable | Pragma: no-cache"}, {wait: 499 * s, want: "hit"}, {wait: s, want: "miss"}}})
	for _, age := range []struct{ name, reply, want string }{
		{"the delay adds to Age", "Date: | Age: 2", "8"},
		{"the delay is the age if there is no Age", "Date: {-2s}", "6"},
		{"a Date in the future, with Age", "Date: {2s} | Age: 2", "8"},
		{"a Date in the future, without Age", "Date: {2s}", "6"},
		{"the time since Date, if that is more", "Date: {-5s} | Age: 0", "7"},
	} {
		rows = append(rows, row{name: age.name, turns: []turn{{reply: "after 4s | Cache-Control: max-age=60 | " + age.reply}, {wait: 2 * s, want: "hit | Age: " + age.want}}})
	}
	return rows
}

func chromiumValidators() []row {
	var rows []row
	part := func(name, field, want, differs string) {
		rows = append(rows, row{name: "206 with " + name, differs: differs, turns: []turn{
			{send: "Range: bytes=0-50", reply: `206 | ETag: "a" | Cache-Control: max-age=60 | ` + field + " | = " + strings.Repeat("x", 51)},
			{send: "Range: bytes=0-50", reply: "206 | Content-Range: bytes 0-50/51", want: want}}})
	}
	part("no Content-Range", "X: 1", "miss", "")
	part("an empty Content-Range", "Content-Range:", "miss", "")
	part("Content-Range: bytes 0-50/51", "Content-Range: bytes 0-50/51", "hit", "")
	part("Content-Range: bytes 50-0/51", "Content-Range: bytes 50-0/51", "miss", "")
	part("a total length that is not known", "Content-Range: bytes 0-50/*", "hit", "the suite does not accept it. The complete length may be unknown (RFC 9110, section 14.4)")
	rows = append(rows, row{name: "416 with Content-Range: bytes */*", turns: []turn{
		{send: "Range: bytes=0-50", reply: "416 | Cache-Control: max-age=60 | Content-Range: bytes */*"}, {send: "Range: bytes=0-50", want: "miss"}}})

	strong := func(name, reply, ifRange, differs string) {
		rows = append(rows, row{name: "whether a validator is strong: " + name, differs: differs, turns: []turn{
			{send: "Range: bytes=0-1", reply: "206 | Cache-Control: max-age=60 | Content-Range: bytes 0-1/4 | = ab | " + reply},
			{want: "miss", sent: "If-Range:" + ifRange}}})
	}
	strong("none", "HTTP/1.0", "", "")
	strong("a tag over HTTP/1.0", `HTTP/1.0 | Last-Modified: {-1h} | ETag: "foo"`, ` "foo"`, "the suite trusts no validator over HTTP/1.0. RFC 9110 does not depend on the version (section 2.5)")
	strong("a tag and a date", `Last-Modified: {-1h} | ETag: "foo"`, ` "foo"`, "")
	strong("a date of 60 seconds before Date", "Last-Modified: {-60s}", " {-60s}", "")
	strong("a date of 59 seconds before Date", "Last-Modified: {-59s}", "", "")
	strong("a tag", `ETag: "foo"`, ` "foo"`, "")
	strong("a tag that begins with w/ in the quotes", `ETag: "w/foo"`, ` "w/foo"`, "")
	strong("a tag after w/", `ETag: w/"foo"`, "", "")
	strong("a tag after W and spaces", `ETag:    W  /   "foo"`, "", "")
	return rows
}

func chromiumVary() []row {
	second := func(name, first, field, request, want string) row {
		return row{name: name, turns: []turn{{send: first, reply: "Cache-Control: max-age=60 | " + field}, {send: request, want: want}}}
	}
	return []row{
		second("no Vary", "Foo: 1", "X: 1", "Foo: 2", "hit"),
		second("Vary: *", "Foo: 1", "Vary: *", "Foo: 1", "miss"),
		second("* among names", "Cookie: a", "Vary: cookie, *, bar", "Cookie: a", "miss"),
		second("* on a line of its own", "Cookie: a", "Vary: cookie | Vary: *", "Cookie: a", "miss"),
		second("another value", "Foo: 1", "Vary: foo", "Foo: 2", "miss"),
		second("two other values", "Foo: 1 | Bar: 23", "Vary: foo, bar", "Foo: 12 | Bar: 3", "miss"),
		second("the same value", "Foo: 1", "Vary: foo", "Foo: 1", "hit"),
		second("two lines and names in another case", "Foo: 1 | bAr: 2", "Vary: foo | Vary: bar", "Foo: 1 | baR: 2", "hit"),
		second("a redirect does not vary by cookies", "Cookie: 1", "Location: /x", "Cookie: 2", "hit"),
	}
}

func chromiumRequests() []row {
	const (
		simple  = "Cache-Control: max-age=10000"
		tagged  = `Cache-Control: max-age=10000 | ETag: "foopy"`
		varying = `ETag: "foopy" | Cache-Control: max-age=0 | Vary: Foo`
		oldest  = "Last-Modified: {-24h}"
		// replay takes what is stored, whatever its freshness, as the flags of the suite do.
		replay = "Cache-Control: only-if-cached, max-stale"
	)
	rows := []row{
		reused("a fresh response", simple),
		{name: "only stored responses, and one is there", turns: []turn{{reply: simple}, {send: replay, reply: "none", want: "hit"}}},
		{name: "only stored responses, and none is there", turns: []turn{{send: replay, reply: "none", want: "504"}}},
		{name: "only stored responses, and the variant matches", turns: []turn{{send: "Foo: bar", reply: simple + " | Vary: Foo"}, {send: replay + " | Foo: bar", reply: "none", want: "hit"}}},
		{name: "only stored responses, and the variant does not match", turns: []turn{{send: "Foo: bar", reply: simple + " | Vary: Foo"}, {send: replay + " | Foo: none", reply: "none", want: "504"}},
			differs: "the suite asks the origin, because its flag only prefers stored responses"},
		{name: "no-cache of a request", turns: []turn{{reply: simple}, {send: "Cache-Control: no-cache", want: "miss | = #2"}}},
		{name: "Pragma of a request", turns: []turn{{reply: simple}, {send: "Pragma: no-cache", want: "miss | = #2"}}},
		{name: "max-age=0 of a request", turns: []turn{{reply: tagged}, {send: "Cache-Control: max-age=0", reply: "304", want: "revalidated", sent: `If-None-Match: "foopy"`}}},
		{name: "a response without freshness is validated by its date", turns: []turn{{reply: "Last-Modified: {-1s}"}, {reply: "304", want: "revalidated", sent: "If-Modified-Since: {-1s}"}}},
		{name: "a variant that matches is validated", turns: []turn{
			{send: "Foo: bar", reply: varying + " | " + oldest}, {send: "Foo: bar", reply: "304", want: "revalidated", sent: `If-None-Match: "foopy" | If-Modified-Since: {-24h}`}}},
		{name: "a variant that does not match is offered by its tag", turns: []turn{
			{send: "Foo: bar", reply: varying + " | " + oldest}, {send: "Foo: none", reply: `304 | ETag: "foopy"`, want: "200 | = #1", sent: `If-None-Match: "foopy" | If-Modified-Since:`}}},
		{name: "Vary: * is not stored", turns: []turn{
			{reply: `ETag: "foopy" | Cache-Control: max-age=0 | Vary: *`}, {want: "miss", sent: "If-None-Match:"}},
			differs: "the suite sends the tag. No request ever selects such a response, so this cache does not keep it (RFC 9111, section 4.1)"},
		{name: "a variant that does not match and has no tag is not offered", turns: []turn{
			{send: "Foo: bar", reply: "Last-Modified: {-1s} | Cache-Control: max-age=0 | Vary: Foo"}, {send: "Foo: none", want: "miss", sent: "If-None-Match: | If-Modified-Since:"}}},
		{name: "a 304 changes Vary", turns: []turn{
			{send: "Foo: bar | Name: bar", reply: varying}, {send: "Foo: bar | Name: none", reply: `304 | ETag: "foopy" | Cache-Control: max-age=3600 | Vary: Name`, want: "revalidated"},
			{send: "Foo: bar | Name: bar", want: "miss"}}},
		{name: "a 304 without Vary keeps it", turns: []turn{
			{send: "Foo: bar", reply: varying}, {send: "Foo: bar", reply: `304 | ETag: "foopy" | Cache-Control: max-age=3600`, want: "revalidated"}, {send: "Foo: none", want: "miss"}}},
		{name: "a variant that a 304 has selected for another request answers both", turns: []turn{
			{send: "Foo: bar", reply: tagged + " | Vary: Foo"}, {send: "Foo: none", reply: "304 | " + tagged, want: "200 | = #1"}, {send: "Foo: none", want: "hit | = #1"}, {send: "Foo: bar", want: "hit | = #1"}},
			differs: "the suite stores one variant of a URL, so it asks the origin again. This cache stores several"},
		{name: "a tag over HTTP/1.0 is used", turns: []turn{{reply: "HTTP/1.0 | " + tagged}, {send: "Cache-Control: max-age=0", reply: "304", want: "revalidated", sent: `If-None-Match: "foopy"`}},
			differs: "the suite trusts no validator over HTTP/1.0. RFC 9110 does not depend on the version (section 2.5)"},
		{name: "a 304 with no-store removes the stored response", turns: []turn{
			{reply: tagged}, {send: "Cache-Control: max-age=0", reply: "304 | Cache-Control: no-store", want: "revalidated | = #1"}, {want: "miss", sent: "If-None-Match:"}}},
		{name: "a 200 with no-store removes the stored response", turns: []turn{
			{reply: tagged}, {send: "Cache-Control: max-age=0", reply: "Cache-Control: no-store", want: "miss"}, {want: "miss", sent: "If-None-Match:"}}},
		{name: "a 200 replaces the stored response", turns: []turn{{reply: tagged}, {send: "Cache-Control: max-age=0", reply: tagged, want: "miss | = #2"}, {want: "hit | = #2"}}},
		{name: "no-cache is stored and validated", turns: []turn{{reply: `ETag: "a" | Cache-Control: no-cache`}, {reply: "304", want: "revalidated"}}},
		{name: "no-store is not stored", turns: []turn{{reply: "Cache-Control: no-store"}, {want: "miss | = #2"}}},
		{name: "a redirect is stored with Location", turns: []turn{{reply: "301 | Location: http://www.bar.com/"}, {want: "hit | 301 | Location: http://www.bar.com/"}}},
		{name: "a fragment is no part of the URL", turns: []turn{{send: "/path", reply: simple}, {send: "/path#one", want: "hit"}, {send: "/path#two", want: "hit"}}},
		{name: "a failure does not remove the stored response", turns: []turn{{reply: simple}, {send: "Cache-Control: no-cache", reply: "down", want: "error"}, {want: "hit"}}},
		{name: "a 304 updates Date", turns: []turn{{reply: "Date: {-24h} | Last-Modified: {-48h}"}, {send: "Cache-Control: no-cache", reply: "304", want: "revalidated | Date: {0s} | Last-Modified: {-48h}"}}},
		{name: "a body that is shorter than Content-Length", turns: []turn{{reply: simple + " | Content-Length: 100 | ~ short", want: "cut"}, {want: "miss | = #2", sent: "Range:"}}},
		{name: "a short body that is shorter than Content-Length, with a strong tag", turns: []turn{
			{reply: simple + ` | ETag: "foo" | Accept-Ranges: bytes | Content-Length: 10 | ~ short`, want: "cut"}, {want: "miss | = #2", sent: "Range: | If-Range:"}},
			differs: leastResumed},
		{name: "stale-while-revalidate", turns: []turn{{reply: "Last-Modified: {-48h} | Age: 10801 | Cache-Control: max-age=0,stale-while-revalidate=86400"}, {want: "stale | = #1"}},
			differs: "the suite asks the origin, because the browser's request has no flag for it. Here the directive of the response is enough (RFC 5861, section 3)"},
		{name: "a 304 for the caller has the stored Cross-Origin-Resource-Policy", turns: []turn{
			{reply: "Last-Modified: {-24h} | Cross-Origin-Resource-Policy: cross-origin | Expires: {-1s}"},
			{send: "If-Modified-Since: {-24h}", reply: "304 | Last-Modified: {-24h}", want: "304 | Cross-Origin-Resource-Policy:"}},
			differs: "the suite adds the field, because its embedder checks it. A 304 for a caller's own condition reaches the caller as the origin sent it; the stored response keeps the field"},
	}
	conditional := func(name, stored, request, reply, want, later, differs string) {
		rows = append(rows, row{name: "a caller's condition: " + name, differs: differs, turns: []turn{
			{reply: stored}, {send: request, reply: reply, want: want}, {send: replay, reply: "none", want: later}}})
	}
	const expired = " | Expires: {-1s}"
	conditional("a 200 replaces the response (date)", "Last-Modified: {-48h}"+expired, "If-Modified-Since: {-48h}", "Last-Modified: {-24h}"+expired, "miss | = #2", "= #2", "")
	conditional("a 200 replaces the response (tag)", `ETag: "1" | Expires: {-1s}`, `If-None-Match: "1"`, `ETag: "2" | Expires: {1h}`, "miss | = #2", "hit | = #2", "")
	conditional("a 304 updates the response", "Server: server1 | Last-Modified: {-48h}"+expired, "If-Modified-Since: {-48h}", "304 | Server: server2 | Last-Modified: {-48h} | Expires: {1h}", "304 | Server: server2", "hit | 200 | = #1 | Server: server2", "")
	conditional("a later date", "Server: server1 | Last-Modified: {-48h}"+expired, "If-Modified-Since: {-1h}", "304 | Server: server2 | Last-Modified: {-48h}"+expired, "304 | Server: server2", "200 | = #1 | Server: server1", "")
	conditional("another tag", `Server: server1 | ETag: "Foo1"`+expired, `If-None-Match: "Foo2"`, `304 | Server: server2 | ETag: "Foo2"`, "304 | Server: server2", "200 | = #1 | Server: server1", "")
	conditional("a tag and a date, and both are stored", `ETag: "Foo1" | Last-Modified: {-48h}`+expired, `If-Modified-Since: {-48h} | If-None-Match: "Foo1"`, `ETag: "Foo2" | Last-Modified: {-24h}`+expired, "miss | = #2", "= #2", "")
	const replaced = "the suite keeps the old response. A 200 replaces it whatever the request's conditions are (RFC 9111, section 4.3.3)"
	conditional("a tag and a date, and the tag is another", `ETag: "Foo1" | Last-Modified: {-48h}`+expired, `If-Modified-Since: {-48h} | If-None-Match: "Foo2"`, `ETag: "Foo2" | Last-Modified: {-24h}`+expired, "miss | = #2", "= #2", replaced)
	conditional("a tag and a date, and the date is another", `ETag: "Foo1" | Last-Modified: {-48h}`+expired, `If-Modified-Since: {-1h} | If-None-Match: "Foo1"`, `ETag: "Foo2" | Last-Modified: {-24h}`+expired, "miss | = #2", "= #2", replaced)
	return append(rows,
		row{name: "a caller's condition with nothing stored: a 304 is not stored", turns: []turn{
			{send: "If-Modified-Since: {-48h}", reply: "304 | Last-Modified: {-48h}", want: "304"}, {send: replay, reply: "none", want: "504"}}},
		row{name: "a caller's condition with nothing stored: a 200 is stored", turns: []turn{
			{send: "If-Modified-Since: {-48h}", reply: "Last-Modified: {-24h} | Expires: {1h}", want: "miss"}, {want: "hit | = #1"}},
			differs: "the suite does not store it. The response is an answer to GET like any other (RFC 9111, section 3)"})
}

func chromiumMethods() []row {
	const simple = "Cache-Control: max-age=10000"
	var rows []row
	for _, m := range []struct {
		method, status string
		invalidates    bool
	}{
		{"POST", "205", true}, {"PUT", "200", true}, {"PUT", "305", true}, {"PUT", "404", false}, {"DELETE", "200", true}, {"DELETE", "301", true},
		{"DELETE", "416", false}, {"PATCH", "200", true}, {"PATCH", "301", true}, {"PATCH", "416", false},
	} {
		r := row{name: fmt.Sprintf("%s with status %s", m.method, m.status), turns: []turn{{reply: simple}, {send: m.method + " | = hello", reply: m.status}, {want: "hit | = #1"}}}
		if m.invalidates {
			r.turns[2].want = "miss | = #3"
		}
		rows = append(rows, r)
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		rows = append(rows, row{name: "a response to " + method + " is not stored", turns: []turn{{send: method + " | = hello", reply: simple}, {send: method + " | = hello", want: "bypass | = #2"}}})
	}
	post := func(tr *cachecontrol.Transport) { tr.CacheableMethods = []string{"GET", "POST"} }
	return append(rows,
		row{name: "a POST with content is stored if the program wants it", with: post, turns: []turn{{send: "POST | = hello", reply: simple}, {send: "POST | = hello", want: "hit | = #1"}, {send: "POST | = other", want: "miss"}}},
		row{name: "a POST does not answer a GET", with: post, turns: []turn{{send: "POST | = hello", reply: simple}, {want: "miss | = #2"}}},
		row{name: "a POST with a range is not stored", with: post, turns: []turn{{send: "POST | Range: bytes=0-4 | = hello", reply: "206 | Content-Range: bytes 0-4/9 | = 01234"}, {send: "POST | Range: bytes=0-4 | = hello", want: "= #2"}}},
		row{name: "HEAD, only stored responses, and none is there", turns: []turn{{send: "HEAD | Cache-Control: only-if-cached", reply: "none", want: "504"}}},
		row{name: "HEAD, only stored responses, and one is there", turns: []turn{{reply: simple}, {send: "HEAD | Cache-Control: only-if-cached", reply: "none", want: "hit | = "}}},
		row{name: "HEAD has the stored Content-Length", turns: []turn{{reply: simple + " | Content-Length: 2"}, {send: "HEAD", want: "hit | Content-Length: 2 | = "}}},
		row{name: "HEAD has the stored Content-Length and ETag", turns: []turn{{reply: simple + ` | ETag: "foopy" | Content-Length: 2`}, {send: "HEAD", want: `hit | Content-Length: 2 | ETag: "foopy" | = `}}},
		row{name: "HEAD ignores Range", turns: []turn{{reply: simple}, {send: "HEAD | Range: bytes=0-4", want: "hit | 200 | = "}},
			differs: "the suite asks the origin. Range is defined for GET only (RFC 9110, section 14.2)"},
		row{name: "a 304 to HEAD updates the stored response", turns: []turn{
			{reply: "Date: {-10h} | Last-Modified: {-19h} | Expires: {-1s}"}, {send: "HEAD", reply: "304 | Foo: bar | Expires: {1h}", want: "revalidated | 200 | Foo: bar"}, {want: "hit | = #1 | Foo: bar"}}},
		row{name: "a 304 to a HEAD with the caller's condition updates the stored response", turns: []turn{
			{reply: "Date: {-10h} | Last-Modified: {-19h} | Expires: {-1s}"}, {send: "HEAD | If-Modified-Since: {-19h}", reply: "304 | Foo: bar | Expires: {1h}", want: "304"}, {want: "hit | = #1 | Foo: bar"}}},
		row{name: "a 200 to HEAD with another length makes the stored response stale", turns: []turn{
			{reply: simple + " | Content-Length: 2"}, {send: "HEAD | Cache-Control: no-cache", reply: simple + " | Content-Length: 9", want: "miss"}, {want: "miss | = #3"}}},
	)
}

// blocks are the 80 bytes of the resource that Chromium's tests take ranges of.
var blocks = func() string {
	var b strings.Builder
	for c := '0'; c < '8'; c++ {
		b.WriteString(strings.Repeat(string(c), 10))
	}
	return b.String()
}()

// sends returns a 206 with a range of blocks.
func sends(first, last int, fields ...string) string {
	all := slices.Concat([]string{"206", fmt.Sprintf("Content-Range: bytes %d-%d/80", first, last), `ETag: "foo"`, "Last-Modified: {-168h}"}, fields, []string{"= " + blocks[first:last+1]})
	return strings.Join(all, " | ")
}

// gets returns what a client gets of blocks.
func gets(outcome string, first, last int) string {
	return fmt.Sprintf("%s | 206 | Content-Range: bytes %d-%d/80 | = %s", outcome, first, last, blocks[first:last+1])
}

func chromiumRanges() []row {
	const fresh, again, check = "Cache-Control: max-age=3600", "Cache-Control: max-age=0", "Cache-Control: no-cache"
	ask := func(text string) string { return "Range: bytes=" + text }
	first := turn{send: ask("40-49"), reply: sends(40, 49, fresh), want: gets("miss", 40, 49)}
	from := func(name string, turns ...turn) row { return row{name: name, turns: turns} }
	differs := func(r row, why string) row {
		r.differs = why
		return r
	}
	whole := "200 | ETag: \"foo\" | " + fresh + " | = " + blocks
	rows := []row{
		differs(from("a range is reused, another is requested, and a longer one is requested as a whole", first, turn{send: ask("40-49"), want: gets("hit", 40, 49)},
			turn{send: ask("30-39"), reply: sends(30, 39, fresh), want: gets("miss", 30, 39)},
			turn{send: ask("20-59"), reply: sends(20, 59, fresh), want: gets("", 20, 59)[3:], sent: "Range: bytes=20-59"}),
			"the suite requests what is missing before and after the stored bytes, in two requests. This cache sends one request for all of it"),
		from("a part without a strong validator is not completed", turn{send: ask("40-49"), reply: `206 | Content-Range: bytes 40-49/80 | Cache-Control: max-age=3600 | ETag: w/"foo" | = ` + blocks[40:50]},
			turn{send: ask("40-59"), reply: sends(40, 59), want: gets("miss", 40, 59), sent: "Range: bytes=40-59 | If-Range:"}),
		from("a part without Content-Length is stored", turn{send: ask("40-49"), reply: sends(40, 49, fresh)}, turn{send: ask("40-49"), want: gets("hit", 40, 49)}),
		from("no-store of a part", turn{send: ask("40-49"), reply: sends(40, 49, "Cache-Control: no-store"), want: gets("miss", 40, 49)}, turn{send: ask("40-49"), reply: sends(40, 49), want: gets("miss", 40, 49)}),
		from("a 304 with no-store removes a part", turn{send: ask("40-49"), reply: sends(40, 49, again)},
			turn{send: ask("40-49"), reply: "304 | Cache-Control: no-store", want: gets("revalidated", 40, 49)}, turn{send: ask("40-49"), reply: sends(40, 49), want: gets("miss", 40, 49), sent: "If-None-Match:"}),
		from("a fresh part is validated only if the client wants it", turn{send: ask("40-49"), reply: sends(40, 49, "Expires: {24h}")}, turn{send: ask("40-49"), want: gets("hit", 40, 49)},
			turn{send: ask("40-49") + " | " + check, reply: "304", want: gets("revalidated", 40, 49)}),
		from("a part that has expired is validated", turn{send: ask("40-49"), reply: sends(40, 49, "Expires: {-24h}")}, turn{send: ask("40-49"), reply: "304", want: gets("revalidated", 40, 49)}),
		from("a 206 replaces a part that has changed", first, turn{send: ask("40-49") + " | " + check, reply: `206 | Content-Range: bytes 40-49/80 | ETag: "bar" | Cache-Control: max-age=3600 | = yyyyyyyyyy`, want: "miss | = yyyyyyyyyy"},
			turn{send: ask("40-49"), want: "hit | = yyyyyyyyyy"}),
		from("less than was requested, with nothing stored", turn{send: ask("40-59"), reply: sends(40, 49, fresh), want: gets("miss", 40, 49)}),
		from("less than was requested, with another part stored", turn{send: ask("70-79"), reply: sends(70, 79, fresh)},
			turn{send: ask("40-79"), reply: sends(40, 49) + " || " + sends(40, 49), want: gets("miss", 40, 49)}),
		from("less than was requested of a whole, with another part stored", turn{send: ask("70-79"), reply: sends(70, 79, fresh)},
			turn{reply: sends(40, 49) + " || = Not a range", want: "miss | 200 | = Not a range", sent: "Range:"}),
		from("another range than was requested, with nothing stored", turn{send: ask("30-59"), reply: sends(40, 49, fresh), want: gets("miss", 40, 49)},
			turn{send: ask("30-59"), reply: sends(30, 59), want: gets("miss", 30, 59)}),
		from("another range than was requested, with a part stored", turn{send: ask("70-79"), reply: sends(70, 79, fresh)},
			turn{send: ask("30-79"), reply: sends(40, 49) + " || " + sends(40, 49), want: gets("miss", 40, 49)}),
		from("a range beyond the end, with nothing stored", turn{send: ask("70-99"), reply: sends(70, 79, fresh), want: gets("miss", 70, 79)}, turn{send: ask("70-99"), want: gets("hit", 70, 79)}),
		from("a range beyond the end, with a part stored", first, turn{send: ask("70-99"), reply: sends(70, 79, fresh), want: gets("miss", 70, 79)}, turn{send: ask("70-99"), want: gets("hit", 70, 79)}),
		from("a range that starts beyond the end, with nothing stored", turn{send: ask("80-99"), reply: "416 | Content-Range: bytes */80", want: "miss | 416"}, first),
		from("a 301 to a range is stored", turn{send: ask("40-49"), reply: "301 | Location: http://www.bar.com/"}, turn{send: ask("40-49"), want: "hit | 301"}),
		from("the last bytes, and then an open range", turn{send: ask("-10"), reply: sends(70, 79, fresh), want: gets("miss", 70, 79)},
			turn{send: ask("60-"), reply: sends(60, 69, fresh), want: gets("", 60, 79)[3:], sent: "Range: bytes=60-69"}),
		from("an open range, and then the last bytes", turn{send: ask("70-"), reply: sends(70, 79, fresh), want: gets("miss", 70, 79)},
			turn{send: ask("-20"), reply: sends(60, 69, fresh), want: gets("", 60, 79)[3:], sent: "Range: bytes=60-69"}),
		from("the last bytes of an empty response", turn{reply: fresh + " | Content-Length: 0 | ="}, turn{send: ask("-20"), want: "hit | 200 | ="}),
		from("a stale 302 for a range is requested again", turn{send: ask("0-"), reply: "302 | Cache-Control: max-age=0 | Location: https://example.org/ | ="},
			turn{send: ask("0-"), reply: "302 | Cache-Control: max-age=0 | Location: https://example.com/ | =", want: "miss | 302 | Location: https://example.com/"}),
		from("a stale 302 is replaced by a part", turn{reply: "302 | Cache-Control: max-age=0 | Location: https://example.org/ | ="}, turn{send: ask("-30"), reply: sends(50, 79), want: gets("miss", 50, 79)}),
		from("a 304 that nobody asked for", turn{send: ask("70-"), reply: "304", want: "304"}, turn{send: ask("70-"), reply: sends(70, 79), want: gets("miss", 70, 79)}),
		differs(from("a whole of which a part in the middle is stored is requested", first, turn{reply: whole, want: "miss | 200 | = " + blocks, sent: "Range:"}),
			"the suite requests what is missing before and after the stored bytes, in two requests. This cache sends one request for all of it"),
		from("a whole is completed from two parts, after a validation", turn{send: ask("0-9"), reply: sends(0, 9, fresh)}, turn{send: ask("70-79"), reply: sends(70, 79, fresh)},
			turn{reply: sends(10, 69, fresh), want: "200 | = " + blocks, sent: "Range: bytes=10-69 | If-Range: \"foo\""}),
		from("a whole that has changed is requested once more", turn{send: ask("0-9"), reply: sends(0, 9, fresh)}, turn{reply: `200 | ETag: "bar" | Cache-Control: max-age=3600 | = changed`, want: "miss | 200 | = changed", sent: `If-Range: "foo"`},
			turn{want: "hit | = changed"}),
		from("a whole after its first part, and then from the cache", turn{send: ask("0-9"), reply: sends(0, 9, fresh)}, turn{reply: sends(10, 79, fresh), want: "200 | = " + blocks}, turn{want: "hit | 200 | = " + blocks}),
		from("a range of a stale whole response is validated", turn{reply: `200 | ETag: "foo" | Cache-Control: max-age=0 | = ` + blocks}, turn{send: ask("40-49"), reply: `304 | ETag: "foo"`, want: gets("revalidated", 40, 49)}),
		from("a range beyond the end of a stored whole response", turn{reply: whole}, turn{send: ask("80-90"), want: "hit | 416 | Content-Range: bytes */80"}),
		from("a whole response to a range replaces parts", turn{send: ask("-10"), reply: sends(70, 79, fresh)}, turn{send: ask("40-49"), reply: fresh + " | = other", want: "miss | 200 | = other"}, turn{want: "hit | = other"}),
		from("a range beyond the end of a part does not remove it", first, turn{send: ask("120-"), reply: "416 | Content-Range: bytes */80", want: "416"}, turn{send: ask("40-49"), want: gets("hit", 40, 49)}),
		from("Content-Range that contradicts itself", turn{send: ask("40-49"), reply: "206 | Content-Range: bytes 40-49/45 | Cache-Control: max-age=60 | = 0123456789", want: "206"}, turn{send: ask("40-49"), reply: sends(40, 49), want: gets("miss", 40, 49)}),
		from("two parts whose total lengths differ", turn{send: ask("50-59"), reply: `206 | ETag: "foo" | Content-Range: bytes 50-59/160 | Cache-Control: max-age=60 | = ` + blocks[50:60]},
			turn{send: ask("40-49"), reply: sends(40, 49, fresh), want: gets("miss", 40, 49)}, turn{send: ask("50-59"), reply: sends(50, 59), want: gets("miss", 50, 59)}),
		from("positions beyond 32 bits", turn{send: ask("4294967288-4294967297"), reply: `206 | ETag: "foo" | Cache-Control: max-age=60 | Content-Range: bytes 4294967288-4294967297/4294967299 | = 0123456789`},
			turn{send: ask("4294967290-4294967291"), want: "hit | 206 | = 23"}),
		from("HEAD with a range is passed on", turn{send: "HEAD | Range: bytes=-10", reply: "206 | Content-Range: bytes 70-79/80", want: "206"}),
		differs(from("a short whole that has broken off is requested again", turn{reply: `200 | ETag: "foo" | Accept-Ranges: bytes | Content-Length: 80 | Cache-Control: max-age=60 | ~ ` + blocks[:20], want: "cut"},
			turn{reply: whole, want: "miss | 200 | = " + blocks, sent: "Range:"}), leastResumed),
		from("a long whole that has broken off is completed", turn{reply: `200 | ETag: "foo" | Accept-Ranges: bytes | Content-Length: 200000 | Cache-Control: max-age=60 | ~ ` + strings.Repeat("x", 150_000), want: "cut"},
			turn{reply: `206 | ETag: "foo" | Content-Range: bytes 150000-199999/200000 | = ` + strings.Repeat("y", 50_000),
				want: "200 | = " + strings.Repeat("x", 150_000) + strings.Repeat("y", 50_000), sent: `Range: bytes=150000- | If-Range: "foo"`}),
		from("a range of a whole that has broken off is requested", turn{reply: `200 | ETag: "foo" | Accept-Ranges: bytes | Content-Length: 80 | Cache-Control: max-age=60 | ~ ` + blocks[:20], want: "cut"}, turn{send: ask("40-49"), reply: sends(40, 49), want: gets("miss", 40, 49)}),
		from("a 206 to a request without a range", turn{reply: sends(40, 49, fresh), want: "206"}, turn{want: "miss | 200 | = #2"}),
		from("a 416 to a request without a range", turn{reply: "416 | " + fresh, want: "416"}, turn{want: "miss | 200 | = #2"}),
		differs(from("HEAD with a part stored", first, turn{send: "HEAD", reply: "Content-Length: 80", want: "miss | 200"}),
			"the suite answers HEAD from the part. A part alone is no response to GET, so this cache asks the origin"),
	}
	return rows
}
