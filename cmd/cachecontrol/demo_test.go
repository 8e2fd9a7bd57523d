package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := call(t, "demo")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, stdout:\n%s", code, stderr, stdout)
	}
	// The rows in order: the request, the beginning of Cache-Status, and whether the origin was asked.
	rows := []struct{ request, status, origin string }{
		{"GET /news", "fwd=uri-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /news", "hit; ttl=", "not asked"},
		{"GET /news", "fwd=stale; fwd-status=304; ttl=", "asked: 304"},
		{"GET /news", "hit; ttl=", "not asked"},
		{"GET /tagged", "fwd=uri-miss; fwd-status=200; stored", "asked: 200"},
		{"GET /tagged", "fwd=stale; fwd-status=304", "asked: 304"},
		{"GET /tagged (offline)", "hit; ttl=", "not asked"},
		{"GET /old", "fwd=uri-miss; fwd-status=200; stored ", "asked: 200"},
		{"GET /old (heuristic)", "fwd=uri-miss; fwd-status=200; stored; ttl=86", "asked: 200"},
		{"GET /old (heuristic)", "hit; ttl=86", "not asked"},
		{"GET /draft", "fwd=uri-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /draft", "hit; ttl=", "not asked"},
		{"PUT /draft", "fwd=method; fwd-status=204 ", "asked: 204"},
		{"GET /draft", "fwd=uri-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /greeting (en)", "fwd=uri-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /greeting (de)", "fwd=vary-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /greeting (en)", "hit; ttl=", "not asked"},
		{"GET /greeting (de)", "hit; ttl=", "not asked"},
		{"GET /page", "fwd=uri-miss; fwd-status=200; stored; ttl=", "asked: 200"},
		{"GET /page", "hit; ttl=", "not asked"},
	}
	row := regexp.MustCompile(`(?m)^ *\d+\.\d{3} s  (.{21}) (.{12}) (asked: \d{3}|not asked ) +[\d.]+ (?:us|ms|s)\n {11}(\S.*)$`)
	for _, line := range strings.Split(stdout, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	got := row.FindAllStringSubmatch(stdout, -1)
	if len(got) != len(rows) {
		t.Fatalf("%d rows, want %d:\n%s", len(got), len(rows), stdout)
	}
	for i, want := range rows {
		if strings.TrimSpace(got[i][1]) != want.request || !strings.HasPrefix(got[i][4]+" ", want.status) || strings.TrimSpace(got[i][2]) == "" || strings.TrimSpace(got[i][3]) != want.origin {
			t.Errorf("row %d is %q, want %q", i+1, got[i][0], want)
		}
	}
	for _, want := range []string{
		"A miss", "A hit", "A validation", "X-Served: 1 is now 2", "An ETag alone", "Control of one request", "A heuristic", "An invalidation", "Variants",
		"A FileCache", `begins with "cc=4,"`, "below 0", "All 20 responses were as expected.", "Next\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in:\n%s", want, stdout)
		}
	}
	if !regexp.MustCompile(`-> ([0-9a-f])/([0-9a-f])/([0-9a-f])/([0-9a-f])/([0-9a-f])/[0-9a-f]{56}\n`).MatchString(stdout) {
		t.Errorf("no path of a file in:\n%s", stdout)
	}
}

// The demo prints what it expected if a response is not as expected.
func TestDemoChecks(t *testing.T) {
	origin := &demoOrigin{document: "text"}
	server := httptest.NewServer(origin)
	t.Cleanup(server.Close)
	tests := []struct {
		name, path string
		want       demoWant
		says       string // "": nothing is wrong
	}{
		{"right", "/draft", demoWant{cachecontrol.Miss, 200, "text"}, ""},
		{"outcome", "/draft", demoWant{cachecontrol.Revalidated, 200, "text"}, "! expected the outcome revalidated, got miss"},
		{"origin", "/draft", demoWant{cachecontrol.Miss, 304, "text"}, "! expected the status 304 from the origin, got 200"},
		{"body", "/draft", demoWant{cachecontrol.Miss, 200, "other"}, `! expected the body "other", got "text"`},
		{"all", "/nosuch", demoWant{cachecontrol.Hit, 0, "text"}, "! expected"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			cache := &cachecontrol.Transport{}
			defer cache.Close()
			d := &demo{ctx: t.Context(), out: &out, origin: origin, url: server.URL, start: time.Now()}
			if d.do(cache, demoRequest{path: test.path}, test.want); d.err != nil {
				t.Fatal(d.err)
			}
			if wrong := map[bool]int{true: 0, false: 1}[test.says == ""]; d.wrong != wrong || d.requests != 1 {
				t.Errorf("%d of %d requests are wrong, want %d", d.wrong, d.requests, wrong)
			}
			if test.says == "" && strings.Contains(out.String(), "!") || !strings.Contains(out.String(), test.says) {
				t.Errorf("want %q in:\n%s", test.says, &out)
			}
		})
	}
}

func TestDemoFailures(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _, stderr := callContext(ctx, "demo"); code != exitInterrupted || !strings.Contains(stderr, "interrupted") {
		t.Errorf("interrupted: exit code %d, stderr %q", code, stderr)
	}

	tmp := t.TempDir() + "/none"
	t.Setenv("TMPDIR", tmp)
	if os.TempDir() == tmp {
		if code, _, stderr := call(t, "demo"); code != exitFailed || !strings.Contains(stderr, "Set TMPDIR") {
			t.Errorf("without a temporary directory: exit code %d, stderr %q", code, stderr)
		}
	}
}

func TestDemoFailingStdout(t *testing.T) {
	t.Parallel()
	var stderr buffer
	if code := run(t.Context(), []string{"demo"}, failingWriter{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "cannot write") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}

func TestCacheStatus(t *testing.T) {
	for status, want := range map[string]string{
		"": "-", "cachecontrol;hit;ttl=5;detail=fresh": "hit; ttl=5", "cachecontrol;fwd=method;fwd-status=204;detail=method": "fwd=method; fwd-status=204",
	} {
		resp := &http.Response{Header: http.Header{}}
		if status != "" {
			resp.Header["Cache-Status"] = []string{"other;hit", status}
		}
		if got := cacheStatus(resp); got != want {
			t.Errorf("member(%q) = %q, want %q", status, got, want)
		}
	}
}
