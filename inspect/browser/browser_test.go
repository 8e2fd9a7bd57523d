package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/inspect"
	"github.com/go-cachecontrol/cachecontrol/inspect/internal/page"
	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

var screenshots = flag.Bool("screenshots", false, "store screenshots in docs/")

// browser starts a browser. The test fails if a page has an error in its console, such as a violation of its policy.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := peer.Program(t, "apt-get install chromium", "chromium", "chromium-browser", "google-chrome")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var problems []string
	err := chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			problems = append(problems, ev.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if !strings.HasSuffix(ev.Entry.URL, "/favicon.ico") {
				problems = append(problems, ev.Entry.Text+" "+ev.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range problems {
			t.Error("the console of the browser: ", p)
		}
	})
	return ctx
}

// do runs actions in the browser.
func do(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// value returns the value of an action.
func value[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// call calls a command of the browser.
func call[P, R any](t *testing.T, ctx context.Context, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		t.Fatal(err)
	}
}

// text returns the text of a page.
func text(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	do(t, ctx, chromedp.Navigate(url))
	return strings.Join(strings.Fields(value(t, ctx, chromedp.Evaluate[string](`document.querySelector("main").innerText`))), " ")
}

func get(t *testing.T, cache *cachecontrol.Transport, url string, fields ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	if resp, err := cache.RoundTrip(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// serve returns the URL of the pages about a cache.
func serve(t *testing.T, cache *cachecontrol.Transport, h http.Handler) string {
	t.Helper()
	t.Cleanup(func() { cache.Close() })
	mux := http.NewServeMux()
	mux.Handle("/debug/cache/", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/debug/cache/"
}

// TestFollows follows a response on the pages: it is a miss, then a hit, and a miss again after it was removed with the
// button.
func TestFollows(t *testing.T) {
	ctx := browser(t)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Set-Cookie", "session=s3cret")
		w.Header().Set("X-Odd", "<script>alert(1)</script>\xff\"'&")
		io.WriteString(w, "body")
	}))
	defer origin.Close()
	cache := &cachecontrol.Transport{ReplaySetCookie: true}
	pages := serve(t, cache, inspect.Handler(cache, inspect.AllowChanges()))
	secret := origin.URL + "/page?token=s3cret&n=1"
	step := func(want string) {
		t.Helper()
		get(t, cache, secret)
		get(t, cache, origin.URL+"/other")
		do(t, ctx, chromedp.Navigate(pages+"requests?q=/page"), chromedp.Click(chromedp.CSS("li:first-child summary")))
		got, html := value(t, ctx, chromedp.Text(chromedp.CSS("li:first-child"))), value(t, ctx, chromedp.OuterHTML(chromedp.CSS("html")))
		if !strings.Contains(got, want) || !strings.Contains(got, "RFC 9111") && want == "hit" {
			t.Errorf("the last request is shown as %q, want %s with its rule", got, want)
		}
		if strings.Contains(html, "s3cret") || !strings.Contains(html, "token=xxxxx") {
			t.Error("the page shows a secret query parameter, want it hidden")
		}
	}
	step("miss")
	step("hit")

	// Changes of the page while it is open, by the script.
	do(t, ctx, chromedp.Navigate(pages), chromedp.WaitVisible(chromedp.CSS("#live input")))
	get(t, cache, origin.URL+"/live")
	value(t, ctx, chromedp.Poll[bool](`document.querySelector(".tiles").innerText.includes("5\n")`))

	if got := text(t, ctx, pages+"entries"); !strings.Contains(got, "3 entries") || strings.Contains(got, "s3cret") {
		t.Errorf("the entries are %q, want 3 without secrets", got)
	}
	do(t, ctx,
		chromedp.Navigate(pages+"entries?q=/other"),
		chromedp.Click(chromedp.CSS("summary")),
		chromedp.WaitVisible(chromedp.CSS(".fields")),
	)
	entry := value(t, ctx, chromedp.Text(chromedp.CSS("li")))
	for _, want := range []string{"it is served", "max-age=60", "<script>alert(1)</script>", "(not shown)"} {
		if !strings.Contains(entry, want) {
			t.Errorf("the entry is shown as %q, want %q in it", entry, want)
		}
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("button.danger")), chromedp.WaitVisible(chromedp.CSS(".done")))
	if got := text(t, ctx, pages+"entries"); !strings.Contains(got, "2 entries") {
		t.Errorf("after the removal, the entries are %q, want 2", got)
	}
	get(t, cache, origin.URL+"/other")
	do(t, ctx, chromedp.Navigate(pages+"requests"))
	if got := value(t, ctx, chromedp.Text(chromedp.CSS("li:first-child summary"))); !strings.Contains(got, "miss") {
		t.Errorf("the request after the removal is shown as %q, want a miss", got)
	}
}

// Without scripts, the pages and the button work.
func TestWithoutScripts(t *testing.T) {
	ctx := browser(t)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer origin.Close()
	cache := new(cachecontrol.Transport)
	pages := serve(t, cache, inspect.Handler(cache, inspect.AllowChanges()))
	get(t, cache, origin.URL+"/a")
	call(t, ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	do(t, ctx, chromedp.Navigate(pages+"entries"),
		chromedp.Click(chromedp.CSS("summary")), chromedp.WaitVisible(chromedp.CSS("button.danger")), chromedp.Click(chromedp.CSS("button.danger")),
		chromedp.WaitVisible(chromedp.CSS(".done")))
	if s := cache.Stats(); s.Stored != 1 {
		t.Errorf("%d responses were stored, want 1", s.Stored)
	}
	for range cache.List(t.Context()) {
		t.Error("the response is still stored, want it removed")
	}
}

// serveDemo returns the URL of the pages about a cache that has seen something of everything.
func serveDemo(t *testing.T) string {
	cache := &cachecontrol.Transport{StaleIfError: time.Hour, Base: demoOrigin{}}
	h := page.New(cache, page.Config{Changes: true})
	past(h, time.Now())
	t.Cleanup(cache.Observe(h.Record))
	url := serve(t, cache, h)
	for range 5 {
		for n := range 12 {
			get(t, cache, fmt.Sprintf("https://api.example.com/v1/packages/%d?page=%d", n, n%3))
		}
		get(t, cache, "https://static.example.net/app.js")
		get(t, cache, "https://static.example.net/logo.svg")
		get(t, cache, "https://api.example.com/v1/packages/1?page=1", "Cache-Control: no-cache")
	}
	for n := range 9 {
		get(t, cache, fmt.Sprintf("https://api.example.com/v1/session?user=%d&access_token=abc", n))
		get(t, cache, fmt.Sprintf("https://down.example.org/feed/%d", n))
	}
	get(t, cache, "https://news.example.com/today", "Cache-Control: only-if-cached")
	get(t, cache, "https://news.example.com/today")
	return url
}

// past records half an hour of requests: the cache fills, and later an origin is slow.
func past(h *page.Handler, now time.Time) {
	random := rand.New(rand.NewPCG(1, 1))
	for ago := 30 * time.Minute; ago > 10*time.Second; ago -= 10 * time.Second {
		minute := (30*time.Minute - ago).Minutes()
		n := 40 + int(30*math.Sin(minute/4)) + random.IntN(12)
		for range n {
			o := cachecontrol.Observation{Started: now.Add(-ago), Lookup: 4 * time.Microsecond}
			o.Took = time.Duration(8+random.IntN(20)) * time.Microsecond
			o.Request = httptest.NewRequest("GET", "https://api.example.com/v1/packages", nil)
			o.Response = &http.Response{StatusCode: 200}
			o.Status = cachecontrol.Status{Outcome: cachecontrol.Hit, Reason: "fresh"}
			switch chance := random.Float64(); {
			case chance < 0.08+0.5*math.Exp(-minute/3):
				o.Origin = time.Duration(20+random.IntN(30)) * time.Millisecond
				o.Status = cachecontrol.Status{Outcome: cachecontrol.Miss, Reason: "uri-miss", Forward: "uri-miss", ForwardStatus: 200}
			case chance < 0.2:
				o.Origin = time.Duration(15+random.IntN(10)) * time.Millisecond
				o.Status = cachecontrol.Status{Outcome: cachecontrol.Revalidated, Reason: "validated", Forward: "stale", ForwardStatus: 304}
			case minute > 18 && minute < 23 && chance < 0.6:
				o.Status = cachecontrol.Status{Outcome: cachecontrol.Stale, Reason: "origin-failing"}
			case chance > 0.985:
				o.Err, o.Response, o.Origin = errors.New("timeout"), nil, 300*time.Millisecond
				o.Request.URL.Host = "down.example.org"
			}
			if minute > 17 && minute < 19 {
				o.Origin *= 20
			}
			o.Took += o.Origin
			h.Record(o)
		}
	}
}

type demoOrigin struct{}

func (demoOrigin) RoundTrip(req *http.Request) (*http.Response, error) {
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Type": {"application/json"}}
	status, body := 200, strings.Repeat("x", 700+17*len(req.URL.Path))
	switch {
	case req.URL.Host == "down.example.org":
		return nil, errors.New("dial tcp 192.0.2.1:443: connect: connection refused")
	case strings.Contains(req.URL.Path, "session"):
		h.Set("Cache-Control", "no-store")
	case req.URL.Host == "static.example.net":
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Etag", `"3f8a"`)
	case req.URL.Host == "news.example.com":
		h.Set("Set-Cookie", "visitor=123")
	default:
		time.Sleep(3 * time.Millisecond)
		h.Set("Cache-Control", "max-age=300, stale-while-revalidate=60")
		h.Set("Etag", `W/"17"`)
		h.Set("Vary", "Accept-Language")
		if req.Header.Get("If-None-Match") != "" {
			status, body = 304, ""
		}
	}
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req}, nil
}

// TestScreens checks that no page is wider than the window, in two widths, and stores screenshots with -screenshots.
func TestScreens(t *testing.T) {
	ctx := browser(t)
	pages := serveDemo(t)
	for _, width := range []int64{1200, 400} {
		for _, path := range []string{"", "requests", "entries", "problems"} {
			for _, dark := range []bool{false, true} {
				scheme := "light"
				if dark {
					scheme = "dark"
				}
				call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				do(t, ctx,
					chromedp.EmulateViewport(width, 900), chromedp.Navigate(pages+path),
				)
				if path == "requests" || path == "entries" {
					do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("li:nth-child(2) details").open = true`))
				}
				overflow := value(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - window.innerWidth`))
				if overflow > 0 {
					t.Errorf("%q is %d pixels wider than the window of %d", path, overflow, width)
				}
				if *screenshots {
					screenshot(t, ctx, path, scheme, width)
				}
			}
		}
	}
}

// screenshot stores a picture of the page.
func screenshot(t *testing.T, ctx context.Context, path, scheme string, width int64) {
	t.Helper()
	name := path
	if name == "" {
		name = "overview"
	}
	dir := "../../docs"
	switch fmt.Sprint(path, width, scheme) {
	case "1200light", "400dark", "entries1200light":
	default:
		dir = os.TempDir() + "/inspect-screens" // to look at
		os.MkdirAll(dir, 0o755)
	}
	png := value(t, ctx, chromedp.CaptureScreenshot())
	file := filepath.Join(dir, fmt.Sprintf("inspect-%s-%d-%s.png", name, width, scheme))
	if err := os.WriteFile(file, png, 0o644); err != nil {
		t.Fatal(err)
	}
}
