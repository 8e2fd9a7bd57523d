package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// newEcho starts an origin that sends the parameters of the query as header fields, and "status" as the status.
func newEcho(t *testing.T) *httptest.Server {
	return newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		for name, lines := range r.URL.Query() {
			for _, line := range lines {
				if name == "status" && line == "301" {
					status = http.StatusMovedPermanently
					continue
				}
				w.Header().Add(name, line)
			}
		}
		w.WriteHeader(status)
		if r.Method == http.MethodGet {
			io.WriteString(w, "body")
		}
	})
}

func TestExplain(t *testing.T) {
	t.Setenv("COLUMNS", "1000")
	origin := newEcho(t)
	old := "?Last-Modified=" + strings.ReplaceAll(time.Now().Add(-100*time.Hour).UTC().Format(http.TimeFormat), " ", "%20")
	tests := []struct {
		args string
		want []string
		not  []string
	}{
		{
			`?Cache-Control=max-age=3600,stale-if-error=60&Etag="v1"&Vary=Accept-Language`,
			[]string{
				"Stored by a private cache: fresh for 1h, then validated with its ETag.\n", "max-age sets how long it may be reused (RFC 9111, section 5.2.2.1)",
				"Fresh        for 1h, from Cache-Control: max-age=3600,stale-if-error=60\n", "RFC 9111, section 4.2.3",
				`If-None-Match: "v1"`, "Selected by  Accept-Language\n",
				"  now: answered from the cache\n      it is fresh (RFC 9111, section 4.2)\n",
				"  now, Cache-Control: no-cache: validated with the origin\n      the request says no-cache (RFC 9111, section 5.2.1.4)\n",
				"  now, Cache-Control: max-age=0: validated with the origin\n      it is older than the request's max-age (RFC 9111, section 5.2.1.1)\n",
				"  now, Cache-Control: only-if-cached: answered from the cache\n",
				", when it is stale: validated with the origin\n      it is stale",
				", when it is stale, Cache-Control: only-if-cached: answered with 504 by the cache\n",
				", when it is stale, if the origin fails: answered from the cache, stale\n      the origin failed, and the stale response may be used instead (RFC 5861, section 4)\n",
				"  when it has been stale for over 1m, if the origin fails: the caller gets the error\n",
				"Accept-Encoding: gzip, deflate",
			}, []string{"a shared cache:", "Invalidates", "Redirect to"},
		},
		{
			"?Cache-Control=max-age=60,stale-while-revalidate=30",
			[]string{
				", when it is stale: answered from the cache, stale, and validated in the background\n",
				"  when it has been stale for over 30s: fetched from the origin\n", "Validated    never",
			}, nil,
		},
		{"?Cache-Control=no-store", []string{"Not stored by a private cache.\n", "the response says no-store, which forbids storing it (RFC 9111, section 5.2.2.5)",
			"  at any time: fetched from the origin\n", "only-if-cached: answered with 504 by the cache\n"}, []string{"Fresh ", "Validated"}},
		{"?Cache-Control=no-cache&Etag=\"v1\"", []string{"Stored by a private cache", "  now: validated with the origin\n      the response says no-cache",
			"  now, if the origin fails: the caller gets the error\n"}, nil},
		{"?Cache-Control=max-age=60&Age=100&Etag=\"v1\"", []string{"1m40s, stale for 40s", "  now: validated with the origin\n"}, []string{"when it is stale"}},
		{"?Cache-Control=max-age=60,s-maxage=10", []string{"for 1m, from", "a shared cache: stored; s-maxage"}, nil},
		{`?Cache-Control=max-age=60&No-Vary-Search=params=("b"%20"a")`, []string{"Other URLs   params=(\"a\" \"b\")\n", "No-Vary-Search: params=(\"b\" \"a\")"}, nil},
		{`?Cache-Control=max-age=60&Cache-Groups="b",%20"a"`, []string{"Groups       \"b\", \"a\"\n", "Cache-Groups: \"b\", \"a\"\n"}, nil},
		{"?Cache-Control=max-age=60&Cache-Groups=a", nil, []string{"Groups   "}},
		{"?Cache-Control=max-age=60&No-Vary-Search=params", []string{"Params is no list of strings", "No-Vary-Search: params\n"}, []string{"Other URLs"}},
		{"--shared ?Cache-Control=max-age=60,s-maxage=10", []string{"Stored by a shared cache: fresh for 10s", "for 10s, from", "a private cache: stored; max-age"}, nil},
		{"--shared ?Cache-Control=private,max-age=60", []string{"Not stored by a shared cache.\n", "section 5.2.2.7", "a private cache: stored"}, nil},
		{"--shared ?Cdn-Cache-Control=max-age=10", []string{"for 10s, from CDN-Cache-Control: max-age=10"}, nil},
		{"--shared -H Authorization:x ?Cache-Control=max-age=60", []string{"Not stored by a shared cache.\n", "section 3.5"}, nil},
		{"?Vary=*&Cache-Control=max-age=60", []string{"Not stored by a private cache.\n", "its Vary has a *, an invalid name or more than 100 names, so it can answer no other request (RFC 9111, section 4.1)"}, nil},
		{"?status=301&Location=/x", []string{"Redirect to  " + origin.URL + "/x\n", "explain " + origin.URL + "/x\n", "for ever", "(RFC 9110, sections 15.4.2"}, []string{"when it is stale"}},
		{old, []string{"Stored by a private cache", "(RFC 9111, section 4.3)", "with --heuristic last-modified it would be fresh for 10h\n"}, nil},
		{"--heuristic last-modified " + old, []string{"Stored by a private cache", "set by the heuristic last-modified", "(RFC 9111, section 4.2.2)", "If-Modified-Since: "}, nil},
		{"--heuristic one-day ?Cache-Control=no-store", []string{"Stored by a private cache", "for 24h, from Expires", "set by the heuristic one-day"}, nil},
		{"--method PUT ?Location=/x", []string{"Invalidates  " + origin.URL + "/?Location=/x, " + origin.URL + "/x\n", "requests with this method go to the origin"}, nil},
		{"--method M-SEARCH ?a=b", []string{"Invalidates  "}, nil},
		{"--method QUERY -d q=a ?Cache-Control=max-age=60", []string{"Stored by a private cache: fresh for 1m", "Next QUERY requests"}, []string{"Invalidates"}},
		{"--method QUERY -d q=a ?Cache-Control=private,max-age=60", []string{"a shared cache: not stored"}, nil},
		{"--method HEAD ?Cache-Control=max-age=60", []string{"Not stored by a private cache."}, nil},
		{"-H Cache-Control:no-store ?Cache-Control=max-age=60", []string{"the request says no-store, which forbids storing its response (RFC 9111, section 5.2.1.5)"}, nil},
		{"-H If-None-Match:\"v1\" ?Etag=\"v2\"", []string{"Stored by a private cache"}, nil},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			args := strings.Fields(test.args)
			args[len(args)-1] = origin.URL + "/" + args[len(args)-1]
			code, stdout, stderr := call(t, append([]string{"explain", "-v"}, args...)...)
			if code != exitOK || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("want %q in:\n%s", want, stdout)
				}
			}
			for _, not := range test.not {
				if strings.Contains(stdout, not) {
					t.Errorf("want no %q in:\n%s", not, stdout)
				}
			}
		})
	}
}

func TestExplainJSON(t *testing.T) {
	origin := newEcho(t)
	code, stdout, stderr := call(t, "explain", "--json", origin.URL+`/?Cache-Control=max-age=60&Etag="v1"&Vary=Accept`)
	if code != exitOK {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	type rule struct{ Reason, Section string }
	type stored struct {
		OK bool
		rule
	}
	type fresh struct {
		Lifetime     float64
		Field, Value string
	}
	type output struct {
		Status      int
		Cache       string
		Validators  http.Header
		Stored      stored
		Fresh       fresh
		SelectedBy  []string `json:"selected_by"`
		Invalidates []string
	}
	var got output
	var list struct {
		Next []struct{ Answer, Reason, Section string }
	}
	for _, v := range []any{&got, &list} {
		if err := json.Unmarshal([]byte(stdout), v); err != nil {
			t.Fatal(err)
		}
	}
	want := output{
		200, "private", http.Header{"If-None-Match": {`"v1"`}}, stored{true, rule{"max-age", "RFC 9111, section 5.2.2.1"}},
		fresh{60, "Cache-Control", "max-age=60"}, []string{"Accept"}, []string{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := list.Next; len(n) < 5 || n[0].Answer != "cache" || n[0].Reason != "fresh" || n[0].Section == "" {
		t.Errorf("the next requests are %+v, want at least 5, the first one with a fresh response from the cache", n)
	}
	for _, n := range list.Next {
		if answerTexts[n.Answer] == "" {
			t.Errorf("the answer %q is not known", n.Answer)
		}
	}
}

// Neither credentials of the request nor users and passwords of URLs are printed.
func TestExplainHidesSecrets(t *testing.T) {
	origin := newEcho(t)
	url := origin.URL + "/?status=301&Location=http://user:secret@a.example/x&Content-Location=http://user:secret@a.example/y"
	for _, flags := range [][]string{{"-v"}, {"--json"}} {
		args := append([]string{"explain", url, "-H", "Authorization: Bearer secret", "-H", "cookie: id=secret", "-H", "X-Api-Key: secret",
			"-H", "Referer: http://user:secret@a.example/z"}, flags...)
		code, stdout, stderr := call(t, args...)
		text := strings.ReplaceAll(stdout, strings.ReplaceAll(url, "&", `\u0026`), "")
		text = strings.ReplaceAll(text, url, "")
		if code != exitOK || stderr != "" || strings.Contains(text, "secret") {
			t.Errorf("%q: exit code %d, stderr %q, stdout:\n%s", flags, code, stderr, stdout)
		}
		for _, want := range []string{"Authorization", "Cookie", "X-Api-Key", "(not shown)", "//xxxxx@a.example/x", "//xxxxx@a.example/y", "//xxxxx@a.example/z"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q: want %q in:\n%s", flags, want, stdout)
			}
		}
	}
}

func TestExplainFailures(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	if code, stdout, stderr := call(t, "explain", down.URL); code != exitFailed || stdout != "" || !strings.Contains(stderr, "Check that the server is running") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	origin := newEcho(t)
	var stderr buffer
	if code := run(t.Context(), []string{"explain", origin.URL}, failingWriter{}, &stderr); code != exitFailed {
		t.Errorf("a failing stdout: exit code %d, stderr %q", code, &stderr)
	}
}

func TestLongDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		24 * time.Hour: "24h", 49 * time.Hour: "2 days 1h", 365 * 24 * time.Hour: "365 days",
	} {
		if got := longDuration(d); got != want {
			t.Errorf("words(%v) = %q, want %q", d, got, want)
		}
	}
}
