package interop

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const fresh = "max-age=3600"

var (
	hourAgo    = time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	hourAhead  = time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	large      = randomText(1<<20 + 1<<19 + 7)
	gzipped    = compressed(body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zlibbed    = compressed(body, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	deflated   = compressed(body, newFlate)
	largeGzip  = compressed(large, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	sameLength = strings.ToUpper(body)
)

func newFlate(w io.Writer) io.WriteCloser {
	fw, err := flate.NewWriter(w, flate.DefaultCompression)
	if err != nil {
		panic(err)
	}
	return fw
}

func compressed(s string, to func(io.Writer) io.WriteCloser) string {
	var buf bytes.Buffer
	w := to(&buf)
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

func randomText(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// always is for steps that are the same whoever begins.
func always(steps ...step) func(run) []step { return func(run) []step { return steps } }

// onlyLast is for fields on several lines: Python stores the last one, Go all of them.
func onlyLast(name, last string) func(run, map[string]string) {
	return func(r run, h map[string]string) {
		if r.first == pythonSide {
			h[name] = last
		}
	}
}

// refreshed is what happens when who has an entry confirmed that the first user has stored: reader then has a hit with
// what the 304 said. But Python writes a new head and leaves the body, and in the separate layout that looks like a head
// whose body is still to come, so there we fetch.
func refreshed(who, reader int, want map[string]string) func(run) []step {
	return func(r run) []step {
		steps := []step{
			{who: first, outcome: fetched},
			{who: who, outcome: validated, want: want},
			{who: reader, outcome: hit, want: want},
		}
		if byPython := (who == first) == (r.first == pythonSide); byPython && r.store == separateCache {
			steps[1].later = true
			steps[2] = step{who: reader, outcome: fetched}
		}
		return steps
	}
}

// unsafeMethod is what happens when the second user changes what the first one has stored.
func unsafeMethod(method string) func(run) []step {
	return always(
		step{who: first, outcome: fetched},
		step{who: second, outcome: fetched, method: method},
		step{who: first, outcome: fetched},
	)
}

func lang(s string) map[string]string { return map[string]string{"X-Lang": s} }

var scenarios = []scenario{
	// Freshness.
	{name: "max-age", origin: reply(body, "Cache-Control", fresh), wire: body},
	{name: "Expires", origin: reply(body, "Expires", hourAhead), wire: body},
	{name: "max-age before Expires", origin: reply(body, "Cache-Control", fresh, "Expires", hourAgo)},
	{name: "private", origin: reply(body, "Cache-Control", "private, "+fresh)},
	{name: "other directives", origin: reply(body, "Cache-Control", `public, x="a, b", `+fresh+", immutable")},
	{name: "no-store", origin: reply(body, "Cache-Control", "no-store, "+fresh), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: fetched})},
	{name: "nothing said", origin: reply(body), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: fetched})},
	{name: "without Date", origin: reply(body, "Date", none, "Cache-Control", fresh), steps: always(
		// Python neither stores such a response nor uses it, and deletes what it finds.
		step{who: first, outcome: fetched}, step{who: second, outcome: fetched}, step{who: first, outcome: fetched})},
	{name: "without Date, with ETag", origin: validating(reply(body, "Date", none, "Cache-Control", fresh, "ETag", `"1"`), "Date", none, "ETag", `"1"`),
		steps: always(step{who: first, outcome: fetched}, step{who: second, outcome: validated})},

	// Validation.
	{name: "ETag only", origin: validating(reply(body, "ETag", `"1"`), "ETag", `"1"`), wire: body, steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: validated, want: map[string]string{"Etag": `"1"`}})},
	{name: "ETag, changed", origin: inTurn(reply(body, "ETag", `"1"`), reply("new", "ETag", `"2"`, "Cache-Control", fresh)), steps: always(
		step{who: first, outcome: fetched},
		step{who: second, outcome: replaced, body: "new"},
		step{who: first, outcome: hit, body: "new"})},
	{name: "stale with ETag", origin: validating(reply(body, "Date", hourAgo, "Cache-Control", "max-age=60", "ETag", `W/"1"`)), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: validated})},
	{name: "stale with Last-Modified", origin: validating(reply(body, "Date", hourAgo, "Cache-Control", "max-age=60", "Last-Modified", hourAgo)),
		steps: func(r run) []step {
			if r.first == pythonSide {
				return []step{{who: first, outcome: fetched}, {who: second, outcome: validated}}
			}
			return []step{{who: first, outcome: fetched}, {who: second, outcome: fetched}} // Python deletes what is stale without ETag
		}},
	{name: "no-cache with ETag", origin: validating(reply(body, "Cache-Control", "no-cache, "+fresh, "ETag", `"1"`)),
		steps: func(r run) []step {
			if r.first == pythonSide {
				return []step{{who: first, outcome: fetched}, {who: second, outcome: validated}}
			}
			return []step{{who: first, outcome: fetched}, {who: second, outcome: hit}} // Python does not know no-cache in responses
		}},
	{name: "gzip and ETag", origin: validating(reply(gzipped, "Content-Encoding", "gzip", "ETag", `"1"`)), wire: gzipped, steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: validated})},
	{name: "refreshed by the second", origin: validating(reply(body, "ETag", `"1"`, "X-Rev", "1"), "ETag", `"1"`, "X-Rev", "2", "Cache-Control", fresh),
		steps: refreshed(second, first, map[string]string{"X-Rev": "2", "Cache-Control": fresh})},
	{name: "refreshed by the first", origin: validating(reply(body, "ETag", `"1"`, "X-Rev", "1"), "ETag", `"1"`, "X-Rev", "2", "Cache-Control", fresh),
		steps: refreshed(first, second, map[string]string{"X-Rev": "2", "Cache-Control": fresh})},
	{name: "refreshed, gzip", origin: validating(reply(gzipped, "ETag", `"1"`, "Content-Encoding", "gzip"), "ETag", `"1"`, "Cache-Control", fresh),
		steps: refreshed(second, first, map[string]string{"Cache-Control": fresh})},
	{name: "refreshed, large", body: large, origin: validating(reply(large, "ETag", `"1"`), "ETag", `"1"`, "Cache-Control", fresh),
		steps: refreshed(second, first, map[string]string{"Cache-Control": fresh})},

	// Selecting header fields.
	{name: "Vary, match", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang"), steps: always(
		step{who: first, outcome: fetched, header: lang("de")}, step{who: second, outcome: hit, header: lang("de")})},
	{name: "Vary, mismatch", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang"), steps: always(
		step{who: first, outcome: fetched, header: lang("de")}, step{who: second, outcome: fetched, header: lang("en")})},
	{name: "Vary, absent and absent", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang")},
	{name: "Vary, absent and present", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang"), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: fetched, header: lang("en")})},
	{name: "Vary, present and absent", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang"), steps: always(
		step{who: first, outcome: fetched, header: lang("en")}, step{who: second, outcome: fetched})},
	{name: "Vary, two names", origin: reply(body, "Cache-Control", fresh, "Vary", "x-lang , X-Other"), steps: always(
		step{who: first, outcome: fetched, header: lang("de")}, step{who: second, outcome: hit, header: lang("de")})},
	{name: "Vary on two lines", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Other", "Vary", "X-Lang"),
		header: onlyLast("Vary", "X-Lang"), steps: always(
			step{who: first, outcome: fetched, header: lang("de")}, step{who: second, outcome: hit, header: lang("de")})},
	{name: "Vary: Accept-Encoding", origin: reply(gzipped, "Cache-Control", fresh, "Vary", "Accept-Encoding", "Content-Encoding", "gzip"), wire: gzipped},
	{name: "Vary, Latin-1", origin: reply(body, "Cache-Control", fresh, "Vary", "X-Lang"), steps: always(
		step{who: first, outcome: fetched, header: lang("fran\xe7ais")}, step{who: second, outcome: hit, header: lang("fran\xe7ais")})},
	{name: "Vary: *", origin: reply(body, "Cache-Control", fresh, "Vary", "*"), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: fetched})},
	{name: "variants", origin: byLang, steps: func(r run) []step {
		steps := []step{
			{who: first, outcome: fetched, header: lang("a"), body: "a"},
			{who: first, outcome: fetched, header: lang("b"), body: "b"},
		}
		if r.first == goSide { // the first variant is the one that Python finds, and Go keeps both
			return append(steps,
				step{who: second, outcome: hit, header: lang("a"), body: "a", want: lang("a")},
				step{who: first, outcome: hit, header: lang("b"), body: "b", want: lang("b")},
				step{who: first, outcome: hit, header: lang("a"), body: "a", want: lang("a")})
		}
		return append(steps, // Python has only the last
			step{who: second, outcome: hit, header: lang("b"), body: "b", want: lang("b")},
			step{who: second, outcome: fetched, header: lang("a"), body: "a"},
			step{who: second, outcome: hit, header: lang("b"), body: "b", want: lang("b")},
			step{who: second, outcome: hit, header: lang("a"), body: "a", want: lang("a")},
			step{who: first, outcome: hit, header: lang("b"), body: "b", want: lang("b")})
	}},
	{name: "variants, the first overwritten", origin: byLang, steps: func(r run) []step {
		// Python has room for one variant: its own takes the first one's place, and ours are forgotten with that.
		if r.first == pythonSide {
			return []step{
				{who: first, outcome: fetched, header: lang("a"), body: "a"},
				{who: second, outcome: fetched, header: lang("b"), body: "b"},
				{who: first, outcome: fetched, header: lang("b"), body: "b"},
				{who: second, outcome: hit, header: lang("b"), body: "b", want: lang("b")},
				{who: second, outcome: fetched, header: lang("a"), body: "a"},
			}
		}
		return []step{
			{who: first, outcome: fetched, header: lang("a"), body: "a"},
			{who: first, outcome: fetched, header: lang("b"), body: "b"},
			{who: second, outcome: fetched, header: lang("c"), body: "c"},
			{who: first, outcome: hit, header: lang("c"), body: "c", want: lang("c")},
			{who: first, outcome: fetched, header: lang("b"), body: "b"},
			{who: second, outcome: hit, header: lang("c"), body: "c", want: lang("c")},
		}
	}},

	// Codings.
	{name: "gzip", origin: reply(gzipped, "Cache-Control", fresh, "Content-Encoding", "gzip"), wire: gzipped},
	{name: "gzip, chunked", origin: chunked(gzipped, "Cache-Control", fresh, "Content-Encoding", "gzip"), wire: gzipped},
	{name: "gzip, large", origin: reply(largeGzip, "Cache-Control", fresh, "Content-Encoding", "gzip"), body: large, wire: largeGzip},
	{name: "deflate", origin: reply(zlibbed, "Cache-Control", fresh, "Content-Encoding", "deflate"), wire: zlibbed},
	{name: "deflate without zlib's frame", origin: reply(deflated, "Cache-Control", fresh, "Content-Encoding", "deflate"), wire: deflated},

	// Bodies.
	{name: "empty body", body: none, origin: reply("", "Cache-Control", fresh)},
	{name: "empty body, chunked", body: none, origin: chunked("", "Cache-Control", fresh)},
	{name: "empty body, ETag", body: none, origin: validating(reply("", "ETag", `"1"`)), steps: always(
		step{who: first, outcome: fetched}, step{who: second, outcome: validated})},
	{name: "large body", body: large, wire: large, origin: reply(large, "Cache-Control", fresh)},
	{name: "large body, chunked", body: large, wire: large, origin: chunked(large, "Cache-Control", fresh)},
	{name: "chunked", wire: body, origin: chunked(body, "Cache-Control", fresh)},
	{name: "HTTP/1.0, up to the end of the connection", wire: body,
		origin: raw("HTTP/1.0 200 Fine\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\nCache-Control: " + fresh + "\r\n\r\n" + body)},
	{name: "part of a body", origin: ranged, steps: func(r run) []step {
		part := step{who: first, outcome: fetched, header: map[string]string{"Range": "bytes=4-7"}, status: 206, body: body[4:8]}
		return []step{part, {who: second, outcome: fetched}, {who: second, outcome: hit}}
	}},

	// Statuses.
	{name: "301", body: "moved", origin: replyStatus(301, "moved", "Location", "/there"), header: noLength, steps: redirect(301)},
	{name: "308", body: "moved", origin: replyStatus(308, "moved", "Location", "/there"), header: noLength, steps: redirect(308)},
	{name: "301 without a body", body: none, origin: replyStatus(301, "", "Location", "/there"), header: noLength, steps: redirect(301)},
	{name: "301 with max-age", body: "moved", origin: replyStatus(301, "moved", "Location", "/there", "Cache-Control", fresh), header: noLength, steps: redirect(301)},
	{name: "301 with ETag", body: "moved", origin: replyStatus(301, "moved", "Location", "/there", "ETag", `"1"`), header: func(r run, h map[string]string) {
		if r.store == separateCache {
			noLength(r, h)
		}
	}, steps: func(r run) []step {
		steps := redirect(301)(r)
		if r.first == pythonSide && r.store != separateCache {
			steps[1].body = "moved" // this one it stores as any other
		}
		return steps
	}},
	{name: "301, chunked", body: "moved", origin: func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/there")
		w.WriteHeader(301)
		w.(http.Flusher).Flush()
		io.WriteString(w, "moved")
	}, steps: redirect(301)},
	{name: "203", origin: replyStatus(203, body, "Cache-Control", fresh), steps: always(
		step{who: first, outcome: fetched, status: 203}, step{who: second, outcome: hit, status: 203})},
	{name: "300", origin: replyStatus(300, body, "Cache-Control", fresh), steps: always(
		step{who: first, outcome: fetched, status: 300}, step{who: second, outcome: hit, status: 300})},
	{name: "404", origin: replyStatus(404, body, "Cache-Control", fresh), steps: func(r run) []step {
		if r.first == pythonSide { // it stores only its own set
			return []step{{who: first, outcome: fetched, status: 404}, {who: second, outcome: fetched, status: 404},
				{who: first, outcome: hit, status: 404}} // but uses what Go has stored
		}
		return []step{{who: first, outcome: fetched, status: 404}, {who: second, outcome: hit, status: 404}}
	}},

	// Header fields.
	{name: "Latin-1", origin: reply(body, "Cache-Control", fresh, "X-Latin", "caf\xe9 \x80\x85\xa0\xff!")},
	{name: "UTF-8", origin: reply(body, "Cache-Control", fresh, "X-Utf8", "naïve €")},
	{name: "names in other cases", origin: validating(reply(body, "ETAG", `"1"`, "x-lower", "1", "X-UPPER", "2", "cache-control", fresh))},
	{name: "empty value", origin: reply(body, "Cache-Control", fresh, "X-Empty", "")},
	{name: "long value", origin: reply(body, "Cache-Control", fresh, "X-Long", strings.Repeat("long ", 4000)+"end")},
	{name: "many fields", origin: reply(body, append([]string{"Cache-Control", fresh}, manyFields(90)...)...)},
	{name: "several Set-Cookie", origin: reply(body, "Cache-Control", fresh, "Set-Cookie", "a=1; Path=/", "Set-Cookie", "b=2; Path=/"),
		header: func(_ run, want map[string]string) { delete(want, "Set-Cookie") }}, // Go neither stores nor hands out stored ones
	{name: "several Link", origin: reply(body, "Cache-Control", fresh, "Link", "</1>; rel=next", "Link", "</2>; rel=prev", "Link", `</3>; title="a, b"`),
		header: onlyLast("Link", `</3>; title="a, b"`)},
	{name: "several Warning", origin: reply(body, "Cache-Control", fresh, "Warning", `299 - "one"`, "Warning", `299 - "two"`),
		header: onlyLast("Warning", `299 - "two"`)},
	{name: "several Link, refreshed by the second", origin: validating(reply(body, "ETag", `"1"`, "Link", "</1>", "Link", "</2>"), "ETag", `"1"`, "Cache-Control", fresh),
		header: onlyLast("Link", "</2>"), steps: refreshed(second, first, map[string]string{"Cache-Control": fresh})},
	{name: "Cache-Control on two lines", origin: reply(body, "Cache-Control", "private", "Cache-Control", fresh),
		header: onlyLast("Cache-Control", fresh)},

	// URLs.
	{name: "query", url: "http://127.0.0.1:PORT/q?a=1&b=%20x&a=2", origin: reply(body, "Cache-Control", fresh)},
	{name: "another query", origin: reply(body, "Cache-Control", fresh), steps: always(
		step{who: first, outcome: fetched, url: "http://127.0.0.1:PORT/q?a=1&b=2"},
		step{who: second, outcome: fetched, url: "http://127.0.0.1:PORT/q?b=2&a=1"})},
	{name: "percent-encoded path", url: "http://127.0.0.1:PORT/caf%C3%A9/a%20b%2Fc;d=(e)", origin: reply(body, "Cache-Control", fresh)},
	{name: "path in UTF-8", url: "http://127.0.0.1:PORT/café/ü", origin: reply(body, "Cache-Control", fresh)},
	{name: "empty path", url: "http://127.0.0.1:PORT", origin: reply(body, "Cache-Control", fresh)},
	{name: "empty path with query", url: "http://127.0.0.1:PORT?a=b", origin: reply(body, "Cache-Control", fresh)},
	{name: "upper-case host", origin: reply(body, "Cache-Control", fresh), steps: always(
		step{who: first, outcome: fetched, url: "HTTP://LOCALHOST:PORT/A"},
		step{who: second, outcome: hit, url: "http://localhost:PORT/A"},
		step{who: second, outcome: hit, url: "http://LocalHost:PORT/A"},
		step{who: second, outcome: fetched, url: "http://localhost:PORT/a"})},
	{name: "fragment", origin: reply(body, "Cache-Control", fresh), steps: func(r run) []step {
		steps := []step{
			{who: first, outcome: fetched, url: "http://127.0.0.1:PORT/x#one"},
			{who: second, outcome: hit, url: "http://127.0.0.1:PORT/x"},
			{who: second, outcome: hit, url: "http://127.0.0.1:PORT/x#two"},
		}
		if r.first == goSide {
			steps[2].outcome = fetched // Python looks its entries up with the fragment, and stores them without
		}
		return steps
	}},

	// One changes what the other has.
	{name: "PUT", origin: reply(body, "Cache-Control", fresh), steps: unsafeMethod("PUT")},
	{name: "PATCH", origin: reply(body, "Cache-Control", fresh), steps: unsafeMethod("PATCH")},
	{name: "DELETE", origin: reply(body, "Cache-Control", fresh), steps: unsafeMethod("DELETE")},
	{name: "POST", origin: reply(body, "Cache-Control", fresh), steps: func(r run) []step {
		steps := unsafeMethod("POST")(r)
		if r.first == goSide {
			steps[2].outcome = hit // Python drops nothing for a POST
		}
		return steps
	}},
	{name: "PUT that fails", origin: func(n int, w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			replyStatus(500, "no")(n, w, r)
			return
		}
		reply(body, "Cache-Control", fresh)(n, w, r)
	}, steps: always(
		step{who: first, outcome: fetched},
		step{who: second, outcome: fetched, method: "PUT", status: 500, body: "no"},
		step{who: first, outcome: hit, want: map[string]string{"Content-Length": strconv.Itoa(len(body))}})},
	{name: "variants, PUT", origin: byLang, steps: always(
		step{who: first, outcome: fetched, header: lang("a"), body: "a"},
		step{who: first, outcome: fetched, header: lang("b"), body: "b"},
		step{who: second, outcome: fetched, method: "PUT", header: lang("a"), body: "a"},
		step{who: first, outcome: fetched, header: lang("a"), body: "a"},
		step{who: first, outcome: fetched, header: lang("b"), body: "b"})},
	{name: "overwritten, longer", origin: inTurn(reply(body, "Cache-Control", fresh), reply(body+body, "Cache-Control", fresh)), steps: overwritten(body + body)},
	{name: "overwritten, shorter", origin: inTurn(reply(body, "Cache-Control", fresh), reply("x", "Cache-Control", fresh)), steps: overwritten("x")},
	{name: "overwritten, same length", origin: inTurn(reply(body, "Cache-Control", fresh), reply(sameLength, "Cache-Control", fresh)), steps: overwritten(sameLength)},
	{name: "overwritten, chunked", origin: inTurn(chunked(body, "Cache-Control", fresh), chunked(sameLength, "Cache-Control", fresh)), steps: overwritten(sameLength)},
	{name: "overwritten, large", body: large, origin: inTurn(reply(large, "Cache-Control", fresh), chunked(large[1:]+"!", "Cache-Control", fresh)), steps: overwritten(large[1:] + "!")},
	{name: "withdrawn with no-store", origin: inTurn(reply(body, "Cache-Control", fresh), reply(body, "Cache-Control", "no-store")), steps: always(
		step{who: first, outcome: fetched},
		step{who: second, outcome: fetched, header: map[string]string{"Cache-Control": "no-cache"}},
		step{who: first, outcome: fetched})},
}

// byLang answers with the value of X-Lang, on which the answer depends.
func byLang(n int, w http.ResponseWriter, r *http.Request) {
	value := r.Header.Get("X-Lang")
	reply(value, "Cache-Control", fresh, "Vary", "X-Lang", "X-Lang", value)(n, w, r)
}

// ranged answers with what Range asks for.
func ranged(n int, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", fresh)
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(body))
}

// redirect is what happens with a permanent redirect: Python stores it without its body.
func redirect(status int) func(run) []step {
	return func(r run) []step {
		steps := []step{{who: first, outcome: fetched, status: status}, {who: second, outcome: hit, status: status}}
		if r.first == pythonSide {
			steps[1].body = none
		}
		return steps
	}
}

// noLength is for redirects: Python stores them without the body, so we do not tell its length.
func noLength(r run, h map[string]string) {
	if r.first == pythonSide {
		delete(h, "Content-Length")
	}
}

// overwritten is what happens when the second user insists on a new response.
func overwritten(body string) func(run) []step {
	return always(
		step{who: first, outcome: fetched},
		step{who: second, outcome: fetched, header: map[string]string{"Cache-Control": "no-cache"}, body: body},
		step{who: first, outcome: hit, body: body},
		step{who: second, outcome: hit, body: body})
}

func manyFields(n int) []string {
	var fields []string
	for i := range n {
		fields = append(fields, "X-Field-"+strconv.Itoa(i), strings.Repeat(strconv.Itoa(i), i))
	}
	return fields
}
