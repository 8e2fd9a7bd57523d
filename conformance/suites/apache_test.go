package suites

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// Reasons that several rows share.
const (
	requestField = "the suite follows RFC 2616, in which such a field of a request invalidated, too. Only those of the response do (RFC 9111, section 4.4)"
	asReceived   = "the suite stores the response without a validator or freshness. This cache stores only what it may use again, now or after a validation"
	oldProtocol  = "the suite follows RFC 2616, which did not let caches give such a response freshness. Query and protocol version do not matter (RFC 9111, section 4.2.2); only the heuristic of the program does"
	parts        = "the suite's cache does not support ranges. This one stores the response as a part (RFC 9111, section 3.3)"
)

// apache are the tests of the cache of Apache HttpClient 5, which is shared by default.
func apache() []suite {
	return []suite{
		{name: "Apache HttpClient, TestProtocolRequirements", shared: true, rows: slices.Concat(apacheMessages(), apacheRequirements())},
		{name: "Apache HttpClient, TestProtocolRecommendations", shared: true, rows: apacheRecommendations()},
		{name: "Apache HttpClient, TestRFC5861Compliance", shared: true, rows: apacheStaleIfError()},
		{name: "Apache HttpClient, TestResponseCachingPolicy", shared: true, rows: apacheStoring()},
		{name: "Apache HttpClient, TestCachedResponseSuitabilityChecker", shared: true, rows: apacheReuse()},
		{name: "Apache HttpClient, TestCacheValidityPolicy", shared: true, rows: apacheFreshness(), left: []omission{
			{4, "they replace one step of the calculation of an age, and test the sum: the rows of the age cover it"},
		}},
		{name: "Apache HttpClient, CacheControlParserTest", shared: true, rows: apacheParser(), left: []omission{
			{2, "they pass a header that is null, and a name with a space before it, which net/http does not return"},
		}},
	}
}

// apacheMessages are the rows of fields that the cache passes on as they are.
func apacheMessages() []row {
	var rows []row
	const (
		post = "POST | Content-Length: 1 | = x"
		md5  = "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ=="
	)
	once := func(name, request, reply, want, sent string) {
		rows = append(rows, row{name: name, turns: []turn{{send: request, reply: reply, want: want, sent: sent}}})
	}
	twice := func(name, reply, want string) {
		rows = append(rows, row{name: name, turns: []turn{{reply: reply}, {want: "hit | " + want}}})
	}

	for _, lines := range []string{
		"Allow: HEAD | Allow: DELETE", "Cache-Control: max-age=0 | Cache-Control: no-store, must-revalidate",
		"Content-Encoding: gzip | Content-Encoding: compress", "Content-Language: mi | Content-Language: en",
		"Via: 1.0 fred, 1.1 nowhere.com (Apache/1.1) | Via: 1.0 ricky, 1.1 mertz, 1.0 lucy", "WWW-Authenticate: x-challenge-1 | WWW-Authenticate: x-challenge-2",
		"Content-Encoding: gzip | Content-Encoding: deflate", "Content-Encoding: gzip,deflate",
	} {
		m := parse(lines)
		var values []string
		for _, f := range m.fields {
			values = append(values, f[1])
		}
		once("the order of several lines or members is kept: "+strings.ReplaceAll(lines, " | ", ", "), "", lines, m.fields[0][0]+": "+strings.Join(values, ", "), "")
	}
	for _, field := range []string{
		"Content-Location: http://foo.example.com/other", md5, `ETag: "the-etag"`, "Last-Modified: {-10s}", "Expires: {10s}",
	} {
		name, _, _ := strings.Cut(field, ":")
		once(name+" of the origin is not changed", "", field, field, "")
		twice(name+" of a stored response is not changed", "Cache-Control: max-age=3600 | "+field, field)
		if name == "Expires" {
			once("Expires is not added to a response", "", "", "Expires:", "")
			continue
		}
		once(name+" is not added to a response", "", "", name+":", "")
		twice(name+" is not added to a stored response", "Cache-Control: max-age=3600", name+":")
		once(name+" of a request is not changed", post+" | "+field, "", "", field)
		once(name+" is not added to a request", post, "", "", name+":")
	}
	for _, field := range []string{"Content-Encoding: gzip", "Content-Type: text/html;charset=utf-8", "Content-Range: bytes 0-49/128"} {
		name, _, _ := strings.Cut(field, ":")
		if name == "Content-Range" {
			once("no-transform: Content-Range is not changed", `If-Range: "etag" | Range: bytes=0-49`,
				"206 | Cache-Control: no-transform | "+field+" | = "+strings.Repeat("x", 50), "206 | "+field, "")
		} else {
			once("no-transform: "+name+" is not changed", "", "Cache-Control: no-transform | "+field, field, "")
			twice("no-transform: "+name+" of a stored response is not changed", "Cache-Control: max-age=3600, no-transform | "+field, field)
		}
		once("no-transform: "+name+" is not added to a response", "", "Cache-Control: no-transform", name+":", "")
		twice("no-transform: "+name+" is not added to a stored response", "Cache-Control: max-age=3600, no-transform", name+":")
		once(name+" is not added to a request", post, "", "", name+":")
	}
	once("an unknown field of a request is passed on", "X-Unknown-Header: blahblah", "", "", "X-Unknown-Header: blahblah")
	once("an unknown field of a response is passed on", "", "X-Unknown-Header: blahblah", "X-Unknown-Header: blahblah", "")
	once("unknown methods in Allow are passed on", "", "Allow: GET, HEAD, FOOBAR", "Allow: GET, HEAD, FOOBAR", "")
	once("Server is passed on", "", "Server: MockServer/1.0", "Server: MockServer/1.0", "")
	once("the origin's response to a miss is passed on", "", "Server: a | = text", "miss | 200 | Server: a | = text", "")
	for _, method := range []string{"OPTIONS", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "UNKNOWN"} {
		once(method+" is written through", method, "204", "bypass | 204", "")
	}
	return rows
}

func apacheRequirements() []row {
	const (
		tagged = `Cache-Control: max-age=3600 | ETag: "etag"`
		check  = "Cache-Control: max-age=0, max-stale=0"
		none   = " | Allow: | Content-Encoding: | Content-Length: | Content-MD5: | Content-Type: | Last-Modified:"
	)
	twice := func(name, one, reply, two, reply2, want, sent, differs string) row {
		return row{name: name, turns: []turn{{send: one, reply: reply}, {send: two, reply: reply2, want: want, sent: sent}}, differs: differs}
	}
	var rows []row
	for _, code := range []int{299, 399, 499, 599, 999} {
		rows = append(rows, twice(fmt.Sprintf("unknown status %d with max-age", code), "", fmt.Sprintf("%d | Cache-Control: max-age=3600", code), "", "", fmt.Sprintf("hit | %d", code), "", anyStatus))
	}
	for _, method := range []string{"OPTIONS", "PUT", "DELETE", "TRACE"} {
		rows = append(rows, twice("a response to "+method+" is not stored", method, "Cache-Control: max-age=3600", method, "", "bypass | = #2", "", ""))
	}
	rows = append(rows,
		twice("a response to POST without freshness is not stored", "POST | = x", "", "POST | = x", "", "bypass | = #2", "", ""),
		twice("a 304 of the cache has Date", "", tagged, `If-None-Match: "etag"`, "", "hit | 304 | Date: {0s}", "", ""),
		twice("a 304 of the cache has ETag", "", tagged, `If-None-Match: "etag"`, "", `hit | 304 | ETag: "etag"`, "", ""),
		twice("a 304 of the cache has Content-Location", "", tagged+" | Content-Location: http://foo.example.com/other", `If-None-Match: "etag"`, "",
			"hit | 304 | Content-Location: http://foo.example.com/other", "", ""),
		row{name: "a 304 of the cache has Expires, Cache-Control and Vary", turns: []turn{
			{send: "Accept-Encoding: gzip", reply: `ETag: "v1" | Cache-Control: max-age=7200 | Expires: {2h} | Vary: Accept-Encoding`},
			{send: "Accept-Encoding: gzip | Cache-Control: no-cache", reply: `ETag: "v2" | Cache-Control: max-age=3600 | Expires: {2h} | Vary: Accept-Encoding`},
			{send: `Accept-Encoding: gzip | If-None-Match: "v2"`, want: "hit | 304 | Expires: {2h} | Cache-Control: max-age=3600 | Vary: Accept-Encoding"}}},
		twice("a 304 of the cache for a weak tag has no fields of the representation", "",
			`ETag: W/"v1" | Allow: GET,HEAD | Content-Encoding: x-coding | Content-Language: en | Content-Length: 2 | Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ== | Content-Type: application/octet-stream | Last-Modified: {-1h} | Cache-Control: max-age=7200`,
			`If-None-Match: W/"v1"`, "", "hit | 304"+none, "", ""),
		twice("a 304 for another tag leads to a request without a condition", "", tagged, check, `304 | ETag: "etag2" || = whole`, "miss | 200 | = whole", "If-None-Match:", ""),
		twice("a 304 updates the fields", "", tagged, check, `304 | Date: {5s} | Server: MockUtils/1.0 | ETag: "etag" | X-Extra: junk`, "revalidated | 200 | Date: {5s} | X-Extra: junk", `If-None-Match: "etag"`, ""),
		twice("a response without freshness is validated", "/thing", `Date: {-9s} | ETag: "etag"`, "/thing", `304 | ETag: "etag"`, "revalidated | 200 | = #1", `If-None-Match: "etag"`, ""),
		twice("a fresh response is returned", "/thing", "Date: {9s} | Cache-Control: max-age=3600", "/thing", "", "hit | 200", "", ""),
		row{name: "Age is the current age", turns: []turn{
			{reply: "Date: {-2s} | Cache-Control: max-age=3600"}, {wait: 8 * s, want: "hit | 200 | Age: 10"}}},
		row{name: "the response with the later Date stays", turns: []turn{
			{reply: `Date: {5s} | ETag: "etag1" | Cache-Control: max-age=3600`},
			{send: "Cache-Control: no-cache", reply: `Date: {0s} | ETag: "etag2" | Cache-Control: max-age=3600`}, {want: `hit | ETag: "etag2"`}},
			differs: "the suite keeps the response with the later Date. This cache keeps the one that it requested later, because the origins of a load balancer may have clocks that differ"},
		twice("a weak tag is used to validate", "", `Cache-Control: max-age=3600 | Last-Modified: {-10s} | ETag: W/"etag"`, check, "304", "revalidated", `If-None-Match: W/"etag"`, ""),
		twice("a tag that matches, with a date that does not", "", `Cache-Control: max-age=3600 | Last-Modified: {-10s} | ETag: W/"etag"`, `If-None-Match: W/"etag" | If-Modified-Since: {-20s}`, "", "hit | 304", "",
			"the suite asks the origin. If-None-Match takes precedence, and the date is ignored (RFC 9110, section 13.2.2)"),
		twice("a tag and a date that match", "", `Cache-Control: max-age=3600 | Last-Modified: {-10s} | ETag: W/"etag"`, `If-None-Match: W/"etag" | If-Modified-Since: {-10s}`, "", "hit | 304", "", ""),
		twice("206 is stored as a part", "Range: bytes=0-4", `206 | Content-Range: bytes 0-4/128 | ETag: "etag" | Cache-Control: max-age=3600 | = 01234`, "Range: bytes=0-4", "", "hit | 206 | = 01234", "", parts),
		twice("302 without freshness is not reused", "", "302 | Location: http://foo.example.com/other", "", "", "miss | 200 | = #2", "", ""),
		twice("the stored body is returned after a 304", "", tagged, check, "304", "revalidated | 200 | = #1", "", ""),
		row{name: "the stored fields are returned after a 304", turns: []turn{
			{reply: tagged + " | Allow: GET | Content-Encoding: gzip | Content-Language: en | Content-Length: 2 | Content-Location: http://foo.example.com/other | Content-Type: text/html | Expires: {10s} | Last-Modified: {-10s} | Location: http://foo.example.com/other2 | Retry-After: 180"},
			{send: check, reply: "304 | Server: MockServer/1.0", want: "revalidated | Cache-Control: max-age=3600 | Allow: GET | Content-Encoding: gzip | Content-Language: en | Content-Length: 2 | Content-Location: http://foo.example.com/other | Content-Type: text/html | Expires: {10s} | Last-Modified: {-10s} | Location: http://foo.example.com/other2 | Retry-After: 180"}}},
		row{name: "the new fields of a 304 are returned and stored", turns: []turn{
			{reply: tagged + " | Allow: GET | Content-Language: en | Content-Type: text/html;charset=utf-8"},
			{send: check, reply: "304 | Cache-Control: max-age=1800 | Allow: GET,HEAD | Content-Language: en,en-us | Content-Type: text/html | Expires: {5s} | Retry-After: 120",
				want: "revalidated | Cache-Control: max-age=1800 | Allow: GET,HEAD | Content-Language: en,en-us | Content-Type: text/html | Expires: {5s} | Retry-After: 120"},
			{want: "hit | Cache-Control: max-age=1800 | Allow: GET,HEAD | Content-Language: en,en-us | Content-Type: text/html | Expires: {5s} | Retry-After: 120"}}},
		row{name: "a 304 replaces all lines of a field", turns: []turn{
			{reply: `Cache-Control: max-age=3600 | Cache-Control: public | ETag: "etag"`},
			{send: check, reply: "304 | Cache-Control: max-age=1800", want: "revalidated | Cache-Control: max-age=1800"}, {want: "hit | Cache-Control: max-age=1800"}}},
		twice("a variant for another request is not used", "Accept-Encoding: gzip", tagged+" | Vary: Accept-Encoding", "", "", "miss | = #2", "", ""),
		twice("Vary: * is not used", "", tagged+" | Vary: *", "", "", "miss | = #2", "", ""),
		twice("a variant for another request is used only if the origin confirms it", "User-Agent: MyBrowser/1.0", `ETag: "etag1" | Cache-Control: max-age=3600 | Vary: User-Agent`, "User-Agent: MyBrowser/1.5", "", "miss | 200 | = #2", `If-None-Match: "etag1"`, ""),
	)
	for _, method := range []string{"PUT", "DELETE", "POST"} {
		rows = append(rows, row{name: method + " invalidates its URL", turns: []turn{
			{reply: "Cache-Control: public, max-age=3600"}, {send: method + " | = x", reply: "204"}, {want: "miss | = #3"}}})
		for _, field := range []string{"Content-Location: http://example.com/content", "Location: http://example.com/content", "Content-Location: /content"} {
			rows = append(rows, row{name: method + " with " + field + " in the request", differs: requestField, turns: []turn{
				{send: "/content", reply: "Cache-Control: public, max-age=3600"}, {send: method + " / | " + field + " | = x", reply: "204"}, {send: "/content", want: "hit | = #1"}}})
		}
	}
	const basic = "Authorization: Basic dXNlcjpwYXNzd2Q="
	for _, method := range []string{"s-maxage=5", "max-age=5, must-revalidate"} {
		rows = append(rows, row{name: "a validation has the credentials of the new request: " + method, turns: []turn{
			{send: basic, reply: `Date: {-10s} | ETag: "etag" | Cache-Control: ` + method},
			{send: "Authorization: Basic dXNlcjpwYXNzd2Qy", reply: "304", want: "revalidated", sent: "Authorization: Basic dXNlcjpwYXNzd2Qy"}}})
	}
	for _, directive := range []string{"must-revalidate", "proxy-revalidate"} {
		cc := "Date: {-10s} | ETag: \"etag\" | Cache-Control: max-age=5, " + directive
		rows = append(rows,
			twice("max-stale does not win over "+directive, "", cc, "Cache-Control: max-stale=3600", "304", "revalidated", "", ""),
			twice(directive+" and an origin that cannot be reached", "", cc, "", "down", "error", "",
				"the suite generates a 504. The caller of a RoundTripper gets the error of the origin, which says more, and cachecontrol proxy makes a 502 or 504 of it (RFC 9111, section 5.2.2.2)"))
	}
	for _, expires := range []string{"garbage", "0", "{0s}"} {
		rows = append(rows, twice("Expires: "+expires+" means stale", "", `Cache-Control: public | ETag: "etag" | Expires: `+expires, "", "304", "revalidated", "", ""))
	}
	return append(rows,
		twice("an Age that is much too large makes the response stale", "", `ETag: "etag" | Cache-Control: max-age=3600 | Age: 19223372036854775807`, "", "304", "revalidated", "", ""),
		row{name: "an Age that is much too large is passed on", turns: []turn{{reply: "Age: 19223372036854775807", want: "miss | Age: 19223372036854775807"}},
			differs: "the suite replaces it. The cache generates Age for a stored response, and passes on one that it has just received (RFC 9111, section 5.1)"},
		twice("credentials and max-age", basic, tagged, "", "", "miss | = #2", "If-None-Match:", ""),
		twice("credentials and s-maxage", basic, `Cache-Control: s-maxage=3600 | ETag: "etag"`, "", "", "hit", "", ""),
		twice("credentials and s-maxage=0", basic, `Cache-Control: s-maxage=0 | ETag: "etag"`, "", "304", "revalidated", "", ""),
		twice("credentials and must-revalidate", basic, `Cache-Control: must-revalidate | ETag: "etag"`, "", "304", "revalidated", "", ""),
		twice("credentials and public", basic, `Cache-Control: public | ETag: "etag"`, "", "304", "revalidated", "", ""),
		twice("no-cache of a request", "", tagged, "Cache-Control: no-cache", `ETag: "etag2" | Cache-Control: max-age=1200`, "miss | = #2", "", ""),
		twice("private in a shared cache", "", "Cache-Control: private,max-age=3600", "", "", "miss | = #2", "", ""),
		twice("private with a name in a shared cache", "", `X-Personal: stuff | Cache-Control: private="X-Personal",s-maxage=3600`, "", "", "hit | = #1 | X-Personal:", "", ""),
		twice("no-cache is validated", "", `ETag: "etag" | Cache-Control: no-cache`, "", "304", "revalidated", "", ""),
		twice("no-cache is validated in spite of s-maxage and max-stale", "", `ETag: "etag" | Cache-Control: no-cache,s-maxage=3600`, "Cache-Control: max-stale=7200", "304", "revalidated", "", ""),
		twice("no-cache with a name: the response is used without the field", "", `ETag: "etag" | X-Stuff: things | Cache-Control: no-cache="X-Stuff", max-age=3600`, "", "", "hit | X-Stuff:", "", ""),
		twice("no-store of a request", "Cache-Control: no-store", `ETag: "a"`, "", "", "miss | = #2", "If-None-Match:", ""),
		twice("no-store of a request with a response that may be stored", "Cache-Control: no-store", "Cache-Control: max-age=3600", "", "", "miss | = #2", "", ""),
		twice("no-store of a response", "", `Cache-Control: no-store | ETag: "a"`, "", "", "miss | = #2", "If-None-Match:", ""),
		twice("no-store of a response with max-age", "", "Cache-Control: no-store,max-age=3600", "", "", "miss | = #2", "", ""),
		twice("Content-Location is no reason to answer another URL", "/foo", `Cache-Control: public,max-age=3600 | ETag: "etag" | Content-Location: /bar`, "/bar", "", "miss | = #2", "", ""),
		twice("a stored response without Date gets one", "", `Date: | Cache-Control: public, max-age=60 | ETag: "etag"`, "", "", "hit | Date: {0s}", "", ""),
	)
}

func apacheRecommendations() []row {
	const tagged = `Cache-Control: max-age=3600 | ETag: "etag"`
	var rows []row
	for _, field := range []string{"Allow: GET,HEAD", "Content-Encoding: gzip", "Content-Language: en", "Content-Length: 2", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "Content-Type: text/html", "Last-Modified: {-2m}"} {
		name, _, _ := strings.Cut(field, ":")
		rows = append(rows, row{name: "a 304 of the cache for a strong tag has no " + name, turns: []turn{
			{reply: tagged + " | " + field}, {send: `If-None-Match: "etag"`, want: "hit | 304 | " + name + ":"}}})
		date := " | Last-Modified: {-2m}"
		if name == "Last-Modified" {
			date = ""
		}
		rows = append(rows, row{name: "a 304 of the cache for a strong date has no " + name, turns: []turn{
			{reply: tagged + " | " + field + date}, {send: "If-Modified-Since: {-2m}", want: "hit | 304 | " + name + ":"}}})
	}
	for _, cc := range []string{"no-cache", "max-age=0", "max-age=20", "min-fresh=2", "max-stale=2"} {
		rows = append(rows, row{name: "no stale response is returned if the origin fails and the request has " + cc, turns: []turn{
			{reply: `Date: {-10s} | Cache-Control: public,max-age=5 | ETag: "etag"`}, {send: "Cache-Control: " + cc, reply: "down", want: "error"}}})
	}
	rows = append(rows, row{name: "max-stale allows a stale response", turns: []turn{
		{reply: `Date: {-10s} | Cache-Control: public,max-age=5 | ETag: "etag"`}, {send: "Cache-Control: max-stale=20", reply: "none", want: "stale | 200"}}})

	for _, reply := range []string{
		"Accept-Ranges: bytes", "Content-Length: 2", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "Content-Type: application/octet-stream", "Date: {0s}", `ETag: "random-etag"`,
		"Expires: {0s}", "Last-Modified: {0s}", "Server: SomeServer/1.0", "Vary: Accept-Encoding", "X-Extension: x-value",
	} {
		rows = append(rows, row{name: "a field of the origin is not changed: " + reply, turns: []turn{{reply: reply, want: reply}}})
	}
	rows = append(rows,
		row{name: "Content-Range of the origin is not changed", turns: []turn{{send: "Range: bytes=0-1", reply: "206 | Content-Range: bytes 0-1/256 | = xx", want: "206 | Content-Range: bytes 0-1/256"}}},
		row{name: "Location of the origin is not changed", turns: []turn{{reply: "307 | Location: http://foo.example.com/bar", want: "307 | Location: http://foo.example.com/bar"}}},
		row{name: "Retry-After of the origin is not changed", turns: []turn{{reply: "503 | Retry-After: 120", want: "503 | Retry-After: 120"}}})
	for _, request := range []string{
		"Authorization: Basic dXNlcjpwYXNzd2Q=", "Date: {0s}", "From: foo@example.com", "If-Modified-Since: {0s}", `If-None-Match: "etag"`, "Range: bytes=0-128",
		`Range: bytes=0-128 | If-Range: "etag"`, "Referer: http://foo.example.com/bar", "User-Agent: MyClient/1.0", "X-Extension: x-value",
		`DELETE | If-Match: "etag"`, "DELETE | If-Unmodified-Since: {0s}", "POST | Content-Length: 1 | = x", "POST | Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ== | = x",
		"POST | Content-Type: application/octet-stream | = x", "PUT | Content-Range: bytes 0-127/256 | = x",
	} {
		rows = append(rows, row{name: "fields of a request are not changed: " + strings.ReplaceAll(request, " | ", ", "), turns: []turn{{send: request, sent: request}}})
	}

	return append(rows,
		row{name: "Last-Modified is used to validate", turns: []turn{
			{reply: "Date: {-10s} | Last-Modified: {-20s} | Cache-Control: max-age=5"}, {reply: "304", want: "revalidated", sent: "If-Modified-Since: {-20s}"}}},
		row{name: "ETag and Last-Modified are used to validate", turns: []turn{
			{reply: `Date: {-10s} | Last-Modified: {-20s} | Cache-Control: max-age=5 | ETag: "etag"`}, {reply: "304", want: "revalidated", sent: `If-Modified-Since: {-20s} | If-None-Match: "etag"`}}},
		row{name: "a response that had expired when it came is validated", turns: []turn{
			{reply: `ETag: "etag" | Expires: {-1s} | Cache-Control: public`}, {reply: `304 | Date: {2s} | Expires: {1s} | ETag: "etag"`, want: "revalidated | 200", sent: `If-None-Match: "etag"`}}},
		row{name: "a 304 with an older Date is accepted", turns: []turn{
			{reply: `ETag: "etag" | Date: {-10s} | Cache-Control: max-age=5`}, {reply: `304 | ETag: "etag" | Date: {-11s}`, want: "revalidated | 200"}},
			differs: "the suite repeats the request without conditions, as RFC 2616, section 13.2.6, said. The 304 confirms the representation whatever its Date (RFC 9111, section 4.3.4)"},
		row{name: "the tags of all variants are sent", turns: []turn{
			{send: "User-Agent: agent1", reply: `Cache-Control: max-age=3600 | Vary: User-Agent | ETag: "etag1"`},
			{send: "User-Agent: agent2", reply: `Cache-Control: max-age=3600 | Vary: User-Agent | ETag: "etag2"`},
			{send: "User-Agent: agent3", want: "miss", sent: `If-None-Match: "etag1", "etag2"`}}},
		row{name: "a 304 that selects another variant is returned with its Date, and the variant keeps its own", turns: []turn{
			{send: "User-Agent: agent1", reply: `Date: {-10s} | Cache-Control: max-age=3600 | Vary: User-Agent | ETag: "etag1"`},
			{send: "User-Agent: agent2", reply: `Date: {-10s} | Cache-Control: max-age=3600 | Vary: User-Agent | ETag: "etag2"`},
			{send: "User-Agent: agent3", reply: `304 | Date: {0s} | ETag: "etag1"`, want: `200 | = #1 | ETag: "etag1" | Date: {0s}`},
			{send: "User-Agent: agent1", want: "hit | Date: {-10s}"}},
			differs: "the suite updates the stored variant, too. This cache stores a copy for the new request, because the fields of the 304 may be meant for that request only; the old variant stays as fresh as it was"},
		row{name: "a 304 that selects another variant is stored for the next request", turns: []turn{
			{send: "User-Agent: agent1", reply: `Date: {-10s} | Cache-Control: max-age=3600 | Vary: User-Agent | ETag: "etag1"`},
			{send: "User-Agent: agent2", reply: `304 | Date: {0s} | ETag: "etag1"`, want: "200 | = #1"}, {send: "User-Agent: agent2", want: "hit | = #1"}}},
		row{name: "an unknown method invalidates", turns: []turn{
			{reply: "Cache-Control: max-age=3600"}, {send: "FROB", reply: "Cache-Control: max-age=3600"}, {want: "miss | = #3"}}},
		row{name: "an unknown method invalidates all variants", turns: []turn{
			{send: "User-Agent: agent1", reply: "Cache-Control: max-age=3600 | Vary: User-Agent"}, {send: "User-Agent: agent2", reply: "Cache-Control: max-age=3600 | Vary: User-Agent"},
			{send: "FROB | User-Agent: agent3"}, {send: "User-Agent: agent1", want: "miss | = #4"}, {send: "User-Agent: agent2", want: "miss | = #5"}}},
		row{name: "a new response replaces the stored one", turns: []turn{
			{reply: `Date: {-10s} | Cache-Control: max-age=3600 | ETag: "etag1"`}, {send: "Cache-Control: max-age=0", reply: `Cache-Control: max-age=3600 | ETag: "etag2"`, want: "miss"}, {want: `hit | = #2 | ETag: "etag2"`}}},
		row{name: "Expires equal to Date, and max-stale", turns: []turn{{reply: "Expires: {0s}"}, {send: "Cache-Control: max-stale=1000", want: "miss | = #2"}}},
		row{name: "Expires before Date, and max-stale", turns: []turn{{reply: "Expires: {-10s}"}, {send: "Cache-Control: max-stale=1000", want: "miss | = #2"}}},
		row{name: "only-if-cached and nothing stored", turns: []turn{{send: "Cache-Control: only-if-cached", reply: "none", want: "504"}}},
		row{name: "only-if-cached and a fresh response", turns: []turn{{reply: "Cache-Control: max-age=3600"}, {send: "Cache-Control: only-if-cached", want: "hit | = #1"}}},
		row{name: "only-if-cached and a stale response", turns: []turn{{reply: "Date: {-10s} | Cache-Control: max-age=5"}, {send: "Cache-Control: only-if-cached", reply: "none", want: "504"}}},
		row{name: "only-if-cached, max-stale and a stale response", turns: []turn{
			{reply: `ETag: "a" | Date: {-10s} | Cache-Control: max-age=5`}, {send: "Cache-Control: max-stale=20, only-if-cached", reply: "none", want: "stale | = #1"}}},
		row{name: "a weak tag gets a 304 of the cache", turns: []turn{
			{reply: `Date: {-10s} | Cache-Control: max-age=300 | ETag: W/"weak-sauce"`}, {send: `If-None-Match: W/"weak-sauce"`, want: "hit | 304"}}},
	)
}

// loses adds the reason why stale-if-error wins over min-fresh.
func loses(r row) row {
	r.differs = "the suite returns the error. stale-if-error permits a stale response regardless of other freshness information (RFC 5861, section 4)"
	return r
}

func apacheStaleIfError() []row {
	second := func(name, directive, request, want string) row {
		return row{name: name, turns: []turn{
			{reply: `Date: {-10s} | Cache-Control: public, max-age=5` + directive + ` | ETag: "a"`}, {send: request, reply: "500", want: want}}}
	}
	return []row{
		second("the body of the error is closed", ", stale-if-error=60", "", "stale | 200 | = #1"),
		second("must-revalidate wins", ", stale-if-error=60, must-revalidate", "", "miss | 500"),
		second("proxy-revalidate wins in a shared cache", ", stale-if-error=60, proxy-revalidate", "", "miss | 500"),
		loses(second("min-fresh of a request does not win", ", stale-if-error=60", "Cache-Control: min-fresh=2", "stale | 200 | = #1")),
		second("the time of the response is over", ", stale-if-error=2", "", "miss | 500"),
		second("the time of the request is over", "", "Cache-Control: stale-if-error=2", "miss | 500"),
	}
}

// apacheStoring tells whether a response is stored. It has a tag, so that one without freshness is stored, too.
func apacheStoring() []row {
	var rows []row
	const auth = "Authorization: Basic dXNlcjpwYXNzd2Q="
	add := func(name, request, reply, outcome, differs string) {
		r := row{name: name, differs: differs, turns: []turn{{send: request, reply: reply + ` | ETag: "a"`}}}
		switch outcome {
		case "no":
			r.turns = append(r.turns, turn{send: request, want: "200 | = #2", sent: "If-None-Match:"})
		case "hit":
			r.turns = append(r.turns, turn{send: request, want: "hit"})
		default:
			r.turns = append(r.turns, turn{send: request, reply: "304", want: "revalidated", sent: `If-None-Match: "a"`})
		}
		rows = append(rows, r)
	}
	const yes = ""
	add("GET", "", "200", yes, "")
	add("QUERY", "QUERY | = x", "200", yes, "")
	add("PUT", "PUT | = x", "200", "no", "")
	add("an unknown method", "HUH", "200", "no", "")
	add("no-store of a request", "Cache-Control: no-store", "Cache-Control: max-age=3600", "no", "")
	add("credentials", auth, "200", "no", "")
	add("credentials and s-maxage", auth, "Cache-Control: s-maxage=3600", "hit", "")
	add("credentials and public", auth, "Cache-Control: public", yes, "")
	add("credentials and max-age", auth, "Cache-Control: max-age=3600", "no", "")
	add("credentials and must-revalidate", auth, "Cache-Control: must-revalidate", yes, "")
	add("credentials and no directives", auth, "Cache-Control:", "no", "")
	add("credentials and an s-maxage that is not valid", auth, "Expires: {10s} | Cache-Control: s-maxage=invalid", "no", "")
	for _, code := range []int{203, 300, 410, 204, 404, 405, 501} {
		add(fmt.Sprint("status ", code), "", fmt.Sprint(code), yes, "")
	}
	add("status 301", "", "301", "hit", "")
	add("status 301 with public", "", "301 | Cache-Control: public", "hit", "")
	for _, code := range []int{302, 303, 307, 402, 504} {
		add(fmt.Sprint("status ", code), "", fmt.Sprint(code), "no", "")
	}
	for _, code := range []int{302, 303, 307, 404} {
		add(fmt.Sprint("status ", code, " with max-age"), "", fmt.Sprint(code, " | Cache-Control: max-age=300"), "hit", "")
	}
	for _, code := range []int{200, 203, 300, 301, 410} {
		add(fmt.Sprint("status ", code, " with Expires"), "", fmt.Sprint(code, " | Expires: {1h}"), "hit", "")
		add(fmt.Sprint("status ", code, " with s-maxage"), "", fmt.Sprint(code, " | Cache-Control: s-maxage=1"), "hit", "")
		if code != 301 {
			add(fmt.Sprint("status ", code, " with public"), "", fmt.Sprint(code, " | Cache-Control: public"), yes, "")
		}
		add(fmt.Sprint("status ", code, " with private"), "", fmt.Sprint(code, " | Cache-Control: private"), "no", "")
		add(fmt.Sprint("status ", code, " with max-age=0"), "", fmt.Sprint(code, " | Cache-Control: max-age=0"), yes,
			"the suite does not store what is stale when it comes. With a validator it can be used after a validation (RFC 9111, section 4.3)")
	}
	add("must-revalidate", "", "Cache-Control: must-revalidate", yes, "")
	add("proxy-revalidate", "", "Cache-Control: proxy-revalidate", yes, "")
	add("no-cache", "", "Cache-Control: no-cache", yes, "")
	add("public, no-cache", "", "Cache-Control: public, no-cache", yes, "")
	add("max-age, public, no-cache", "", "Cache-Control: max-age=20, public, no-cache", yes, "")
	add("no-store", "", "Cache-Control: no-store", "no", "")
	add("public, no-store", "", "Cache-Control: public, no-store", "no", "")
	add("max-age, public, no-store", "", "Cache-Control: max-age=20, public, no-store", "no", "")
	add("max-age", "", "Cache-Control: max-age=10", "hit", "")
	add("Expires and max-age", "", "Expires: {10s} | Cache-Control: max-age=60", "hit", "")
	add("immutable and max-age", "", "Cache-Control: immutable, max-age=3600", "hit", "")
	add("Vary: *", "", "Vary: *", "no", "")
	add("Vary: *, credentials and public", auth, "Cache-Control: public | Vary: *", "no", "")
	add("Vary: Accept-Encoding", "", "Vary: Accept-Encoding", yes, "")
	add("OPTIONS, credentials and public", "OPTIONS | "+auth, "204 | Cache-Control: public", "no", "")
	add("two lines of Age", "", "Age: 3 | Age: 5", yes, "")
	add("two lines of Age, credentials and public", auth, "Age: 3 | Age: 5 | Cache-Control: public", yes, "")
	const oneDate = "the suite does not store it. A recipient may use the first of several values, and the time of receipt if there is none that is valid (RFC 9110, sections 5.3 and 6.6.1)"
	add("two lines of Date", "", "Date: {0s} | Date: {-6s}", yes, oneDate)
	add("two lines of Date, credentials and public", auth, "Date: {0s} | Date: {-6s} | Cache-Control: public", yes, oneDate)
	add("a Date that is not valid", "", "Date: garbage", yes, oneDate)
	add("a Date that is not valid, credentials and public", auth, "Date: garbage | Cache-Control: public", yes, oneDate)
	const oneExpires = "the suite does not store it. Two values count as stale, and what is stale can be validated (RFC 9111, section 4.2.1)"
	add("two lines of Expires", "", "Expires: {0s} | Expires: {-6s}", yes, oneExpires)
	add("two lines of Expires, credentials and public", auth, "Expires: {0s} | Expires: {-6s} | Cache-Control: public", yes, oneExpires)
	const staleWhenItComes = "the suite does not store what is stale when it comes. With a validator it can be used after a validation (RFC 9111, section 4.3)"
	add("Expires equal to Date", "", "Expires: {0s}", yes, staleWhenItComes)
	add("Expires before Date", "", "Expires: {-6s}", yes, staleWhenItComes)
	add("a query", "/foo?s=bar", "200", yes, oldProtocol)
	add("a query and HTTP/1.0", "/foo?s=bar", "HTTP/1.0", yes, oldProtocol)
	add("a query and HTTP/1.0 in Via", "/foo?s=bar", "Via: 1.0 someproxy", yes, oldProtocol)
	for _, old := range []string{"200", "HTTP/1.0", "Via: 1.0 someproxy", "Via: HTTP/1.0 someproxy", "HTTP/1.0 | Via: 1.1 someproxy"} {
		add("a query and Expires, "+strings.ReplaceAll(old, " | ", ", "), "/foo?s=bar", old+" | Expires: {10s}", "hit", "")
	}
	add("a query and max-age", "/foo?s=bar", "Cache-Control: max-age=3600", "hit", "")
	add("must-understand with a known status", "", "Cache-Control: must-understand, no-store, public", yes, "")
	add("must-understand with an unknown status", "", "600 | Cache-Control: must-understand, no-store, public", "no", "")
	add("must-understand and private in a shared cache", "", "Cache-Control: must-understand, no-store, private", "no", "")
	add("HTTP/1.0", "", "HTTP/1.0", yes, "")
	own := len(rows)
	add("credentials in a private cache", auth, "200", yes, "")
	add("private in a private cache", "", "Cache-Control: private", yes, "")
	add("must-understand and private in a private cache", "", "Cache-Control: must-understand, no-store, private", yes, "")
	add("s-maxage=0 and max-age in a private cache", "", "Cache-Control: s-maxage=0, max-age=3600", "hit", "")
	for i := range rows[own:] {
		rows[own+i].with = private
	}
	return append(rows,
		row{name: "206 is stored as a part", differs: parts, turns: []turn{
			{send: "Range: bytes=0-0", reply: `206 | ETag: "a" | Content-Range: bytes 0-0/2 | = x`}, {send: "Range: bytes=0-0", reply: "304", want: "revalidated | 206"}}},
		row{name: "a response to HEAD does not answer a GET", turns: []turn{{send: "HEAD", reply: "Cache-Control: max-age=60"}, {want: "miss | = #2"}}},
		row{name: "a response to HEAD does not answer a HEAD", differs: "the suite stores it. This cache answers HEAD from responses to GET only (RFC 9110, section 9.3.2)", turns: []turn{
			{send: "HEAD", reply: "Cache-Control: max-age=60"}, {send: "HEAD", want: "miss"}}},
		row{name: "a response without freshness and validator", differs: asReceived, turns: []turn{{reply: "200"}, {want: "miss | = #2"}}},
	)
}

func apacheReuse() []row {
	var rows []row
	add := func(name, first, reply, second, want, differs string) {
		reply2 := ""
		if want == "revalidated" {
			reply2 = "304"
		}
		rows = append(rows, row{name: name, differs: differs, turns: []turn{
			{send: first, reply: `Date: {-10s} | ETag: "a" | ` + reply}, {send: second, reply: reply2, want: want}}})
	}
	const fresh = "Cache-Control: max-age=3600"
	add("GET answers GET", "GET /foo", fresh, "GET /foo", "hit", "")
	add("GET answers HEAD", "GET /foo", fresh, "HEAD /foo", "hit", "")
	add("GET does not answer POST", "GET /foo", fresh, "POST /foo | = x", "bypass", "")
	add("HEAD does not answer HEAD", "HEAD /foo", fresh, "HEAD /foo", "miss", "the suite lets it. This cache answers HEAD from responses to GET only (RFC 9110, section 9.3.2)")
	add("HEAD does not answer GET", "HEAD /foo", fresh, "GET /foo", "miss", "")
	add("the default port", "GET http://some-host/foo", fresh, "GET http://some-host:80/foo", "hit", "")
	add("the case of a host", "GET http://some-host/foo?bar", fresh, "GET http://Some-Host:80/foo?bar", "hit", "")
	add("another host", "GET http://some-host/foo", fresh, "GET http://some-other-host/foo", "miss", "")
	add("another query", "GET http://some-host/foo?bar", fresh, "GET http://some-host/foo?huh", "miss", "")
	add("an empty Vary", "", fresh+" | Vary:", "", "hit", "")
	add("an equal value", "Accept-Encoding: blah", fresh+" | Vary: Accept-Encoding", "Accept-Encoding: blah", "hit", "")
	add("the same members in another order", "Accept-Encoding:  gzip, zip, deflate", fresh+" | Vary: Accept-Encoding", "Accept-Encoding: gzip, deflate, deflate ,  zip, ", "hit", "")
	add("more members", "Accept-Encoding:  gzip, deflate", fresh+" | Vary: Accept-Encoding", "Accept-Encoding: gzip, deflate, zip", "revalidated", "")
	add("no-cache", "", "Cache-Control: no-cache, max-age=3600", "", "revalidated", "")
	add("no-cache with names of fields that are not there", "", `Cache-Control: no-cache="stuff, more-stuff", max-age=3600`, "", "hit", "")
	add("no-cache with the name of a field that is there", "", `Stuff: booh | Cache-Control: no-cache="stuff, more-stuff", max-age=3600`, "", "hit | Stuff:", "the suite validates the response. This cache uses it without the field, which is enough (RFC 9111, section 5.2.2.4)")
	add("fresh", "", fresh, "", "hit", "")
	add("stale", "", "Cache-Control: max-age=5", "", "revalidated", "")
	add("no-cache of a request", "", fresh, "Cache-Control: no-cache", "revalidated", "")
	add("max-age of a request that is just reached", "", fresh, "Cache-Control: max-age=10", "hit", "the suite validates the response. Its age is not greater than 10 seconds (RFC 9111, section 5.2.1.1)")
	add("max-age of a request that is exceeded", "", fresh, "Cache-Control: max-age=9", "revalidated", "")
	add("max-age of a request", "", fresh, "Cache-Control: max-age=15", "hit", "")
	add("min-fresh of a request", "", fresh, "Cache-Control: min-fresh=10", "hit", "")
	add("min-fresh of a request that is longer than the rest", "", "Cache-Control: max-age=15", "Cache-Control: min-fresh=10", "revalidated", "")
	add("max-stale of a request", "", "Cache-Control: max-age=5", "Cache-Control: max-stale=10", "stale", "")
	add("max-stale of a request that is exceeded", "", "Cache-Control: max-age=5", "Cache-Control: max-stale=2", "revalidated", "")
	add("s-maxage that is over in a shared cache", "", "Cache-Control: s-maxage=5", "", "revalidated", "")
	add("s-maxage in a shared cache", "", "Cache-Control: s-maxage=3600", "", "hit", "")
	rows = append(rows,
		row{name: "heuristic freshness by Last-Modified", turns: []turn{{reply: "Date: {-1s} | Last-Modified: {-21s}"}, {want: "hit"}}},
		row{name: "heuristic freshness by default", turns: []turn{{reply: "Date: {-10s}"}, {want: "hit"}},
			with: func(tr *cachecontrol.Transport) { tr.Heuristic = heuristics.ExpiresAfter(20 * time.Second) }})

	failure := func(name, response, request, want string) row {
		return row{name: name, turns: []turn{
			{reply: `Date: {-10s} | ETag: "a" | Cache-Control: max-age=4` + response}, {send: request, reply: "500", want: want}}}
	}
	byDefault := failure("the default of the cache for stale-if-error", "", "", "stale | = #1")
	overridden := failure("stale-if-error of a request limits the default of the cache", "", "Cache-Control: stale-if-error=5", "stale | = #1")
	overridden.differs = "the suite lets the request limit the default. The program that configures a cache and the one that sends the request are the same here; RFC 5861, section 4, only permits more"
	for _, r := range []*row{&byDefault, &overridden} {
		r.with = func(tr *cachecontrol.Transport) { tr.StaleIfError = time.Hour }
	}
	return append(rows, byDefault, overridden,
		failure("stale-if-error of a request", "", "Cache-Control: stale-if-error=10", "stale | = #1"),
		failure("stale-if-error of a request that is exceeded", "", "Cache-Control: stale-if-error=5", "miss | 500"),
		loses(failure("min-fresh does not win over stale-if-error of a request", "", "Cache-Control: stale-if-error=10, min-fresh=4", "stale | = #1")),
		failure("stale-if-error of a request that is not valid", "", "Cache-Control: stale-if-error=-1", "miss | 500"),
		failure("stale-if-error of a response", ", stale-if-error=10", "", "stale | = #1"),
		failure("stale-if-error of a response that is exceeded", ", stale-if-error=5", "", "miss | 500"),
		failure("stale-if-error of a response that is not valid", ", stale-if-error=-1", "", "miss | 500"),
		failure("stale-if-error of a request adds to that of a response", ", stale-if-error=5", "Cache-Control: stale-if-error=10", "stale | = #1"),
	)
}

// lifetime returns a row in which a response is fresh for a number of seconds after it was received.
func lifetime(name, reply string, seconds time.Duration) row {
	if seconds == 0 {
		return asked(name, reply)
	}
	return row{name: name, turns: []turn{{reply: reply}, {wait: seconds*s - s, want: "hit"}, {wait: s, want: "miss | = #3"}}}
}

func apacheFreshness() []row {
	const date = "Date: {0s} | "
	rows := []row{
		lifetime("the age counts from Date", "Date: {-4s} | Cache-Control: max-age=10", 6),
		lifetime("a Date in the future gives the age 0", "Date: {4s} | Cache-Control: max-age=10", 10),
		lifetime("Age counts if it is larger", "Date: {-6s} | Age: 10 | Cache-Control: max-age=20", 10),
		lifetime("Age counts", date+"Age: 6 | Cache-Control: max-age=10", 4),
		lifetime("a response without Date has the age 0", "Date: | Cache-Control: max-age=10", 10),
		lifetime("s-maxage wins over max-age", "Cache-Control: s-maxage=10, max-age=5", 10),
		lifetime("a longer s-maxage wins over max-age", "Cache-Control: max-age=10, s-maxage=20", 20),
		lifetime("max-age without s-maxage", "Cache-Control: max-age=10", 10),
		lifetime("max-age wins over Expires", date+"Expires: {4s} | Cache-Control: max-age=10", 10),
		lifetime("s-maxage wins over Expires", date+"Expires: {4s} | Cache-Control: s-maxage=10", 10),
		lifetime("Expires without max-age", date+"Expires: {4s}", 4),
		lifetime("s-maxage in a private cache", "Cache-Control: s-maxage=10, max-age=5", 5),
		lifetime("no heuristic freshness without Last-Modified", "", 0),
		lifetime("no heuristic freshness if Last-Modified is after Date", "Date: {-11s} | Last-Modified: {-1s}", 0),
		lifetime("an Age that is negative", "Age: -100 | Cache-Control: max-age=10", 10),
		lifetime("another Age that is negative", "Age: -123 | Cache-Control: max-age=10", 10),
		lifetime("an Age that is no number", "Age: asdf | Cache-Control: max-age=10", 10),
		lifetime("the first of several members of Age", "Age: 123,456,789 | Cache-Control: max-age=133", 10),
		lifetime("several numbers in Age", "Age: 123 456 789 | Cache-Control: max-age=10", 10),
		lifetime("an Age that is too large", "Age: 19223372036854775807 | Cache-Control: max-age=10", 0),
		{name: "the time of the response counts", turns: []turn{{reply: "Cache-Control: max-age=10"}, {wait: 6 * s, want: "hit | Age: 6"}}},
		{name: "heuristic freshness", turns: []turn{{reply: "Last-Modified: {-10s}"}, {want: "hit"}, {wait: s, reply: "304", want: "revalidated"}}},
		{name: "a default of the program for heuristic freshness", turns: []turn{{}, {wait: 9 * s, want: "hit"}, {wait: s, want: "miss"}},
			with: func(tr *cachecontrol.Transport) { tr.Heuristic = heuristics.ExpiresAfter(10 * time.Second) }},
	}
	rows[4].differs = "the suite takes the largest age. The time of receipt stands for a missing Date (RFC 9110, section 6.6.1)"
	rows[11].with = private
	rows[13].turns[1].reply, rows[13].turns[1].want = "304", "revalidated"
	rows[19].differs = "the suite ignores it. A number that is too large counts as 2,147,483,648 (RFC 9111, section 1.2.2)"
	return rows
}

func apacheParser() []row {
	cc := func(name, value string, seconds time.Duration) row {
		return lifetime(name, "Cache-Control: "+value, seconds)
	}
	validated := func(name, field string) row {
		return row{name: name, turns: []turn{{reply: `ETag: "a" | ` + field}, {reply: "304", want: "revalidated"}}}
	}
	dropped := func(name, field string) row {
		return row{name: name, turns: []turn{{reply: `ETag: "a" | ` + field}, {want: "miss | = #2", sent: "If-None-Match:"}}}
	}
	const lines = "max-age=604800, stale-while-revalidate=86400, s-maxage=3600, must-revalidate"
	rows := []row{
		cc("max-age=0 and an unknown directive", "max-age=0 , this = stuff;", 0),
		cc("s-maxage", "s-maxage=3600", 3600),
		cc("max-age that is no number", "max-age=invalid", 0),
		cc("max-age without a value", "max-age", 0),
		cc("an empty field", "", 0),
		cc("max-age with an empty value", "max-age=,", 0),
		validated("no-cache", "Cache-Control: no-cache, max-age=60"),
		cc("garbage", ",,= blah,", 0),
		cc("several directives", lines, 3600),
		cc("several directives in another order", "max-age=604800, stale-while-revalidate=86400, must-revalidate, s-maxage=3600", 3600),
		dropped("several directives and private", "Cache-Control: "+lines+", private"),
		{name: "public", turns: []turn{{send: "Authorization: a", reply: "Cache-Control: public, max-age=60"}, {want: "hit"}}},
		dropped("private", "Cache-Control: private"),
		dropped("no-store", "Cache-Control: no-store"),
		{name: "stale-while-revalidate", turns: []turn{
			{reply: "Cache-Control: max-age=3600, stale-while-revalidate=120"}, {wait: 3720 * s, want: "stale"}}},
		{name: "no-cache with names", turns: []turn{
			{reply: `Content-Language: en | Other: a | Cache-Control: no-cache="Set-Cookie, Content-Language", max-age=60`}, {want: "hit | Content-Language: | Other: a"}}},
		{name: "no-cache with names and empty members", turns: []turn{
			{reply: `Content-Language: en | Other: a | Cache-Control: no-cache="  , , ,,, Set-Cookie  , , Content-Language ,   ", max-age=60`}, {want: "hit | Content-Language: | Other: a"}}},
		{name: "no-cache with a name that is not quoted", turns: []turn{
			{reply: "Warning: a | Cache-Control: no-cache=Warning, Content-Language, max-age=60"}, {want: "hit | Warning:"}}},
		dropped("several lines", "Cache-Control: max-age=3600, no-store | Cache-Control: private, must-revalidate"),
		dropped("several lines with a directive each", "Cache-Control: max-age=3600 | Cache-Control: no-store | Cache-Control: private | Cache-Control: must-revalidate"),
		{name: "several directives of a request", turns: []turn{{reply: "Cache-Control: max-age=60"},
			{send: "Cache-Control: blah, max-age=1111, max-stale=2222, min-fresh=3333, no-cache, no-store, no-cache, no-stuff, only-if-cached, only-if-cached-or-maybe-not", reply: "none", want: "504"}}},
		cc("immutable and max-age=0", "max-age=0 , immutable", 0),
		cc("immutable twice", "immutable, nmax-age=0 , immutable", 0),
		{name: "max-stale of a request without a value", turns: []turn{{reply: `ETag: "a" | Cache-Control: max-age=1`}, {wait: 1e6 * s, send: "Cache-Control: max-stale", want: "stale"}}},
		{name: "max-stale of a request with an empty value", turns: []turn{{reply: `ETag: "a" | Cache-Control: max-age=1`}, {wait: 2 * s, send: "Cache-Control: max-stale=", reply: "304", want: "revalidated"}}},
	}
	return rows
}
