package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// logged returns the line of the access log about a request to h.
func logged(t *testing.T, format string, h http.HandlerFunc, r *http.Request) (line string, resp *http.Response) {
	t.Helper()
	var l accessLog
	if err := l.parse(format); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	rec := httptest.NewRecorder()
	func() {
		defer func() { recover() }()
		l.handler(h, &out).ServeHTTP(rec, r)
	}()
	return out.String(), rec.Result()
}

func TestAccessLog(t *testing.T) {
	hit := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Status", "cachecontrol;hit")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "body")
		http.NewResponseController(w).Flush()
	}
	line, resp := logged(t, "common", hit, httptest.NewRequest("GET", "/a?b=\"c", nil))
	want := regexp.MustCompile(`^192\.0\.2\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\?b=\\"c HTTP/1\.1" 404 4\n$`)
	if !want.MatchString(line) || resp.StatusCode != http.StatusNotFound {
		t.Errorf("the line is %q, want a match of %v; status %d", line, want, resp.StatusCode)
	}
	line, _ = logged(t, "json", hit, httptest.NewRequest("GET", "/a", nil))
	var got struct {
		Time                time.Time
		Client, Method, URL string
		Status, Bytes       int
		Took                *float64
		Cache               string `json:"cache_status"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Count(line, "\n") != 1 {
		t.Fatalf("the line is %q, %v, want one line of JSON", line, err)
	}
	if got.Status != 404 || got.Bytes != 4 || got.URL != "/a" || got.Cache != "cachecontrol;hit" || got.Client != "192.0.2.1" || got.Method != "GET" || got.Took == nil || got.Time.IsZero() {
		t.Errorf("the record is %+v", got)
	}

	line, _ = logged(t, "common", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "some")
		panic(http.ErrAbortHandler)
	}, httptest.NewRequest("GET", "/", nil))
	if !strings.HasSuffix(line, ` "GET / HTTP/1.1" 200 4`+"\n") {
		t.Errorf("the line about a response that was cut off is %q", line)
	}
}

// Without --access-log, nothing is logged.
func TestAccessLogOff(t *testing.T) {
	var l accessLog
	h := http.NotFoundHandler()
	if got := l.handler(h, io.Discard); got == nil || l.w != nil {
		t.Errorf("without a format, the handler is %v and writes to %v, want the same handler and no log", got, l.w)
	}
	if err := l.parse("xml"); err == nil {
		t.Error(`parse("xml") = nil, want an error`)
	}
}

func TestSummary(t *testing.T) {
	if got := summary(cachecontrol.Stats{}); got != "" {
		t.Errorf("summary of nothing = %q, want none", got)
	}
	got := summary(cachecontrol.Stats{Hits: 2, Stale: 1, Misses: 1, BytesFromCache: 2048, BytesFromOrigin: 10})
	want := "4 requests: 75% from the cache (2 hits, 1 stale, 0 revalidated), 1 misses, 0 bypassed, 0 failed; 2.0 KiB from the cache, 10 B from upstream"
	if got != want {
		t.Errorf("summary = %q, want %q", got, want)
	}
}
