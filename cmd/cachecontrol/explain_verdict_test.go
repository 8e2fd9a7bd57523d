package main

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// kinds are responses of well-known kinds. A word is the status; Date is the time of receipt.
var kinds = []struct {
	name   string
	args   string // of explain
	fields []string
}{
	{"a package index", "", []string{`Cache-Control: max-age=600, public`, `ETag: "m1Yx0pGg"`, "Vary: Accept, Accept-Encoding", "X-Served-By: cache-1", "Accept-Ranges: bytes"}},
	{"a file of a CDN with its hash in the name", "", []string{"Cache-Control: public, max-age=31536000, immutable", `ETag: W/"5f-18c"`, "Vary: Accept-Encoding", "Content-Encoding: gzip"}},
	{"a file of Apache with its defaults", "", []string{"Last-Modified: Mon, 27 Dec 1999 00:00:00 GMT", `ETag: "2d-62f1b2c3d4e5f"`, "Accept-Ranges: bytes", "Vary: Accept-Encoding"}},
	{"Apache with mod_deflate", "", []string{"Cache-Control: max-age=300", `ETag: "2d-62f1b2c3d4e5f-gzip"`, "Vary: Accept-Encoding", "Content-Encoding: gzip"}},
	{"nginx, with expires off", "", []string{"Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", `ETag: "386be500-264"`, "Accept-Ranges: bytes"}},
	{"an API with a token", "-H Authorization:x", []string{"Cache-Control: private, max-age=60, s-maxage=60", `ETag: W/"644b5b0155e6404a"`, "Vary: Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, X-Requested-With"}},
	{"Express with its defaults", "", []string{`ETag: W/"2-eoX0dku9ba8cNUXvu/DyeabcC+s"`, "X-Powered-By: Express"}},
	{"Rails with its defaults", "", []string{"Cache-Control: max-age=0, private, must-revalidate", `ETag: W/"4e5c7a5f"`, "Set-Cookie: _session=abc; path=/; HttpOnly", "Vary: Accept"}},
	{"Django with a session", "--shared", []string{"Vary: Cookie", "Set-Cookie: sessionid=abc; HttpOnly", "Cache-Control: max-age=600"}},
	{"Spring Security", "", []string{"Cache-Control: no-cache, no-store, max-age=0, must-revalidate", "Pragma: no-cache", "Expires: 0"}},
	{"PHP with a session", "", []string{"Expires: Thu, 19 Nov 1981 08:52:00 GMT", "Cache-Control: no-store, no-cache, must-revalidate, post-check=0, pre-check=0", "Pragma: no-cache", "Set-Cookie: PHPSESSID=abc; path=/"}},
	{"a Kubernetes API", "", []string{"Expires: Sat, 01 Jan 2000 01:00:00 UTC", "Cache-Control: public", `ETag: "5C9F"`, "Vary: *"}},
	{"a page of a CDN", "--shared", []string{"Cache-Control: private, max-age=0", "CDN-Cache-Control: max-age=3600", "X-Cache: HIT", "Age: 120", `ETag: "1"`}},
	{"a news page", "", []string{"Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=86400", `ETag: "1"`}},
	{"a CORS API", "", []string{"Cache-Control: max-age=60", "Access-Control-Allow-Origin: https://app.example", "Content-Type: application/json"}},
	{"a permanent redirect", "", []string{"301", "Location: https://www.example.com/"}},
	{"a redirect to a login", "", []string{"302", "Location: /login"}},
	{"a page that does not exist", "", []string{"404", "Content-Type: text/html"}},
	{"an origin that is overloaded", "", []string{"503", "Retry-After: 120", "Cache-Control: max-age=60"}},
	{"a mistake in each field", "", []string{"Cache-Control: max-age=abc, ,,;public, no_cache", "Expires: 0", "ETag: abc", "Vary: Accept Encoding", "Last-Modified: 2000-01-01", "Age: -1"}},
	{"too many requests", "", []string{"429", "Retry-After: soon"}},
	{"an answer to POST", "--method POST", []string{"201", "Location: /x", "Cache-Control: max-age=60"}},
}

// answered responds to each request with fields.
type answered []string

func (a answered) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: req, Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4}
	for _, line := range a {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			resp.StatusCode, _ = strconv.Atoi(line)
			continue
		}
		resp.Header.Add(name, value)
	}
	if resp.Header["Date"] == nil {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return resp, nil
}

// explained returns what explain prints about a response, in the time of a bubble, which begins with the year 2000.
func explained(t *testing.T, args string, fields []string, width int, verbose bool) string {
	t.Helper()
	var text string
	synctest.Test(t, func(t *testing.T) {
		fs := flag.NewFlagSet("explain", flag.ContinueOnError)
		var x explain
		x.flags(fs)
		if _, err := parseFlags(fs, strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		found, err := x.fetch(t.Context(), answered(fields), "https://www.example.com/x")
		if err != nil {
			t.Fatal(err)
		}
		text = found.text(&explainPage{labeled: labeled{width: width}, verbose: verbose})
	})
	return text
}

// Responses of well-known kinds are explained as the files in testdata show. Only words that are longer than a line
// exceed the width.
func TestExplainKinds(t *testing.T) {
	for _, width := range []int{60, 80, 200} {
		var all strings.Builder
		for _, k := range kinds {
			text := explained(t, k.args, k.fields, width, false)
			all.WriteString("### " + strings.TrimSpace(k.name+" "+k.args) + "\n" + strings.Join(k.fields, "\n") + "\n\n" + text + "\n")
			for line := range strings.Lines(text + explained(t, k.args, k.fields, width, true)) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s: %q has %d columns, want at most %d", k.name, line, n, width)
				}
			}
		}
		name := filepath.Join("testdata", "explain", strconv.Itoa(width)+".txt")
		if *update {
			if err := os.WriteFile(name, []byte(all.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := all.String(); got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("explain prints other text than %s; write it with -update and look at the difference", name)
		}
	}
}

func TestVerdict(t *testing.T) {
	const tag = `ETag: "1"`
	tests := []struct {
		args   string
		fields []string
		want   string
		rules  string // the codes of the rules behind it
	}{
		{"", []string{"Cache-Control: max-age=60", tag}, "Stored by a private cache: fresh for 1m, then validated with its ETag.", "max-age"},
		{"", []string{"Cache-Control: max-age=60"}, "Stored by a private cache: fresh for 1m, then fetched again.", "max-age"},
		{"", []string{"Cache-Control: max-age=60", "Age: 20"}, "Stored by a private cache: fresh for another 40s of 1m, then fetched again.", "max-age"},
		{"", []string{"Cache-Control: max-age=60", "Age: 100", tag}, "Stored by a private cache: already stale, and validated before each use.", "max-age"},
		{"", []string{"Cache-Control: max-age=60, stale-while-revalidate=90", "Age: 100", tag}, "Stored by a private cache: already stale, but used while validated.", "max-age"},
		{"", []string{"Cache-Control: max-age=60, stale-while-revalidate=30", tag}, "Stored by a private cache: fresh for 1m, then used for 30s while validated.", "max-age"},
		{"", []string{"Cache-Control: max-age=60, must-revalidate", tag}, "Stored by a private cache: fresh for 1m, then validated with its ETag.", "max-age must-revalidate"},
		{"", []string{"Cache-Control: no-cache, max-age=60", tag}, "Stored by a private cache, and validated with its ETag before each use.", "validator no-cache"},
		{"", []string{tag}, "Stored by a private cache: never fresh, and validated before each use.", "validator no-freshness"},
		{"", []string{"Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "Cache-Control: max-age=60"}, "Stored by a private cache: fresh for 1m, then validated with its Last-Modified.", "max-age"},
		{"", []string{"Cache-Control: no-store"}, "Not stored by a private cache.", "no-store"},
		{"--shared", []string{"Cache-Control: private, max-age=60"}, "Not stored by a shared cache.", "private"},
		{"--shared", []string{"Cache-Control: s-maxage=60", tag}, "Stored by a shared cache: fresh for 1m, then validated with its ETag.", "s-maxage s-maxage"},
		{"--shared", []string{"Cache-Control: max-age=60, proxy-revalidate", tag}, "Stored by a shared cache: fresh for 1m, then validated with its ETag.", "max-age proxy-revalidate"},
		{"", []string{"301", "Location: /y"}, "Stored by a private cache: fresh for ever.", "permanent"},
		{"--method PUT", []string{"Cache-Control: max-age=60"}, "Not stored by a private cache.", "method"},
	}
	for _, test := range tests {
		text := explained(t, test.args, test.fields, 0, false)
		if got, _, _ := strings.Cut(text, "\n"); got != test.want {
			t.Errorf("explain %s of %q: verdict %q, want %q", test.args, test.fields, got, test.want)
		}
		if len(test.want) > 80 {
			t.Errorf("the verdict %q has %d columns, want at most 80", test.want, len(test.want))
		}
		for code := range strings.FieldsSeq(test.rules) {
			if d := rules.Reason(code).Description(); d != "" && !strings.Contains(text, d) && code != "s-maxage" {
				t.Errorf("explain %s of %q lacks the rule %q:\n%s", test.args, test.fields, code, text)
			} else if d == "" && !strings.Contains(text, "  - "+code+" forbids") {
				t.Errorf("explain %s of %q does not say that %s forbids stale use:\n%s", test.args, test.fields, code, text)
			}
		}
	}
}

func TestExplainFailing(t *testing.T) {
	const tag = `ETag: "1"`
	for control, want := range map[string]string{
		"max-age=60":                                      "it is used while it is fresh; then callers get the error",
		"max-age=60, stale-if-error=600":                  "it is used while it is fresh; then it is used stale for another 10m (stale-if-error, RFC 5861, section 4)",
		"max-age=60, stale-while-revalidate=30":           "it is used while it is fresh; then it is used stale for another 30s (stale-while-revalidate, RFC 5861, section 3)",
		"max-age=60, stale-if-error=600, must-revalidate": "it is used while it is fresh; then callers get the error",
		"max-age=60, stale-if-error=600, no-cache":        "while the origin fails, callers get the error",
		"max-age=0, stale-if-error=600":                   "while the origin fails, it is used stale for another 10m (",
	} {
		text := explained(t, "", []string{"Cache-Control: " + control, tag}, 0, false)
		if !strings.Contains(text, want) {
			t.Errorf("explain of %q lacks %q:\n%s", control, want, text)
		}
	}
}

func TestExplainFailOn(t *testing.T) {
	origin := newEcho(t)
	for _, test := range []struct {
		level, query string
		want         int
	}{
		{"error", "?Cache-Control=max-age=abc", exitNotes},
		{"warning", "?Cache-Control=max-age=abc", exitNotes},
		{"error", "?Vary=Host&Cache-Control=max-age=60", exitOK},
		{"warning", "?Vary=Host&Cache-Control=max-age=60", exitNotes},
		{"info", "?Cache-Control=max-age=60", exitNotes},
		{"info", `?Cache-Control=max-age=60&Etag="1"`, exitOK},
	} {
		for _, flags := range [][]string{nil, {"--json"}} {
			code, stdout, stderr := call(t, append([]string{"explain", "--fail-on", test.level, origin.URL + "/" + test.query}, flags...)...)
			if code != test.want || stdout == "" || stderr != "" {
				t.Errorf("explain --fail-on %s %s: exit code %d, want %d; stdout %q, stderr %q", test.level, test.query, code, test.want, stdout, stderr)
			}
		}
	}
}

func TestExplainProbe(t *testing.T) {
	origin := newEcho(t)
	url := origin.URL + `/?Cache-Control=max-age=60&Etag="1"&Accept-Ranges=bytes`
	code, stdout, stderr := call(t, "explain", "--probe", "--fail-on", "warning", url)
	for _, want := range []string{"\nProbe        ", " more requests, ", "\n2 notes\n", "warning etag-ignored  ETag: \"1\"\n", "warning range-ignored  Accept-Ranges: bytes\n", "HEAD agrees with GET\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("explain --probe lacks %q:\n%s", want, stdout)
		}
	}
	if code != exitNotes || stderr != "" {
		t.Errorf("explain --probe: exit code %d, want %d; stderr %q", code, exitNotes, stderr)
	}
	_, stdout, _ = call(t, "explain", "--probe", "--json", url)
	var got struct{ Probe probed }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Probe.Requests == 0 || len(got.Probe.Confirmed) != 1 {
		t.Errorf("explain --probe --json: probe is %+v, %v, want requests and one confirmation", got.Probe, err)
	}
	if code, _, stderr := call(t, "explain", "--probe", "--method", "POST", url); code != exitUsage || !strings.Contains(stderr, "--probe sends GET") {
		t.Errorf("--probe --method POST: exit code %d, stderr %q", code, stderr)
	}
}

func TestExplainColor(t *testing.T) {
	origin := newEcho(t)
	url := origin.URL + "/?Cache-Control=max-age=abc"
	for when, want := range map[string]bool{"auto": false, "never": false, "always": true} {
		_, stdout, _ := call(t, "explain", "--color", when, url)
		if got := strings.Contains(stdout, "\x1b[31merror"); got != want {
			t.Errorf("--color %s: error in red is %v, want %v:\n%s", when, got, want, stdout)
		}
	}
	if code, _, stderr := call(t, "explain", "--color", "red", url); code != exitUsage || !strings.Contains(stderr, "must be auto, always or never") {
		t.Errorf("--color red: exit code %d, stderr %q", code, stderr)
	}
	if code, _, stderr := call(t, "explain", "--fail-on", "red", url); code != exitUsage || !strings.Contains(stderr, "must be info, warning or error") {
		t.Errorf("--fail-on red: exit code %d, stderr %q", code, stderr)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"a b c", 0, "a b c"},
		{"a b c", 5, "a b c"},
		{"a b c", 3, "a b|c"},
		{"  aa bb", 4, "  aa|  bb"},
		{"long-word x", 4, "long-word|x"},
		{"a long-word", 4, "a|long-word"},
		{"x RFC 9111", 6, "x|RFC 9111"},
		{"é é é", 3, "é é|é"},
		{"   ", 2, "   "},
		{"", 2, ""},
	} {
		if got := strings.Join(wrap(test.text, test.width), "|"); got != test.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.text, test.width, got, test.want)
		}
	}
}
