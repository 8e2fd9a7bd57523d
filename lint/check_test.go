package lint

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// received is when all responses of these tests arrive, and what their Date is unless they have another one.
var received = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

const now = "Date: Thu, 01 Jan 2026 12:00:00 GMT"

// parseResponse returns a GET response from a text like "404; Cache-Control: no-store; > Range: bytes=0-1". Fields after
// ">" are of the request, a word is the method, and "-Date" leaves the Date out. Fields are separated by "; ", or by
// lines if there are several lines.
func parseResponse(text string) *http.Response {
	resp := &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{},
		Request: &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{Scheme: "https", Host: "a.example", Path: "/x"}},
	}
	separator := "; "
	if strings.Contains(text, "\n") {
		separator = "\n"
	}
	dated := true
	for line := range strings.SplitSeq(text, separator) {
		h := resp.Header
		if strings.HasPrefix(line, "> ") {
			line, h = line[2:], resp.Request.Header
		}
		name, value, isField := strings.Cut(line, ": ")
		code, err := strconv.Atoi(line)
		switch {
		case line == "":
		case isField && name == "Trailer":
			resp.Trailer = http.Header{value: nil}
		case isField:
			h.Add(name, value)
		case line == "-Date":
			dated = false
		case err == nil:
			resp.StatusCode = code
		default:
			resp.Request.Method = line
		}
	}
	if dated && resp.Header["Date"] == nil {
		resp.Header.Set("Date", received.Format(http.TimeFormat))
	}
	return resp
}

// cases has, for each code, a response that has the note and one that does not.
var cases = map[string]struct{ with, without string }{
	"directive-malformed":  {"Cache-Control: max-age=60, @x", "200\nCache-Control: max-age=60, ;x"},
	"directive-quotes":     {`Cache-Control: private="a, max-age=60`, `Cache-Control: private="a", max-age=60`},
	"directive-spaces":     {"Cache-Control: max-age = 60", "Cache-Control: max-age=60"},
	"directive-no-comma":   {"Cache-Control: no-cache no-store", "Cache-Control: no-cache, no-store"},
	"directive-semicolon":  {"200\nCache-Control: no-store; max-age=60", "Cache-Control: no-store, max-age=60"},
	"directive-empty":      {"Cache-Control: max-age=60, ,", `Cache-Control: x=", ,", max-age=60`},
	"directive-misspelled": {"Cache-Control: maxage=60, must-revalidte", "Cache-Control: max-age=60, min-fresh=1"},
	"directive-unknown":    {"Cache-Control: max-age=60, community=x", "Cache-Control: max-age=60, maxage=60"},
	"directive-obsolete":   {"Cache-Control: no-cache, post-check=0", "Cache-Control: no-cache"},

	"directive-of-requests": {"Cache-Control: only-if-cached, max-age=60", "Cache-Control: max-age=60"},
	"directive-case":        {"Cache-Control: Max-Age=60", "Cache-Control: max-age=60"},
	"directive-repeated":    {"Cache-Control: max-age=60\nCache-Control: max-age=60", `Cache-Control: max-age=60, s-maxage=60, no-cache="a", no-cache="b"`},
	"lifetime-conflict":     {"Cache-Control: max-age=60, max-age=0", "Cache-Control: max-age=60, max-age=60"},
	"seconds-missing":       {"Cache-Control: max-age", "Cache-Control: max-age=0"},
	"seconds-negative":      {"Cache-Control: max-age=-1", "Cache-Control: max-age=abc"},
	"seconds-unit":          {"Cache-Control: max-age=60s", "Cache-Control: max-age=60"},
	"seconds-invalid":       {"Cache-Control: max-age=1.5", "Cache-Control: max-age=-1"},
	"seconds-quoted":        {`Cache-Control: max-age="60"`, "Cache-Control: max-age=60"},
	"seconds-huge":          {"Cache-Control: max-age=99999999999", "Cache-Control: max-age=2147483648"},
	"value-unexpected":      {"Cache-Control: no-store=1", "Cache-Control: no-store, public=1"},
	"value-voids":           {"Cache-Control: public=1", "Cache-Control: public, no-store=1"},
	"fields-invalid":        {`Cache-Control: no-cache="a b"`, `Cache-Control: no-cache="a, b"`},
	"fields-unquoted":       {"Cache-Control: private=Set-Cookie", `Cache-Control: private="Set-Cookie"`},
	"fields-listed":         {`Cache-Control: private="Set-Cookie"`, "Cache-Control: private"},

	"public-and-private":        {"Cache-Control: public, private, max-age=60", "Cache-Control: private, max-age=60"},
	"no-store-contradicted":     {"Cache-Control: no-store, max-age=60", "Cache-Control: no-store, max-age=0"},
	"no-store-needs-no-others":  {"Cache-Control: no-store, no-cache, must-revalidate", "Cache-Control: no-store"},
	"no-cache-contradicted":     {"Cache-Control: no-cache, max-age=60", "Cache-Control: no-cache, max-age=0"},
	"no-cache-needs-no-others":  {"Cache-Control: no-cache, must-revalidate", "Cache-Control: no-cache"},
	"public-needless":           {"Cache-Control: public, max-age=60", "Cache-Control: public, max-age=60; Set-Cookie: a=b"},
	"s-maxage-and-private":      {"Cache-Control: private, s-maxage=60", "Cache-Control: s-maxage=60"},
	"proxy-revalidate-needless": {"Cache-Control: private, proxy-revalidate, max-age=60", "Cache-Control: proxy-revalidate, max-age=60"},
	"immutable-never-fresh":     {"Cache-Control: immutable", "Cache-Control: immutable, max-age=60"},
	"stale-forbidden":           {"Cache-Control: max-age=60, must-revalidate, stale-if-error=60", "Cache-Control: max-age=60, stale-if-error=60"},
	"stale-forbidden-shared":    {"Cache-Control: s-maxage=60, stale-if-error=60", "Cache-Control: max-age=60, stale-if-error=60"},
	"stale-without-lifetime":    {"Cache-Control: stale-while-revalidate=60", "Cache-Control: max-age=60, stale-while-revalidate=60"},
	"stale-zero":                {"Cache-Control: max-age=60, stale-if-error=0", "Cache-Control: max-age=60, stale-if-error=1"},
	"must-understand-alone":     {"Cache-Control: max-age=60, must-understand", "Cache-Control: max-age=60, must-understand, no-store"},

	"freshness-unstated":         {`Etag: "1"`, `Etag: "1"; Cache-Control: max-age=60`},
	"nothing-to-reuse":           {"200", `Etag: "1"`},
	"no-cache-without-validator": {"Cache-Control: no-cache", `Cache-Control: no-cache; Etag: "1"`},
	"no-validator":               {"Cache-Control: max-age=60", `Cache-Control: max-age=60; Etag: "1"`},
	"max-age-zero":               {"Cache-Control: max-age=0", "Cache-Control: max-age=0, no-cache"},
	"s-maxage-only":              {"Cache-Control: s-maxage=60", "Cache-Control: s-maxage=60, max-age=1"},
	"expires-ignored":            {"Cache-Control: max-age=3600; Expires: Thu, 01 Jan 2026 13:00:00 GMT", "Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"expires-differs":            {"Cache-Control: max-age=3600; Expires: 0", "Cache-Control: max-age=3600; Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"expires-not-date":           {"Expires: -1", "Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"expires-repeated":           {"Expires: 0\nExpires: -1", "Expires: 0"},
	"expires-past":               {"Expires: Thu, 01 Jan 1970 00:00:00 GMT", "Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"pragma":                     {"Pragma: no-cache; Cache-Control: no-cache", "Cache-Control: no-cache"},
	"pragma-contradicted":        {"Pragma: no-cache; Cache-Control: max-age=60", "Pragma: no-cache; Cache-Control: no-cache"},
	"redirect-for-ever":          {"301; Location: /y", "301; Location: /y; Cache-Control: max-age=60"},

	"date-invalid":          {"Date: yesterday", now},
	"expires-invalid":       {"Expires: tomorrow", "Expires: 0"},
	"last-modified-invalid": {"Last-Modified: ", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},
	"date-zone":             {"Date: Thu, 01 Jan 2026 12:00:00 UTC", now},
	"expires-zone":          {"Expires: Thu, 01 Jan 2026 13:00:00 +0000", "Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"last-modified-zone":    {"Last-Modified: 2026-01-01T11:00:00Z", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},
	"date-old-form":         {"Expires: Thu Jan  1 13:00:00 2026", "Expires: Thu, 01 Jan 2026 13:00:00 GMT"},
	"date-weekday":          {"Expires: Mon, 01 Jan 2026 13:00:00 GMT", "Expires: thu, 01 jan 2026 13:00:00 gmt"},
	"date-missing":          {"-Date", now},
	"date-repeated":         {now + "\n" + now, now},
	"date-ahead":            {"Date: Thu, 01 Jan 2026 12:02:00 GMT", "Date: Thu, 01 Jan 2026 12:00:30 GMT"},
	"date-behind":           {"Date: Thu, 01 Jan 2026 11:00:00 GMT", "Date: Thu, 01 Jan 2026 11:00:00 GMT; Age: 3600"},
	"age-invalid":           {"Age: -1", "Age: 0"},
	"age-repeated":          {"Age: 1, 2", "Age: 1"},
	"age-uses-up-lifetime":  {"Age: 60; Cache-Control: max-age=60", "Age: 59; Cache-Control: max-age=60"},
	"age-most-of-lifetime":  {"Age: 31; Cache-Control: max-age=60", "Age: 30; Cache-Control: max-age=60"},
	"age-without-date":      {"Age: 1; -Date", "Age: 1"},

	"etag-unquoted":          {"Etag: abc", `Etag: "abc"`},
	"etag-weak-prefix":       {`Etag: w/"abc"`, `Etag: W/"abc"`},
	"etag-malformed":         {`Etag: "a b"`, `Etag: "a"`},
	"etag-repeated":          {"Etag: \"a\"\nEtag: \"b\"", `Etag: "a"`},
	"etag-empty":             {`Etag: ""`, `Etag: "a"`},
	"etag-weak-for-ranges":   {`Etag: W/"a"; Accept-Ranges: bytes`, `Etag: "a"; Accept-Ranges: bytes`},
	"etag-coding-suffix":     {`Etag: "abc-gzip"`, `Etag: "gzip"`},
	"etag-inode":             {`Etag: "2a3-1f4c-5e8f1b2c3d4e5"`, `Etag: "5e8f1b2c3d4e5"`},
	"last-modified-repeated": {"Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT\nLast-Modified: Thu, 01 Jan 2026 11:00:00 GMT", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},
	"last-modified-future":   {"Last-Modified: Thu, 01 Jan 2026 13:00:00 GMT", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},
	"last-modified-now":      {"Last-Modified: Thu, 01 Jan 2026 12:00:00 GMT", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},
	"last-modified-epoch":    {"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT"},

	"vary-any":                   {"Vary: *", "Vary: Accept"},
	"vary-invalid":               {"Vary: Accept Encoding", "Vary: Accept, *"},
	"vary-too-many":              {"Vary: " + names(101), "Vary: " + names(100)},
	"vary-many":                  {"Vary: " + names(6), "Vary: " + names(5)},
	"vary-user-agent":            {"Vary: user-agent", "Vary: Accept"},
	"vary-cookie":                {"Vary: Cookie", "Vary: Cookie; Cache-Control: private"},
	"vary-unique":                {"Vary: Referer", "Vary: Accept"},
	"vary-host":                  {"Vary: Host", "Vary: Accept"},
	"vary-not-of-requests":       {"Vary: Content-Encoding", "Vary: Accept-Encoding"},
	"vary-of-conditions":         {"Vary: Range", "Vary: Accept"},
	"vary-repeated":              {"Vary: Accept\nVary: accept", "Vary: Accept"},
	"search-invalid":             {"No-Vary-Search: params", `No-Vary-Search: params=("a")`},
	"search-useless":             {"No-Vary-Search: params=()", "No-Vary-Search: except=()"},
	"vary-lacks-accept-encoding": {"Content-Encoding: gzip; Cache-Control: max-age=60", "Content-Encoding: gzip; Cache-Control: max-age=60; Vary: accept-encoding"},
	"vary-lacks-origin": {"Access-Control-Allow-Origin: https://b.example; Cache-Control: max-age=60",
		"Access-Control-Allow-Origin: https://b.example; Cache-Control: max-age=60; Vary: Origin"},

	"set-cookie-for-all":       {"Set-Cookie: a=b; Cache-Control: public, max-age=60", "Set-Cookie: a=b; Cache-Control: private, max-age=60"},
	"set-cookie-not-private":   {"Set-Cookie: a=b; Cache-Control: max-age=60", "Set-Cookie: a=b; Cache-Control: private, max-age=60"},
	"authorization-for-all":    {"> Authorization: x; Cache-Control: public, max-age=60", "> Authorization: x; Cache-Control: max-age=60"},
	"authorization-not-shared": {"> Authorization: x; Cache-Control: max-age=60", "> Authorization: x; Cache-Control: public, max-age=60"},
	"credentials-refused":      {"401; Cache-Control: max-age=60", "401; Cache-Control: max-age=60; Vary: Authorization"},

	"targeted-invalid":     {"CDN-Cache-Control: Max-Age=60", "CDN-Cache-Control: max-age=60"},
	"targeted-empty":       {"CDN-Cache-Control: ", "CDN-Cache-Control: max-age=60"},
	"targeted-unknown":     {"CDN-Cache-Control: max-age=60, foo", "CDN-Cache-Control: max-age=60"},
	"targeted-no-lifetime": {"CDN-Cache-Control: must-revalidate; Cache-Control: max-age=60", "CDN-Cache-Control: max-age=1; Cache-Control: max-age=60"},
	"targeted-allows-more": {"CDN-Cache-Control: max-age=60; Cache-Control: private", "CDN-Cache-Control: private; Cache-Control: private"},
	"targeted-of-vendor":   {"Cloudflare-CDN-Cache-Control: max-age=60", "CDN-Cache-Control: max-age=60"},
	"surrogate-control":    {"Surrogate-Control: max-age=60", "Cache-Control: max-age=60"},
	"vendor-field":         {"X-Accel-Expires: 60", "Expires: 0"},

	"partial-unasked":                  {"206; Content-Range: bytes 0-1/9", "206; Content-Range: bytes 0-1/9; > Range: bytes=0-1"},
	"content-range-missing":            {"206; > Range: bytes=0-1", "206; > Range: bytes=0-1; Content-Range: bytes 0-1/9"},
	"content-range-invalid":            {"206; Content-Range: bytes 5-1/9", "206; Content-Range: bytes 0-1/9"},
	"content-range-length":             {"206; Content-Range: bytes 0-1/9; Content-Length: 3", "206; Content-Range: bytes 0-1/9; Content-Length: 2"},
	"content-range-not-asked":          {"206; > Range: bytes=0-1; Content-Range: bytes 4-5/9", "206; > Range: bytes=0-5; Content-Range: bytes 0-1/9"},
	"content-range-meaningless":        {"Content-Range: bytes 0-1/2", "206; Content-Range: bytes 0-1/2"},
	"partial-several-parts":            {"206; Content-Type: multipart/byteranges", "206; Content-Type: text/plain"},
	"partial-without-strong-validator": {`206; Etag: W/"1"`, `206; Etag: "1"`},
	"unsatisfied-without-length":       {"416", "416; Content-Range: bytes */9"},
	"accept-ranges-unknown":            {"Accept-Ranges: seconds", "Accept-Ranges: bytes"},

	"method-not-cached":               {"POST; Cache-Control: max-age=60", "Cache-Control: max-age=60"},
	"status-needs-freshness":          {"302; Location: /y", "302; Location: /y; Cache-Control: max-age=60"},
	"status-never-stored":             {"429; Cache-Control: max-age=60", "429"},
	"status-not-understood":           {"299; Cache-Control: must-understand, no-store, max-age=60", "Cache-Control: must-understand, no-store, max-age=60"},
	"error-fresh":                     {"503; Cache-Control: max-age=60", "503; Cache-Control: max-age=0"},
	"error-freshness-unstated":        {"404", "404; Cache-Control: max-age=60"},
	"unavailable-without-retry-after": {"503", "503; Retry-After: 10"},
	"retry-after-invalid":             {"503; Retry-After: soon", "503; " + strings.Replace(now, "Date", "Retry-After", 1)},
	"redirect-without-location":       {"302", "302; Location: /y"},
	"not-modified-unasked":            {"304", `304; > If-None-Match: "1"`},
	"not-modified-without-etag":       {`304; > If-None-Match: "1"`, `304; > If-None-Match: "1"; Etag: "1"`},
	"not-modified-with-metadata":      {"304; Content-Type: text/plain", "304"},
	"not-modified-without-freshness":  {"304", "304; Cache-Control: max-age=60"},

	"warning-obsolete":                 {`Warning: 110 - "Response is Stale"`, "200"},
	"cache-groups-invalid":             {"Cache-Groups: a", "Cache-Groups: \"a\""},
	"cache-groups-many":                {"Cache-Groups: \"123456789012345678901234567890123\"", "Cache-Groups: \"a\", \"b\""},
	"cache-group-invalidation-invalid": {"POST; Cache-Group-Invalidation: a", "POST; Cache-Group-Invalidation: \"a\""},
	"cache-group-invalidation-safe":    {"Cache-Group-Invalidation: \"a\"", "POST; Cache-Group-Invalidation: \"a\""},

	"cache-status-invalid":     {"Cache-Status: (", "200\nCache-Status: a; hit"},
	"accept-query-invalid":     {"Accept-Query: application/json, */json", "200\nAccept-Query: \"application/json\", application/sql;charset=\"UTF-8\";a=b, */*, text/*"},
	"from-other-cache":         {"200\nCache-Status: a; hit", "200\nCache-Status: a; fwd=miss"},
	"x-cache":                  {"X-Cache: HIT", "200\nX-Cache: HIT\nCache-Status: a; hit"},
	"content-location-differs": {"Content-Location: /y; Cache-Control: max-age=60", "Content-Location: /x; Cache-Control: max-age=60"},
	"connection-names-field":   {"Connection: close, cache-control", "Connection: close"},
	"trailer-names-field":      {"Trailer: Etag", "Trailer: X-Sum"},
}

// names returns n names of request header fields.
func names(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "X-" + strconv.Itoa(i)
	}
	return strings.Join(list, ", ")
}

func TestCheck(t *testing.T) {
	for _, r := range allRules() {
		c, ok := cases[r.code]
		if !ok {
			t.Errorf("there is no case for %q", r.code)
			continue
		}
		for text, want := range map[string]bool{c.with: true, c.without: false} {
			notes := Check(parseResponse(text), received)
			if got := slices.ContainsFunc(notes, func(n Note) bool { return n.Code == r.code }); got != want {
				t.Errorf("Check(%q) has the note %q: %v, want %v", text, r.code, got, want)
			}
		}
	}
	if got, want := len(cases), len(allRules()); got != want {
		t.Errorf("there are %d cases, want %d, one for each rule", got, want)
	}
}

// Usual responses that are in order have no warnings.
func TestCheckGood(t *testing.T) {
	for _, text := range []string{
		`Cache-Control: max-age=60; Etag: "1"`,
		`Cache-Control: no-cache; Etag: "1"`,
		"Cache-Control: no-store",
		`Cache-Control: private, max-age=60; Etag: "1"; Set-Cookie: a=b`,
		`Cache-Control: public, max-age=31536000, immutable; Etag: W/"1"; Vary: Accept-Encoding; Content-Encoding: gzip`,
		`Cache-Control: max-age=60, s-maxage=600, stale-while-revalidate=30; Etag: "1"`,
		`Cache-Control: max-age=60, must-revalidate, no-transform; Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT`,
		`Cache-Control: max-age=60; Expires: Thu, 01 Jan 2026 12:01:00 GMT; Etag: "1"`,
		`Cache-Control: no-store; CDN-Cache-Control: max-age=60`,
		"Cache-Control: no-store, foo=5",
		`Cache-Control: public, max-age=60, private="Set-Cookie"; Set-Cookie: a=b; Etag: "1"`,
		`Etag: "386be500-df"; Cache-Control: max-age=60`,
		`304; > If-None-Match: "1"; Etag: "1"`,
		`206; > Range: bytes=0-1; Content-Range: bytes 0-1/9; Content-Length: 2; Etag: "1"; Cache-Control: max-age=60`,
		`304; > If-None-Match: "1"; Etag: "1"; Cache-Control: max-age=60`,
		"404; Cache-Control: max-age=60",
		"302; Location: /y",
		"503; Retry-After: 10",
		"POST; 201; Location: /y",
	} {
		for _, n := range Check(parseResponse(text), received) {
			if n.Level > Info {
				t.Errorf("Check(%q) has %v, want no warning", text, n)
			}
		}
	}
}

func TestCheckValue(t *testing.T) {
	long := strings.Repeat("x", 200)
	tests := []struct{ text, code, want string }{
		{"Expires: Mon, 01 Jan 2026 13:00:00 GMT", "date-weekday", "Expires: Mon, 01 Jan 2026 13:00:00 GMT"},
		{"Cache-Control: max-age=abc, ,,;public", "seconds-invalid", "Cache-Control: max-age=abc"},
		{"200\nCache-Control: max-age=abc, ,,;public", "directive-semicolon", "Cache-Control: public"},
		{"Vary: Accept, user-agent", "vary-user-agent", "Vary: user-agent"},
		{"CDN-Cache-Control: max-age=\"1\"", "targeted-invalid", `CDN-Cache-Control: max-age="1"`},
		{"Etag: " + long, "etag-unquoted", "ETag: " + long[:97] + "..."},
		{"Etag: " + strings.Repeat("é", 60), "etag-unquoted", "ETag: " + strings.Repeat("é", 48) + "..."},
		{"Set-Cookie: secret=1; Cache-Control: max-age=60", "set-cookie-not-private", "Set-Cookie: "},
		{"200", "nothing-to-reuse", ": "},
	}
	for _, test := range tests {
		notes := Check(parseResponse(test.text), received)
		i := slices.IndexFunc(notes, func(n Note) bool { return n.Code == test.code })
		if i < 0 || notes[i].Field+": "+notes[i].Value != test.want {
			t.Errorf("Check(%q) = %v, want %q with the value %q", test.text, notes, test.code, test.want)
		}
	}
}

func TestCheckDetails(t *testing.T) {
	for text, want := range map[string]string{
		"Cache-Control: maxage=1":                 "It looks like max-age.",
		"Cache-Control: s_max_age=1":              "It looks like s-maxage.",
		"Cache-Control: stale-while-revalidated":  "It looks like stale-while-revalidate.",
		"Date: Thu, 01 Jan 2026 13:00:01 GMT":     "is 1h0m1s after the receipt",
		"Date: Thu, 01 Jan 2026 11:59:00 GMT":     "",
		"Date: Thu, 01 Jan 2026 11:58:58 GMT":     "is 1m2s before the receipt",
		"Vary: a, b, c, d, e, f, g, A":            "Vary has 7 names.",
		"Cache-Control: max-ages, min-age, ma-ag": "It looks like max-age.",
	} {
		found := want == ""
		for _, n := range Check(parseResponse(text), received) {
			found = found || strings.Contains(n.Text, want)
			if strings.Contains(n.Text, "%") {
				t.Errorf("Check(%q) has the text %q, want its details filled in", text, n.Text)
			}
		}
		if !found {
			t.Errorf("Check(%q) has no note with %q", text, want)
		}
	}
}

// The worst notes come first, and are limited in number.
func TestCheckOrder(t *testing.T) {
	text := "Cache-Control: " + strings.Repeat("x,max-age=abc,", 1000)
	notes := Check(parseResponse(text), received)
	if !slices.IsSortedFunc(notes, func(a, b Note) int { return int(b.Level) - int(a.Level) }) {
		t.Errorf("Check(%.50q) = %v, want the worst first", text, notes)
	}
	count := make(map[string]int)
	for _, n := range notes {
		if count[n.Code]++; count[n.Code] > maxPerRule {
			t.Errorf("Check(%.50q) has %d notes %q, want at most %d", text, count[n.Code], n.Code, maxPerRule)
		}
	}
}

// A response without a request, a header or a time of receipt is checked as far as possible.
func TestCheckLittle(t *testing.T) {
	if notes := Check(nil, received); notes != nil {
		t.Errorf("Check(nil) = %v, want none", notes)
	}
	for _, resp := range []*http.Response{{}, {StatusCode: 304}, {StatusCode: 206, Header: http.Header{"Date": {"x"}, "Vary": nil, "Etag": {}}}, {Request: &http.Request{}}} {
		for _, at := range []time.Time{{}, received} {
			for _, n := range Check(resp, at) {
				if n.Code == "not-modified-unasked" || n.Code == "partial-unasked" {
					t.Errorf("Check without a request has the note %q", n.Code)
				}
			}
		}
	}
	text := "Date: Thu, 01 Jan 1998 12:00:00 GMT; Expires: Thu, 01 Jan 1998 12:00:00 GMT; Cache-Control: max-age=60"
	for _, n := range Check(parseResponse(text), time.Time{}) {
		if n.Code == "date-behind" || n.Code == "age-uses-up-lifetime" {
			t.Errorf("Check(%q) without a time of receipt has the note %q", text, n.Code)
		}
	}
}

// Long fields take linear time, and have few notes.
func TestCheckHostile(t *testing.T) {
	fields := append([]string{"Cache-Control", "Vary", "Cache-Status", "Etag", "Date", "Expires", "Connection", "Age", "Content-Range", "No-Vary-Search"}, targetedFields...)
	for _, name := range fields {
		for _, unit := range []string{",", "a,", `"`, `"a,`, `a="`, `\"`, ";", "a b,", "max-age=x,", "a;b=c,", "x=1,", "("} {
			resp := &http.Response{StatusCode: 200, Header: http.Header{name: {strings.Repeat(unit, 1<<15/len(unit))}}, Request: &http.Request{}}
			if notes := Check(resp, received); len(notes) > 50 {
				t.Errorf("Check of 32 KiB of %q in %s has %d notes, want at most 50", unit, name, len(notes))
			}
		}
	}
}

// Notes do not modify the response.
func TestCheckPure(t *testing.T) {
	for _, c := range cases {
		resp, again := parseResponse(c.with), parseResponse(c.with)
		first := Check(resp, received)
		if diff := cmp.Diff(again.Header, resp.Header); diff != "" {
			t.Errorf("Check(%q) changes the header (-want +got)\n%s", c.with, diff)
		}
		if diff := cmp.Diff(first, Check(resp, received)); diff != "" {
			t.Errorf("Check(%q) differs the second time (-first +second)\n%s", c.with, diff)
		}
	}
}

// The texts are sentences, and the sources have the usual form.
func TestRules(t *testing.T) {
	reference := regexp.MustCompile(`^(RFC \d{4,5}, sections? \d+(\.\d+)*(( to|,| and) \d+(\.\d+)*)*|draft-ietf-httpbis-no-vary-search-10, section \d+(\.\d+)*|Fetch Standard, .*|)$`)
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := make(map[string]bool)
	for _, r := range allRules() {
		if seen[r.code] || !code.MatchString(r.code) {
			t.Errorf("the code %q is repeated or malformed", r.code)
		}
		seen[r.code] = true
		if !strings.HasSuffix(r.text, ".") || strings.ContainsAny(r.text, "\n|") {
			t.Errorf("%s: the text is %q, want sentences", r.code, r.text)
		}
		if !reference.MatchString(r.reference) {
			t.Errorf("%s: the source is %q, want the form of RFC 9111, section 4.2.3", r.code, r.reference)
		}
	}
}

func TestLevel(t *testing.T) {
	for _, l := range []Level{Info, Warning, Error} {
		text, err := l.MarshalText()
		var got Level
		if err = errors.Join(err, got.UnmarshalText(text)); err != nil || got != l {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, l)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("bad")); err == nil {
		t.Error(`UnmarshalText("bad") = nil, want an error`)
	}
	if got := Level(9).String(); got != "unknown" {
		t.Errorf("Level(9) = %q, want unknown", got)
	}
}

// FuzzCheck checks that the fields of a response cause neither a panic nor many notes nor much text.
func FuzzCheck(f *testing.F) {
	for _, c := range cases {
		f.Add(200, c.with, "Cache-Control", c.without)
	}
	f.Fuzz(func(t *testing.T, status int, text, name, value string) {
		resp := parseResponse(text)
		resp.StatusCode = status
		resp.Header.Add(name, value)
		resp.Request.Header.Add(name, value)
		for _, at := range []time.Time{received, {}} {
			notes := Check(resp, at)
			if len(notes) > maxPerRule*len(allRules()) {
				t.Fatalf("Check has %d notes", len(notes))
			}
			for _, n := range notes {
				ignored := strings.HasPrefix(n.Code, "seconds-") && n.Level == Error || n.Code == "lifetime-conflict"
				if v := rules.ParseResponse(resp.Header, false).MaxAge.Value; ignored && strings.HasPrefix(n.Value, "max-age") && v != 0 {
					t.Fatalf("Check has the note %+v, but caches read max-age as %v", n, v)
				}
				if len(n.Value) > maxValue || len(n.Text) > 400 || n.Code == "" || n.Text == "" {
					t.Fatalf("Check has the note %+v", n)
				}
			}
		}
	})
}

var update = flag.Bool("update", false, "write the tables of docs/lint.md instead of comparing with them")

// TestDocs holds docs/lint.md to the rules: each section has the table that its heading names.
func TestDocs(t *testing.T) {
	const path = "../docs/lint.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(text), "\r\n", "\n")
	for heading, list := range map[string][]rule{
		"Directives of Cache-Control": directiveRules, "Directives that contradict each other": contradictionRules, "Freshness": freshnessRules,
		"Dates and Age": dateRules, "ETag and Last-Modified": validatorRules, "Vary": varyRules, "One user or all": sharedRules,
		"Fields for some caches": targetedRules, "Groups": groupsRules, "Ranges": rangeRules, "Status codes": statusRules, "Other fields": otherRules,
	} {
		begin := "\n## " + heading + "\n\n| code | level | text | source |\n|---|---|---|---|\n"
		var want strings.Builder
		for _, r := range list {
			fmt.Fprintf(&want, "| `%s` | %v | %s | %s |\n", r.code, r.level, strings.ReplaceAll(r.text, "%s", "..."), r.reference)
		}
		before, rest, _ := strings.Cut(page, begin)
		table, after, more := strings.Cut(rest, "\n\n")
		if !more {
			table = strings.TrimSuffix(table, "\n")
		}
		if table+"\n" != want.String() && !*update {
			t.Errorf("docs/lint.md has in %q the table\n%s\nwant\n%s", heading, table, &want)
		}
		if page = before + begin + want.String(); more {
			page += "\n" + after
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
