package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// startServe runs "cachecontrol serve" until the test ends. It returns its URL.
func startServe(t *testing.T, args ...string) string {
	t.Helper()
	ready := make(chan string, 1)
	stderr := &buffer{}
	listening := regexp.MustCompile(`listening on (http://\S+),`)
	stderr.line = func(line string) {
		if m := listening.FindStringSubmatch(line); m != nil {
			ready <- m[1]
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		args := append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)
		ended <- run(ctx, args, io.Discard, stderr)
	}()
	select {
	case url := <-ready:
		t.Cleanup(func() {
			http.DefaultClient.CloseIdleConnections()
			cancel()
			if code := <-ended; code != exitOK {
				t.Errorf("the server ended with exit code %d, want %d; stderr %s", code, exitOK, stderr)
			}
		})
		return url
	case code := <-ended:
		cancel()
		t.Fatalf("the server ended with exit code %d: %s", code, stderr)
	}
	panic("not reached")
}

const notFound = "404 page not found\n"

func TestServe(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"www/a.txt": "0123456789", "www/.secret": "x", "www/.git/config": "x", "www/d/index.html": "index", "outside": "x",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, "www", "link")); err != nil {
		t.Log(err) // some systems do not allow it
	}
	for _, mode := range []struct {
		args []string
		want string
	}{{nil, "no-cache"}, {[]string{"--max-age", "10m"}, "max-age=600"}, {[]string{"--max-age", "0.5d"}, "max-age=43200"}} {
		url := startServe(t, append(mode.args, filepath.Join(dir, "www"))...)
		first, _ := do(t, "GET", url+"/a.txt")
		tag := first.Header.Get("ETag")
		if tag == "" || first.Header.Get("Last-Modified") == "" {
			t.Errorf("%v: header %v, want an ETag and a Last-Modified", mode.args, first.Header)
		}
		for _, test := range []struct {
			path   string
			header []string
			status int
			body   string
			cache  string // Cache-Control
		}{
			{"/a.txt", nil, 200, "0123456789", mode.want},
			{"/a.txt", []string{"If-None-Match", tag}, 304, "", mode.want},
			{"/a.txt", []string{"Range", "bytes=2-4", "If-Range", tag}, 206, "234", mode.want},
			{"/d/", nil, 200, "index", mode.want},
			{"/none", nil, 404, notFound, ""},
			{"/.secret", nil, 404, notFound, ""},
			{"/.git/config", nil, 404, notFound, ""},
			{"/.git/", nil, 404, notFound, ""},
			{"/../outside", nil, 404, notFound, ""},
		} {
			resp, body := do(t, "GET", url+test.path, test.header...)
			if got := resp.Header.Get("Cache-Control"); resp.StatusCode != test.status || body != test.body || got != test.cache {
				t.Errorf("%v: GET %s with %q: %d %q, Cache-Control %q, want %d %q, %q",
					mode.args, test.path, test.header, resp.StatusCode, body, got, test.status, test.body, test.cache)
			}
		}
		if resp, body := do(t, "GET", url+"/link"); resp.StatusCode == 200 {
			t.Errorf("a link leads out: %q", body)
		}
		if _, body := do(t, "GET", url+"/"); !strings.Contains(body, "a.txt") || strings.Contains(body, ".secret") {
			t.Errorf("the listing: %s", body)
		}
	}
}

func TestServeFails(t *testing.T) {
	for _, args := range [][]string{{"serve", "/no/such/dir"}, {"serve", "--listen", "256.0.0.1:1", "."}} {
		if code, _, stderr := call(t, args...); code != exitFailed || !strings.Contains(stderr, "cannot") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}
