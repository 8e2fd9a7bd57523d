package suites

import (
	"fmt"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// Reasons that several rows share.
const (
	anyStatus = "the suite stores only statuses that it knows. A response with any final status may be stored if it has explicit freshness, unless it has must-understand (RFC 9111, section 3)"
	noWarning = "the suite follows RFC 7234. Warning is obsolete: the cache neither generates nor removes it (RFC 9111, section 5.5)"
	queryOnly = "the suite stores the response to POST for further POSTs. This cache does so only if the program adds POST to CacheableMethods, because the content would have to be part of the key (RFC 9110, section 9.3.3)"
)

// semantics are the tests of http-cache-semantics, the policy that caches for Node.js use.
func semantics() []suite {
	return []suite{
		{name: "http-cache-semantics, from OkHttp", rows: semanticsOkHTTP(), left: []omission{
			{3, "100, 101 and 102 are not final responses; net/http does not return them as such"},
		}},
		{name: "http-cache-semantics, requests", shared: true, rows: semanticsRequests()},
		{name: "http-cache-semantics, responses", shared: true, rows: semanticsResponses(), left: []omission{
			{2, "they test an option that ignores no-store if pre-check and post-check are there, too"},
		}},
		{name: "http-cache-semantics, validation", shared: true, rows: semanticsValidation()},
		{name: "http-cache-semantics, reuse", shared: true, rows: semanticsReuse(), left: []omission{
			{2, "they test how the policy is converted to JSON, and its errors if the header is missing"},
		}},
		{name: "http-cache-semantics, 304", shared: true, rows: semanticsUpdates()},
		{name: "http-cache-semantics, Vary", shared: true, rows: semanticsVary()},
	}
}

const s = time.Second

func private(tr *cachecontrol.Transport) { tr.Shared = false }

func semanticsOkHTTP() []row {
	var rows []row
	status := func(code int, want, differs string) {
		rows = append(rows, row{name: fmt.Sprintf("status %d with explicit freshness", code), differs: differs, turns: []turn{
			{reply: fmt.Sprintf("%d | Last-Modified: {-1h} | Expires: {1h} | WWW-Authenticate: challenge", code)}, {want: want}}})
	}
	for _, code := range []int{200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501} {
		status(code, "hit", "")
	}
	for _, code := range []int{201, 202, 205, 207, 305, 306, 400, 402, 403, 406, 408, 409, 411, 412, 413, 415, 417, 418, 500, 502, 503, 504, 505, 506} {
		status(code, "hit", anyStatus)
	}
	for _, code := range []int{206, 304, 401, 416, 429} {
		status(code, "miss | = #2", "")
	}

	for _, method := range []string{"OPTIONS", "PUT", "DELETE", "TRACE"} {
		rows = append(rows, row{name: "a response to " + method + " is not stored", turns: []turn{
			{send: method, reply: "Expires: {1h}"}, {send: method, want: "bypass | = #2"}}})
	}
	return append(rows,
		row{name: "a tenth of the time since Last-Modified, less than a day", turns: []turn{
			{reply: "Date: {-5s} | Last-Modified: {-105s}"}, {wait: 4 * s, want: "hit"}, {wait: 2 * s, reply: "304", want: "revalidated"}}},
		row{name: "a tenth of the time since Last-Modified, more than a day", turns: []turn{
			{reply: "Date: {-120h} | Last-Modified: {-2520h}"}, {reply: "304", want: "revalidated"}},
			differs: "the suite's lifetime is ten days. This heuristic gives at most one day, as Python's CacheControl does, so the response is stale when it arrives"},
		row{name: "max-age of a response whose Date is long ago", turns: []turn{
			{reply: "Date: {-120s} | Cache-Control: max-age=60"}, {want: "miss | = #2"}},
			differs: "the suite ignores Date. The current age is at least the time since Date (RFC 9111, section 4.2.3)"},
		row{name: "max-age of a response whose Date is in the future", turns: []turn{
			{reply: "Date: {120s} | Cache-Control: max-age=60"}, {wait: 59 * s, want: "hit"}, {wait: s, want: "miss"}}},
		row{name: "stale-if-error adds to the time of use", turns: []turn{
			{reply: "Date: {120s} | Cache-Control: max-age=60, stale-if-error=200"}, {wait: 259 * s, reply: "down", want: "stale | = #1"}, {wait: 2 * s, reply: "down", want: "error"}}},
		row{name: "stale-while-revalidate adds to the time of use", turns: []turn{
			{reply: "Date: {120s} | Cache-Control: max-age=60, stale-while-revalidate=200"}, {wait: 259 * s, reply: "down", want: "stale | = #1"}, {wait: 2 * s, want: "miss | = #3"}}},
		row{name: "stale-while-revalidate validates in the background", turns: []turn{
			{reply: "Age: 120 | Cache-Control: max-age=60, stale-while-revalidate=200"}, {reply: "Cache-Control: max-age=60", want: "stale | = #1"}, {want: "hit | = #2"}}},
		row{name: "must-revalidate wins over stale-while-revalidate", turns: []turn{
			{reply: "Age: 120 | Cache-Control: max-age=60, stale-while-revalidate=200, must-revalidate"}, {want: "miss | = #2"}}},
		row{name: "max-stale allows a response with stale-while-revalidate", turns: []turn{
			{reply: "Age: 100 | Cache-Control: max-age=60, stale-while-revalidate=200"}, {send: "Cache-Control: max-stale", want: "stale | = #1"}}},
		row{name: "max-stale of just the time since the response became stale", turns: []turn{
			{reply: "Age: 100 | Cache-Control: max-age=60, stale-while-revalidate=200"}, {send: "Cache-Control: max-stale=40", want: "stale | = #1"}},
			differs: "the suite asks the origin. The response has exceeded its lifetime by no more than 40 seconds (RFC 9111, section 5.2.1.2)"},
		row{name: "stale-while-revalidate of just the time since the response became stale", turns: []turn{
			{reply: "Age: 260 | Cache-Control: max-age=60, stale-while-revalidate=200"}, {want: "stale | = #1"}, {wait: s}},
			differs: "the suite asks the origin. The directive permits the use up to this number of seconds (RFC 5861, section 3)"},
		row{name: "stale-while-revalidate ends", turns: []turn{
			{reply: "Age: 261 | Cache-Control: max-age=60, stale-while-revalidate=200"}, {want: "miss | = #2"}}},
		row{name: "a private cache prefers max-age to a lower s-maxage", turns: []turn{
			{reply: "Date: {-120s} | Cache-Control: s-maxage=60, max-age=180"}, {wait: 59 * s, want: "hit"}}},
		row{name: "Age counts for max-age", turns: []turn{
			{reply: "Age: 360 | Cache-Control: s-maxage=60, max-age=180"}, {want: "miss | = #2"}}},
		row{name: "a Date that is a bit in the past, and a long header", turns: []turn{
			{reply: `Date: {-50s} | Cache-Control: private, max-age=60, s-maxage=60 | Vary: Accept, Authorization, Cookie, X-GitHub-OTP | ETag: W/"4876"`}, {want: "hit"}}},
		row{name: "ETag, Last-Modified and Expires", turns: []turn{{reply: "ETag: v1 | Last-Modified: {-2h} | Expires: {1h}"}, {want: "hit"}}},
		row{name: "no-store of a request", turns: []turn{{send: "Cache-Control: no-store", reply: "Cache-Control: max-age=60"}, {want: "miss | = #2"}}},
		row{name: "max-age of a request that the response meets", turns: []turn{
			{reply: "Last-Modified: {-2h} | Age: 60 | Expires: {1h}"}, {send: "Cache-Control: max-age=90", want: "hit"}}},
		row{name: "max-age of a request that the response does not meet", turns: []turn{
			{reply: "Last-Modified: {-2h} | Age: 60 | Expires: {1h}"}, {send: "Cache-Control: max-age=30", reply: "304", want: "revalidated"}}},
		row{name: "min-fresh of a request", turns: []turn{
			{reply: "Cache-Control: max-age=60"}, {send: "Cache-Control: min-fresh=10", want: "hit"}, {send: "Cache-Control: min-fresh=120", want: "miss | = #3"}}},
		row{name: "min-fresh of a request with stale-while-revalidate", turns: []turn{
			{reply: "Cache-Control: max-age=60, stale-while-revalidate=100000"}, {send: "Cache-Control: min-fresh=10", want: "hit"}, {send: "Cache-Control: min-fresh=120", want: "miss | = #3"}}},
		row{name: "max-stale of a request", turns: []turn{
			{reply: "Cache-Control: max-age=120 | Age: 240"}, {send: "Cache-Control: max-stale=180", want: "stale"},
			{send: "Cache-Control: max-stale", want: "stale"}, {send: "Cache-Control: max-stale=10", want: "miss | = #4"}}},
		row{name: "must-revalidate wins over max-stale=180", turns: []turn{
			{reply: "Cache-Control: max-age=120, must-revalidate | Age: 360"}, {send: "Cache-Control: max-stale=180", want: "miss | = #2"}}},
		row{name: "must-revalidate wins over max-stale", turns: []turn{
			{reply: "Cache-Control: max-age=120, must-revalidate | Age: 360"}, {send: "Cache-Control: max-stale", want: "miss | = #2"}}},
		row{name: "a warning of the first class in a stored response", turns: []turn{
			{reply: "Cache-Control: max-age=60 | Warning: 199 test danger, 200 ok ok"}, {want: "hit | Warning: 199 test danger, 200 ok ok"}}, differs: noWarning},
		row{name: "a part does not answer a request for the whole", turns: []turn{
			{send: "Range: bytes=100-100", reply: "206 | Content-Range: bytes 100-100/200 | Cache-Control: max-age=60 | = x"}, {want: "miss | = #2"}}},
	)
}

func semanticsRequests() []row {
	pair := func(name, request, reply, want, differs string) row {
		return row{name: name, turns: []turn{{send: request, reply: reply}, {send: request, want: want}}, differs: differs}
	}
	const auth = "Authorization: test"
	rows := []row{
		pair("no-store of a request forbids storing", "Cache-Control: no-store", "Cache-Control: public, max-age=222", "miss | = #2", ""),
		pair("a response to POST without freshness", "POST | = x", "Cache-Control: public", "bypass | = #2", ""),
		pair("a response to POST with freshness", "POST | = x", "Cache-Control: public, max-age=222", "bypass | = #2", queryOnly),
		pair("credentials and public", auth, "Cache-Control: public, max-age=222", "hit", ""),
		pair("credentials and s-maxage", auth, "Cache-Control: max-age=0,s-maxage=12", "hit", ""),
		pair("credentials in a private cache", auth, "Cache-Control: max-age=111", "hit", ""),
		pair("credentials and must-revalidate", auth, "Cache-Control: max-age=88,must-revalidate", "hit", ""),
		pair("credentials and nothing that allows storing", auth, "Cache-Control: max-age=111", "miss | = #2", ""),
	}
	rows[5].with = private
	return rows
}

func semanticsResponses() []row {
	const old = "Last-Modified: {-70000h}"
	asWritten := func(name, reply string) row {
		r := asked(name, reply)
		r.differs = "the suite takes the directive for max-age. It does not match the grammar, and a response whose freshness is not clear is stale (RFC 9111, sections 4.2.1 and 5.2)"
		return r
	}
	rows := []row{
		asked("a response without fields", ""),
		reused("public and max-age", "Cache-Control: public, max-age=999999"),
		asWritten("empty members and white space around the equals sign", "Cache-Control: ,,,,max-age =  456      ,"),
		asWritten("a quoted value and white space around the equals sign", `Cache-Control:   max-age = "678"      `),
		reused("empty members", "Cache-Control: ,,,,max-age=456      ,"),
		reused("a quoted value", `Cache-Control:   max-age="678"      `),
		{name: "private and public in a private cache", with: private, turns: []turn{{reply: "Cache-Control: private, public, max-age=259200"}, {want: "hit"}}},
		asked("unknown directives do not weaken no-store", "Cache-Control: pre-check=0, post-check=0, no-store, no-cache, max-age=100"),
		{name: "Expires two seconds after Date", turns: []turn{{reply: "Expires: {2s}"}, {wait: s, want: "hit"}, {wait: s, want: "miss | = #3"}}},
		asked("Expires is relative to Date", "Date: {-3s} | Expires: {0s}"),
		{name: "Expires is relative to Date, with some seconds left", turns: []turn{
			{reply: "Date: {-3s} | Expires: {3s}"}, {wait: 2 * s, want: "hit"}, {wait: s, want: "miss | = #3"}}},
		reused("Expires without Date", "Date: | Cache-Control: public | Expires: {1h}"),
		{name: "Age counts", turns: []turn{
			{reply: "Cache-Control: max-age=100 | Age: 50"}, {wait: 48 * s, want: "hit"}, {wait: 5 * s, want: "miss | = #3"}}},
		asked("Age makes a response stale", "Cache-Control: max-age=100 | Age: 101"),
		reused("Age does not always make a response stale", "Cache-Control: max-age=20 | Age: 15"),
		reused("an invalid Age is ignored", "Cache-Control: max-age=20 | Age: golden"),
		reused("Last-Modified long ago gives heuristic freshness", old),
		reused("immutable does not matter while a response is fresh", "Cache-Control: immutable, max-age=999999"),
		asked("immutable does not prevent that a response becomes stale", "Cache-Control: immutable, max-age=0"),
		{name: "immutable alone gives no freshness", turns: []turn{
			{reply: "Cache-Control: immutable | Last-Modified: {0s}"}, {reply: "304", want: "revalidated"}},
			differs: "the suite gives such responses a day by default. The directive extends no lifetime (RFC 8246, section 2)"},
		{name: "immutable alone gives no freshness if an option of the suite says so", turns: []turn{
			{reply: "Cache-Control: immutable | Last-Modified: {0s}"}, {reply: "304", want: "revalidated"}}},
		{name: "Pragma in a response", turns: []turn{{reply: "Pragma: no-cache | " + old}, {want: "hit"}},
			differs: "the suite takes it for no-cache. It is defined for requests only (RFC 9111, section 5.4)"},
		{name: "an empty Cache-Control prevents heuristic freshness", turns: []turn{
			{reply: "Cache-Control: | Pragma: no-cache | Last-Modified: {-10s}"}, {reply: "304", want: "revalidated"}},
			differs: "the suite applies its heuristic. This one, as that of Python's CacheControl, applies only if there is no Cache-Control or if it is public; none is required (RFC 9111, section 4.2.2)"},
		asked("no-store wins", "Cache-Control: no-store, public, max-age=1"),
		asked("a shared cache does not store a private response", "Cache-Control: private, max-age=1234"),
		{name: "a private cache stores a private response", with: private, turns: []turn{{reply: "Cache-Control: private, max-age=1234"}, {want: "hit"}}},
		asked("a shared cache does not store a response with a cookie", "Set-Cookie: foo=bar | Cache-Control: max-age=99"),
		{name: "a private cache stores a response with a cookie", with: private, turns: []turn{{reply: "Set-Cookie: foo=bar | Cache-Control: max-age=99"}, {want: "hit | Set-Cookie:"}}},
		{name: "a shared cache does not store an immutable response with a cookie", turns: []turn{
			{reply: "Set-Cookie: foo=bar | Cache-Control: immutable, max-age=99"}, {want: "miss | = #2"}},
			differs: "the suite stores it. immutable says nothing about who may see a response (RFC 8246, section 2); public and s-maxage do"},
		reused("a shared cache stores a public response with a cookie", "Set-Cookie: foo=bar | Cache-Control: max-age=5, public"),
		asked("public, max-age=0 is stale", "Cache-Control: public, max-age=0"),
		{name: "503 with max-age", turns: []turn{{reply: "503 | Cache-Control: public, max-age=1000"}, {want: "hit | 503"}}, differs: anyStatus},
		{name: "301 with Last-Modified", turns: []turn{{reply: "301 | " + old}, {want: "hit | 301"}}},
		{name: "303 with Last-Modified", turns: []turn{{reply: "303 | " + old}, {want: "miss | = #2"}}},
		{name: "303 with max-age", turns: []turn{{reply: "303 | Cache-Control: max-age=1000"}, {want: "hit | 303"}}},
		{name: "412 with max-age", turns: []turn{{reply: "412 | Cache-Control: public, max-age=1000"}, {want: "hit | 412"}}, differs: anyStatus},
		reused("max-age wins over a past Expires", "Cache-Control: public, max-age=9999 | Expires: {-720h}"),
		reused("s-maxage wins over a past Expires in a shared cache", "Cache-Control: public, s-maxage=9999 | Expires: {-720h}"),
		{name: "a past Expires wins over s-maxage in a private cache", with: private, turns: []turn{
			{reply: "Cache-Control: public, s-maxage=9999 | Expires: {-720h}"}, {want: "miss | = #2"}}},
		{name: "max-age wins over a future Expires", turns: []turn{
			{reply: "Cache-Control: public, max-age=333 | Expires: {1h}"}, {wait: 332 * s, want: "hit"}, {wait: s, want: "miss"}}},
		{name: "fields of the connection are not stored", turns: []turn{
			{reply: "TE: deflate | Custom: header | Oompa: lumpa | Connection: close, oompa, header | Age: 10 | Cache-Control: public, max-age=333"},
			{wait: s, want: "hit | Connection: | TE: | Oompa: | Cache-Control: public, max-age=333 | Custom: header | Age: 11"}}},
	}
	return rows
}

func semanticsValidation() []row {
	const (
		tagged   = `Cache-Control: max-age=111 | ETag: "123456789"`
		modified = "Cache-Control: max-age=111 | Last-Modified: {-70000h}"
		both     = tagged + " | Last-Modified: {-70000h}"
		since    = "{-252000200s}" // 70,000 hours before the first request
	)
	later := func(name, first, second, want, sent, differs string) row {
		reply := "304"
		if want == "miss" {
			reply = ""
		}
		return row{name: name, turns: []turn{{send: "X-Custom: yes", reply: first}, {wait: 200 * s, send: "X-Custom: yes | " + second, reply: reply, want: want, sent: sent}}, differs: differs}
	}
	trim := func(r row) row {
		for i := range r.turns {
			if n := len(r.turns[i].send); n > 3 && r.turns[i].send[n-3:] == " | " {
				r.turns[i].send = r.turns[i].send[:n-3]
			}
		}
		return r
	}
	const callers = "the suite adds the stored tag to the caller's. A cache may do so (RFC 9111, section 4.3.2), and this one passes the caller's condition on as it is: the caller gets the 304 that it asked for"
	rows := []row{
		{name: "HEAD validates a stored response", turns: []turn{
			{reply: tagged}, {wait: 200 * s, send: "HEAD | X-Custom: yes", reply: "304", want: "revalidated | 200", sent: `X-Custom: yes | If-None-Match: "123456789"`}}},
		{name: "POST does not validate", turns: []turn{
			{reply: tagged}, {wait: 200 * s, send: "POST | X-Custom: yes | = x", want: "bypass", sent: "X-Custom: yes | If-None-Match: | If-Modified-Since:"}}},
		{name: "another URL is not validated", turns: []turn{
			{reply: tagged}, {wait: 200 * s, send: "/other | X-Custom: yes", want: "miss", sent: "X-Custom: yes | If-None-Match: | If-Modified-Since:"}}},
		{name: "another host is not validated", turns: []turn{
			{reply: tagged}, {wait: 200 * s, send: "GET http://example.org/", want: "miss", sent: "X-Custom: | If-None-Match: | If-Modified-Since:"}}},
		later("Vary: * without a validator is not validated", "Cache-Control: max-age=111 | Vary: *", "", "miss", "X-Custom: yes | If-None-Match: | If-Modified-Since:", ""),
		later("a stored tag is sent", tagged, "", "revalidated", `X-Custom: yes | If-None-Match: "123456789"`, ""),
		{name: "a condition of POST is passed on", turns: []turn{
			{reply: both}, {wait: 200 * s, send: `POST | If-None-Match: W/"weak", "strong", W/"weak2" | = x`, want: "bypass", sent: `If-None-Match: W/"weak", "strong", W/"weak2" | If-Modified-Since:`}},
			differs: "the suite removes the weak tags and adds the stored one. The condition is the caller's, and a cache does not act on it for such a method (RFC 9111, section 4.3.2)"},
		{name: "a condition of POST with a weak tag only is passed on", turns: []turn{
			{reply: modified}, {wait: 200 * s, send: `POST | If-None-Match: W/"weak" | = x`, want: "bypass", sent: `If-None-Match: W/"weak" | If-Modified-Since:`}},
			differs: "the suite removes the weak tag, because RFC 2616 compared the tags of other methods strongly. If-None-Match always compares weakly (RFC 9110, section 13.1.2)"},
		later("the caller's tags are sent alone, and a 304 reaches the caller", both, `If-None-Match: W/"weak", "strong", W/"weak2"`, "304", `If-None-Match: W/"weak", "strong", W/"weak2" | If-Modified-Since:`, callers),
		later("a stored Last-Modified is sent", modified, "", "revalidated", "X-Custom: yes | If-Modified-Since: "+since, ""),
		later("without a validator no condition is sent", "Cache-Control: max-age=111", "", "miss", "X-Custom: yes | If-None-Match: | If-Modified-Since: | Warning:", ""),
		{name: "heuristic freshness of more than a day has no warning 113", turns: []turn{
			{reply: "Age: 80000 | Last-Modified: {-70000h}"}, {want: "hit | Warning:"}}, differs: noWarning},
		{name: "a warning of the first class alone in a stored response", turns: []turn{
			{reply: "Cache-Control: max-age=60 | Warning: 199 test danger"}, {want: "hit | Warning: 199 test danger"}}, differs: noWarning},
		later("the tag is sent if there is Last-Modified, too", both, "", "revalidated", `If-None-Match: "123456789"`, ""),
		later("two tags of the caller are sent alone", tagged, `If-None-Match: "foo", "bar"`, "304", `If-None-Match: "foo", "bar"`, callers),
		later("Last-Modified is sent if there is a tag, too", both, "", "revalidated", "If-Modified-Since: "+since, ""),
		{name: "a date of POST that is none is passed on", turns: []turn{
			{reply: modified}, {send: "POST | If-Modified-Since: yesterday | = x", want: "bypass", sent: "If-Modified-Since: yesterday"}},
			differs: "the suite removes the field. It is the caller's, and the origin ignores it if it is not a date (RFC 9110, section 13.1.3)"},
		{name: "a date that is none, with Accept-Ranges", turns: []turn{
			{reply: modified}, {wait: 200 * s, send: "Accept-Ranges: 1-3 | If-Modified-Since: yesterday", want: "miss | = #2", sent: "If-Modified-Since: yesterday"}},
			differs: "the suite removes the field. It is the caller's, and the origin ignores it if it is not a date (RFC 9110, section 13.1.3)"},
	}
	for i := range rows {
		rows[i] = trim(rows[i])
	}
	return rows
}

func semanticsReuse() []row {
	first := func(name, one, reply, two, want, differs string) row {
		return row{name: name, turns: []turn{{send: one, reply: reply}, {send: two, want: want}}, differs: differs}
	}
	const fresh = "Cache-Control: max-age=2"
	proxied := "Cache-Control: max-age=2, proxy-revalidate "
	rows := []row{
		first("the same URL", "/", fresh, "/", "hit", ""),
		first("302 with Expires", "/", "302 | Expires: {2s}", "/", "hit | 302", ""),
		first("another query", "/foo", fresh, "/foo?bar", "miss", ""),
		first("the same method", "GET /", fresh, "GET /", "hit", ""),
		first("the same host", "GET http://foo/", fresh, "GET http://foo/", "hit", ""),
		first("another host", "GET http://foo/", fresh, "GET http://foofoo/", "miss", ""),
		first("HEAD after HEAD", "HEAD", fresh, "HEAD", "miss",
			"the suite reuses the response to HEAD. This cache stores no responses to HEAD; it answers HEAD from the response to GET (RFC 9110, section 9.3.2)"),
		first("GET after POST", "POST | = x", fresh, "GET", "miss", ""),
		first("GET after HEAD", "HEAD", fresh, "GET", "miss", ""),
		first("proxy-revalidate does not matter while a response is fresh", "/", proxied, "/", "hit",
			"the suite never uses such a response in a shared cache. The directive concerns stale responses (RFC 9111, section 5.2.2.8)"),
		first("proxy-revalidate in a private cache", "/", proxied, "/", "hit", ""),
		first("an unknown directive in a request", "/", fresh, "Cache-Control: fine", "hit", ""),
		first("no-cache in a request", "/", fresh, "Cache-Control: no-cache", "miss", ""),
		first("Pragma: no-cache in a request", "/", fresh, "Pragma: no-cache", "miss", ""),
	}
	rows[10].with = private
	return rows
}

func semanticsUpdates() []row {
	const (
		tagged   = `ETag: "123456789"`
		weak     = `ETag: W/"123456789"`
		modified = "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT"
		common   = " | Cache-Control: max-age=111"
	)
	update := func(name, stored, received, want string) row {
		return row{name: name, turns: []turn{
			{reply: stored + common + " | Foo: original | X-Other: original | Content-Length: 2"},
			{send: "Cache-Control: no-cache", reply: received + " | Foo: updated | Cache-Control: max-age=111 || = whole", want: want},
		}}
	}
	const updated = "revalidated | 200 | = #1 | Foo: updated | X-Other: original | Content-Length: 2"
	once := func(r row, differs string) row {
		r.turns[1].reply = r.turns[1].reply[:len(r.turns[1].reply)-len(" || = whole")]
		r.differs = differs
		return r
	}
	const noValidator = "the suite takes the 304 for another response, as RFC 9111, section 4.3.4, does with a new strong validator. The cache had sent the validators of one stored response only, so the 304 is about that one (RFC 9110, section 15.4.5)"
	rows := []row{
		once(update("equal strong tags", tagged, "304 | "+tagged, updated), ""),
		once(update("equal weak tags", weak, "304 | "+weak, updated), ""),
		once(update("equal Last-Modified", modified, "304 | "+modified, updated), ""),
		once(update("equal tags and Last-Modified", tagged+" | "+modified, "304 | "+tagged+" | "+modified, updated), ""),
		once(update("a field that only the 304 has is added", tagged, "304 | X-New: added | "+tagged, updated+" | X-New: added"),
			"the suite does not add it. All fields of the 304 are (RFC 9111, section 3.2)"),
		once(update("200 replaces the stored response", tagged, "200 | "+tagged, "miss | 200 | = #2 | X-Other:"), ""),
		update("another tag, which is not quoted", tagged+" | "+modified, "304 | ETag: bad | "+modified, "miss | 200 | = whole"),
		update("another tag, which is weak and not quoted", tagged+" | "+modified, "304 | ETag: W/bad | "+modified, "miss | 200 | = whole"),
		once(update("a 304 without the stored strong tag", tagged, "304", updated), noValidator),
		once(update("a 304 without the stored weak tag", weak, "304", updated), noValidator),
		once(update("a 304 without the stored Last-Modified", modified, "304", updated), noValidator),
		once(update("Content-Length is not updated", tagged, "304 | Content-Length: 5 | "+tagged, updated), ""),
		once(update("a 304 with a strong tag for a response with Last-Modified", modified, "304 | "+tagged, updated), noValidator),
		once(update("a 304 with a weak tag for a response with Last-Modified", modified, "304 | "+weak, updated), noValidator),
		once(update("a 304 with Last-Modified for a response with a tag", tagged, "304 | "+modified, updated), noValidator),
		update("a 304 with another tag", tagged, `304 | ETag: "other"`, "miss | 200 | = whole"),
		once(update("a 304 with a Last-Modified that is no date", modified, "304 | Last-Modified: dunno", updated), noValidator),
	}
	for _, reply := range []string{"down", "500"} {
		rows = append(rows, row{name: "stale-if-error and " + reply, turns: []turn{
			{reply: "Cache-Control: max-age=200, stale-if-error=300"}, {wait: 300 * s, reply: reply, want: "stale | 200 | = #1"}}})
	}
	return rows
}

func semanticsVary() []row {
	second := func(name, first, field, request string, hit bool) row {
		want := "miss | = #2"
		if hit {
			want = "hit | = #1"
		}
		return row{name: name, turns: []turn{{send: first, reply: "Cache-Control: max-age=5 | Vary: " + field}, {send: request, want: want}}}
	}
	const both = "Sun: shining | Weather: nice"
	return []row{
		second("an equal value", "Weather: nice", "weather", "Weather: nice", true),
		second("another value", "Weather: nice", "weather", "Weather: bad", false),
		second("Vary: *", "Weather: ok", "*", "Weather: ok", false),
		second("a value that differs in case only", "Weather: BAD", "Weather", "Weather: bad", false),
		second("a field that Vary does not name", "Weather: nice", "moon-phase", "Weather: bad", true),
		second("a new field that Vary does not name", "Weather: nice", "moon-phase", "Sun: shining", true),
		second("a new field that Vary names", "Weather: nice", "moon-phase", "Moon-Phase: full", false),
		second("a field that both requests lack", "Weather: nice", "moon-phase, weather", "Weather: nice", true),
		second("an empty field is not the same as none", "Weather: nice", "moon-phase, weather", "Weather: nice | Moon-Phase:", false),
		second("a field that only the first request has", "Weather: nice", "moon-phase, weather", "/", false),
		second("two equal values", both, "weather, sun", both, true),
		second("one of two values differs", both, "weather, sun", "Sun: shining | Weather: bad", false),
		second("white space in Vary", both, "    weather       ,     sun     ", both, true),
		second("white space in Vary, and the second field is missing", both, "    weather       ,     sun     ", "Weather: nice", false),
		second("white space in Vary, and the first field is missing", both, "    weather       ,     sun     ", "Sun: shining", false),
		second("fields in another order", both, "weather, sun", "Weather: nice | Sun: shining", true),
		second("names in another order", both, "sun, weather", both, true),
		second("names and fields in another order", both, "sun, weather", "Weather: nice | Sun: shining", true),
	}
}
