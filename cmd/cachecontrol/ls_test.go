package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

func TestLs(t *testing.T) {
	golden(t, "ls", false, "ls", "DIR")
	golden(t, "ls-separate", true, "ls", "--sort", "size", "separate:DIR")
	golden(t, "ls-json", true, "ls", "--json", "DIR")
}

// The flags select entries and determine their order.
func TestLsSelects(t *testing.T) {
	const a, b, c, p = "a/fresh", "b/stale", "c/ever", "python"
	for args, want := range map[string][]string{
		"":                            {a, b, c, p},
		"--reverse":                   {p, c, b, a},
		"--fresh":                     {a, c, p},
		"--stale":                     {b},
		"--status 404":                {b},
		"--status 2xx":                {a, p},
		"--status 404,301":            {b, c},
		"--status 5xx":                {},
		"--url example/a":             {a},
		"--url example":               {a, b, c},
		"--match ^https://[ab]\\.":    {},
		"--match /(a|c)/":             {a, c},
		"--older-than 1h":             {b, c, p},
		"--older-than 1d":             {b, c},
		"--older-than 2w":             {c},
		"--older-than 2w --stale":     {},
		"--sort size":                 {b, p, a, c},
		"--sort size --reverse":       {c, a, p, b},
		"--sort age":                  {c, b, p, a},
		"--sort left":                 {b, p, a, c},
		"--sort status":               {a, p, c, b},
		"--sort status --reverse":     {b, c, p, a},
		"--shared --fresh":            {c, p},
		"--fresh --sort url --url /c": {c},
	} {
		t.Run(args, func(t *testing.T) {
			f := newFilled(t, false)
			f.page("https://example/"+a, 200, time.Minute, "1", "Cache-Control: max-age=3600, s-maxage=1")
			f.page("https://example/"+b, 404, 5*24*time.Hour, strings.Repeat("x", 1000), "Cache-Control: max-age=60")
			f.page("https://example/"+c, 301, 30*24*time.Hour, "")
			f.python("https://example/p", false, 2*time.Hour, strings.Repeat("x", 300), "Cache-Control: max-age=9000")
			code, stdout, stderr := call(t, append([]string{"ls", "--json", f.dir}, strings.Fields(args)...)...)
			if code != exitOK || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			got := []string{}
			for line := range strings.Lines(stdout) {
				var row struct{ URL string }
				if err := json.Unmarshal([]byte(line), &row); err != nil {
					t.Fatal(err)
				}
				if row.URL == "" {
					row.URL = "https://example/" + p
				}
				got = append(got, strings.TrimPrefix(row.URL, "https://example/"))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// No line is wider than the terminal.
func TestLsNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilled(t, false)
		f.some(false)
		d, err := openDirectory(f.dir)
		f.must(err)
		for _, width := range []int{200, 80, 70, 69, 40} {
			var b strings.Builder
			p := &listPrinter{w: bufio.NewWriter(&b), columns: width}
			for it := range d.All() {
				if row := d.list(it, false, time.Now()); row != nil {
					f.must(p.print(row))
				}
			}
			f.must(p.w.Flush())
			for line := range strings.Lines(b.String()) {
				if line = strings.TrimSuffix(line, "\n"); len(line) > width {
					t.Errorf("in %d columns: %q", width, line)
				}
			}
			if !strings.Contains(b.String(), "https://a.") {
				t.Errorf("in %d columns there is no URL:\n%s", width, b.String())
			}
		}
	})
}

func TestLsMixed(t *testing.T) {
	f := newFilled(t, false)
	f.page("https://a.example/", 200, 0, "one")
	f.open(true)
	f.page("https://b.example/", 200, 0, "two")
	code, stdout, stderr := call(t, "ls", f.dir)
	if code != exitOK || !strings.Contains(stderr, "1 in one file, 1 with a separate body") || strings.Count(stdout, "example") != 2 {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	_, stdout, _ = call(t, "ls", "file:"+f.dir)
	if !strings.Contains(stdout, "foreign") || !strings.Contains(stdout, "it has the layout of a separate: directory") {
		t.Errorf("stdout %q", stdout)
	}
}

// A shell reads a quoted argument as it was.
func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"/var/cache/web-1": "/var/cache/web-1", "~/x": "~/x", `C:\x`: `C:\x`, "a b": `"a b"`, "": `""`, "$x`y`\"": "\"\\$x\\`y\\`\\\"\"",
	} {
		if got := quoted(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestLsUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("this user may read everything")
	}
	f := newFilled(t, false)
	f.page("https://a.example/", 200, 0, "one")
	path := f.path("https://a.example/")
	f.must(os.Chmod(path, 0))
	if _, stdout, _ := call(t, "ls", f.dir); !strings.Contains(stdout, "unreadable") {
		t.Errorf("stdout %q", stdout)
	}
}

func TestLsEmpty(t *testing.T) {
	code, stdout, stderr := call(t, "ls", t.TempDir())
	if code != exitOK || stdout != "" || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestLsFailingStdout(t *testing.T) {
	f := newFilled(t, false)
	f.page("https://a.example/", 200, 0, "one")
	for _, args := range [][]string{
		{"ls", f.dir}, {"ls", "--sort", "none", f.dir}, {"ls", "--json", f.dir}, {"stats", f.dir}, {"stats", "--json", f.dir},
		{"prune", "--max-bytes", "1", "--dry-run", f.dir}, {"verify", f.dir}, {"verify", "--json", f.dir}, {"show", f.dir, "https://a.example/"},
		{"show", "--json", f.dir, "https://a.example/"}, {"show", "--body", f.dir, "https://a.example/"},
	} {
		var stderr buffer
		if code := run(t.Context(), args, failingWriter{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "cannot write") {
			t.Errorf("%q: exit code %d, stderr %q", args, code, &stderr)
		}
	}
}

func TestShortDuration(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "0s", 99 * time.Second: "99s", 100 * time.Second: "1m", 99 * time.Minute: "99m", 100 * time.Minute: "1h",
		99 * time.Hour: "99h", 100 * time.Hour: "4d", 999 * day: "999d", 1000 * day: "2y", -time.Hour: "-60m", 1 << 62: "ever",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestSetAge(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1.5h": 90 * time.Minute, "30d": 720 * time.Hour, "2w": 336 * time.Hour, "0.5d": 12 * time.Hour,
		"0d": 0, "-1d": 0, "d": 0, "": 0, "1e300d": 0, "NaNd": 0, "Infw": 0, "5": 0,
	} {
		var a time.Duration
		if err := setAge(&a)(s); time.Duration(a) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", s, time.Duration(a), err)
		}
	}
}

// The role of each entry of a Transport is known, and none is an orphan.
func TestLsRoles(t *testing.T) {
	f := newFilled(t, true)
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch {
		case strings.HasPrefix(r.URL.Path, "/vary"):
			w.Header().Set("Vary", "Accept-Language, X-None")
		case r.URL.Path == "/search":
			w.Header().Set("No-Vary-Search", `params=("utm")`)
		case r.URL.Path == "/part":
			w.Header().Set("Content-Range", "bytes 0-3/10")
			w.Header().Set("Etag", `"v"`)
			w.WriteHeader(http.StatusPartialContent)
		}
		io.WriteString(w, "body")
	})
	cache := &cachecontrol.Transport{Store: f.store, CacheableMethods: []string{"GET", "POST"}}
	defer cache.Close()
	ask := func(method, path string, header ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, origin.URL+path, strings.NewReader("question"))
		f.must(err)
		if method == http.MethodGet {
			req.Body, req.GetBody, req.ContentLength = nil, nil, 0
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Add(header[i], header[i+1])
		}
		resp, err := cache.RoundTrip(req)
		f.must(err)
		_, err = io.ReadAll(resp.Body)
		f.must(err)
		resp.Body.Close()
	}
	ask("GET", "/plain?b=%20&a=%2f#x")
	ask("GET", "/vary", "Accept-Language", "de, EN;q=0.50")
	ask("GET", "/vary", "Accept-Language", "fr", "Accept-Language", "it")
	ask("GET", "/vary")
	ask("GET", "/part", "Range", "bytes=0-3")
	ask("POST", "/vary/asked")
	ask("GET", "/search?utm=1&a=%62")

	code, stdout, stderr := call(t, "ls", "--json", f.dir)
	if code != exitOK {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	got := map[string]int{}
	for line := range strings.Lines(stdout) {
		var row struct{ URL, Role string }
		f.must(json.Unmarshal([]byte(line), &row))
		got[row.Role+" "+strings.TrimPrefix(row.URL, origin.URL)]++
	}
	want := map[string]int{
		"entry /plain?b=%20&a=%2f": 1, "entry /vary": 1, "variant /vary": 2, "part /part": 1, "index /part": 1, "index /vary/asked": 1, "other /vary/asked": 1,
		"urls /search?a=b": 1, "index /search": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if code, stdout, stderr := call(t, "verify", f.dir); code != exitOK {
		t.Errorf("verify: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
