package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/inspect"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// origin answers every request with these fields.
type origin http.Header

func (o origin) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/down" {
		return nil, errors.New("cannot reach https://user:s3cret@example.com/?token=s3cret")
	}
	return &http.Response{
		StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header(o).Clone(), Request: req,
		Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4,
	}, nil
}

func fetch(t testing.TB, cache *cachecontrol.Transport, url string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := cache.RoundTrip(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// ask returns the answer of h to a request with these fields; "Host" sets the host.
func ask(h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	path, form, _ := strings.Cut(target, " ")
	req := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(form))
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

var allPages = []string{"/debug/cache/", "/debug/cache/requests", "/debug/cache/entries", "/debug/cache/problems"}

// No page shows a secret, whatever the header fields are, and none has markup of them.
func TestSecrets(t *testing.T) {
	cache := &cachecontrol.Transport{ReplaySetCookie: true, Base: origin{
		"Cache-Control": {"max-age=60"}, "Vary": {"X-Api-Key, Accept"},
		"Set-Cookie": {"id=s3cret"}, "X-Auth-Token": {"s3cret"}, "Location": {"https://u:s3cret@example.com/?sig=s3cret&n=1"},
		"X-Markup": {"<img src=x onerror=alert(1)>", "\xff\x00\x1b[31m"}, "Link": {`</a?access_token=s3cret>; rel="next"`},
	}}
	defer cache.Close()
	h := inspect.Handler(cache, inspect.AllowChanges())
	fetch(t, cache, "https://user:s3cret@example.com/a?api_key=s3cret&b=<script>&X-Amz-Signature=s3cret;token=s3cret")
	fetch(t, cache, "https://example.com/down?password=s3cret")
	req, _ := http.NewRequest("GET", "https://example.com/keyed", nil)
	req.Header.Set("X-Api-Key", "s3cret")
	resp, err := cache.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	for _, path := range append(allPages, "/debug/cache/stats", "/debug/cache/metrics") {
		body := ask(h, "GET", path).Body.String()
		for _, bad := range []string{"s3cret", "<img", "<script>", "\x1b", "\xff"} {
			if i := strings.Index(body, bad); i >= 0 {
				t.Errorf("%s has %q in %q", path, bad, body[max(i-60, 0):min(i+60, len(body))])
			}
		}
	}
	if body := ask(h, "GET", "/debug/cache/entries").Body.String(); !strings.Contains(body, "&lt;img src=x") || !strings.Contains(body, "n=1") {
		t.Error("the list of entries does not show what is not secret")
	}
}

// Requests that another site or another name may have caused are refused, and so are changes unless they are allowed.
func TestProtection(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"max-age=60"}}}
	defer cache.Close()
	fetch(t, cache, "https://example.com/a")
	const drop = "/drop url=https://example.com/a"
	reads, changes := inspect.Handler(cache), inspect.Handler(cache, inspect.AllowChanges(), inspect.AllowHosts("cache.example.com"))
	for _, test := range []struct {
		h              http.Handler
		method, target string
		fields         []string
		want           int
	}{
		{reads, "GET", "/", nil, 200},
		{reads, "HEAD", "/entries", nil, 200},
		{reads, "GET", "/", []string{"Host: localhost:8080"}, 200},
		{reads, "GET", "/", []string{"Host: [::1]:8080"}, 200},
		{reads, "GET", "/", []string{"Host: rebound.example.net"}, 421},
		{reads, "GET", "/stats", []string{"Host: rebound.example.net:80"}, 421},
		{reads, "GET", "/", []string{"Host: cache.example.com"}, 421},
		{changes, "GET", "/", []string{"Host: cache.example.com:80"}, 200},
		{reads, "GET", "/none", nil, 404},
		{reads, "PUT", "/", nil, 405},
		{reads, "POST", drop, nil, 403},
		{changes, "POST", drop, []string{"Sec-Fetch-Site: cross-site"}, 403},
		{changes, "POST", drop, []string{"Sec-Fetch-Site: same-site"}, 403},
		{changes, "POST", drop, []string{"Origin: http://evil.example.net"}, 403},
		{changes, "POST", drop, []string{"Host: rebound.example.net", "Sec-Fetch-Site: same-origin"}, 421},
		{changes, "GET", "/drop?url=https://example.com/a", nil, 404},
		{changes, "POST", "/other a=b", nil, 404},
		{changes, "POST", "/drop url=%zz", nil, 400},
		{changes, "POST", "/drop url=/relative", nil, 400},
	} {
		w := ask(test.h, test.method, test.target, test.fields...)
		if w.Code != test.want {
			t.Errorf("%s %s %q = %d, want %d", test.method, test.target, test.fields, w.Code, test.want)
		}
		h := w.Header()
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s has the header %v", test.method, test.target, h)
		}
	}
	count := func() (n int) {
		for range cache.List(t.Context()) {
			n++
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("%d entries are stored after requests that were refused, want 1", n)
	}
	if w := ask(changes, "POST", drop, "Sec-Fetch-Site: same-origin"); w.Code != 303 || count() != 0 {
		t.Errorf("a change that is allowed = %d, %d entries are left; want 303 and none", w.Code, count())
	}
}

// Prefixes, groups and everything can be invalidated.
func TestChanges(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"max-age=60"}, "Cache-Groups": {`"g"`}}}
	defer cache.Close()
	h := inspect.Handler(cache, inspect.AllowChanges())
	for _, path := range []string{"a/1", "a/2", "b"} {
		fetch(t, cache, "https://example.com/"+path)
	}
	for _, step := range []struct {
		change         string
		invalid, fresh int
	}{
		{"/prefix url=https://example.com/a", 2, 1},
		{"/group url=https://example.com/&group=g", 3, 0},
		{"/clear a=b", 0, 0},
	} {
		w := ask(h, "POST", step.change)
		if w.Code != 303 {
			t.Errorf("%s = %d %s, want 303", step.change, w.Code, w.Body)
		}
		body := ask(h, "GET", "/"+w.Header().Get("Location")).Body.String()
		invalid, fresh := strings.Count(body, "outcome invalid"), strings.Count(body, "outcome fresh")
		if invalid != step.invalid || fresh != step.fresh || !strings.Contains(body, `class="done"`) {
			t.Errorf("after %s, %d entries are invalid and %d fresh, want %d and %d", step.change, invalid, fresh, step.invalid, step.fresh)
		}
	}
}

// The pages list all entries, page by page, in each order, and each once.
func TestPaging(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"max-age=60"}}}
	defer cache.Close()
	h := inspect.Handler(cache)
	const total = 173
	for n := range total {
		fetch(t, cache, fmt.Sprintf("https://example.com/%d", n))
	}
	name := regexp.MustCompile(`<span class="url">https://example.com/(\d+)</span>`)
	next := regexp.MustCompile(`href="(entries[^"]*after=[^"]*)"`)
	for _, sort := range []string{"url", "size", "age", "left", "status", "nonsense"} {
		found, pages := map[string]int{}, 0
		for path := "/entries?q=example&sort=" + sort; path != ""; pages++ {
			body := ask(h, "GET", path).Body.String()
			for _, m := range name.FindAllStringSubmatch(body, -1) {
				found[m[1]]++
			}
			if path = ""; next.MatchString(body) {
				path = "/" + strings.ReplaceAll(next.FindStringSubmatch(body)[1], "&amp;", "&")
			}
		}
		for n := range total {
			if found[fmt.Sprint(n)] != 1 {
				t.Errorf("%s: entry %d is shown %d times, want 1", sort, n, found[fmt.Sprint(n)])
			}
		}
		if pages != 4 {
			t.Errorf("%s: %d pages, want 4", sort, pages)
		}
	}
	if body := ask(h, "GET", "/entries?q=/17&after=nonsense").Body.String(); !strings.Contains(body, "4 entries of 173") {
		t.Error("a search finds other entries, want 17, 170, 171 and 172")
	}
}

// noLister is a store that cannot list, and fails to store.
type noLister struct{ store *storage.DictCache }

func (s noLister) Get(ctx context.Context, key string) (*storage.Response, error) {
	return s.store.Get(ctx, key)
}

func (s noLister) Create(context.Context, string, *storage.Entry) (storage.Writer, error) {
	return nil, errors.New("full")
}

func (s noLister) Update(context.Context, string, *storage.Entry) error { return nil }
func (s noLister) Delete(context.Context, string) error                 { return nil }

func TestProblems(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"max-age=60"}}, Store: noLister{storage.NewDictCache()}}
	defer cache.Close()
	h := inspect.Handler(cache)
	for _, path := range allPages { // with nothing to show
		if w := ask(h, "GET", path); w.Code != 200 || strings.Contains(w.Body.String(), "NaN") {
			t.Errorf("%s = %d, %s", path, w.Code, w.Body)
		}
	}
	fetch(t, cache, "https://example.com/a")
	fetch(t, cache, "https://down.example.com/down")
	body := ask(h, "GET", "/problems").Body.String()
	for _, want := range []string{"store-failed", "down.example.com", "create"} {
		if !strings.Contains(body, want) {
			t.Errorf("the problems do not name %q", want)
		}
	}
	if body := ask(h, "GET", "/entries").Body.String(); !strings.Contains(body, "cannot list") {
		t.Error("the list of a store that cannot list does not say so")
	}
}

// The metrics have the names of package otel.
func TestMetrics(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"no-store"}}}
	defer cache.Close()
	h := inspect.Handler(cache)
	fetch(t, cache, "https://example.com/a")
	body := ask(h, "GET", "/metrics").Body.String()
	line := regexp.MustCompile(`^(?:# (?:HELP|TYPE) cachecontrol_[a-z_]+ .+|cachecontrol_[a-z_]+(?:\{[a-z_]+="[^"]+"(?:,(?:le|cachecontrol_below)="[^"]+")?\})? [0-9.e+-]+)$`)
	for l := range strings.Lines(body) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("the line %q is not in the format of Prometheus", l)
		}
	}
	for _, want := range []string{
		`cachecontrol_requests_total{cachecontrol_outcome="miss"} 1`, `cachecontrol_responses_not_stored_total{cachecontrol_reason="no-store"} 1`,
		`cachecontrol_request_duration_seconds_count{cachecontrol_outcome="miss"} 1`, `cachecontrol_origin_requests_total 1`,
	} {
		if !slices.Contains(strings.Split(body, "\n"), want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
}

// Requests are recorded while the pages are made.
func TestConcurrently(t *testing.T) {
	cache := &cachecontrol.Transport{Base: origin{"Cache-Control": {"max-age=60"}}}
	defer cache.Close()
	h := inspect.Handler(cache)
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for n := range 150 {
				fetch(t, cache, fmt.Sprintf("https://host%d.example.com/%d", n*4+i, n%7))
			}
		})
	}
	for range 5 {
		for _, path := range allPages {
			ask(h, "GET", path)
		}
	}
	work.Wait()
	if body := ask(h, "GET", "/").Body.String(); !strings.Contains(body, "600") {
		t.Error("the overview does not count 600 requests")
	}
}

// BenchmarkEntries makes the page of entries while a million are stored, and reports the memory that this takes beyond
// them.
func BenchmarkEntries(b *testing.B) {
	store := &storage.DictCache{MaxBytes: -1}
	h := http.Header{"Cache-Control": {"max-age=60"}, "Content-Type": {"text/plain"}}
	for n := range 1_000_000 {
		url := fmt.Sprintf("https://example.com/%d", n)
		w, err := store.Create(b.Context(), url, &storage.Entry{Status: 200, Version: 11, Header: h, URL: url, RequestTime: time.Now(), ResponseTime: time.Now(), Length: -1})
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(w, "body")
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	cache := &cachecontrol.Transport{Store: store}
	defer cache.Close()
	page := inspect.Handler(cache)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, sort := range []string{"url", "size", "left"} {
		b.Run(sort, func(b *testing.B) {
			for b.Loop() {
				if body := ask(page, "GET", "/entries?sort="+sort).Body.String(); !strings.Contains(body, "1000000 entries") {
					b.Fatal("the list is not complete")
				}
			}
			b.ReportMetric(float64(int64(heap()-before))/1024, "KiB-more")
		})
	}
}
