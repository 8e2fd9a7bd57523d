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

// startServe runs "cachecontrol serve" until the test ends, and returns its URL.
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
				t.Errorf("the server ended with exit code %d: %s", code, stderr)
			}
		})
		return url
	case code := <-ended:
		cancel()
		t.Fatalf("the server ended with exit code %d: %s", code, stderr)
	}
	panic("not reached")
}

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
		t.Log(err) // some systems have none
	}
	for _, mode := range []struct {
		args []string
		want string
	}{{nil, "no-cache"}, {[]string{"--max-age", "10m"}, "max-age=600"}, {[]string{"--max-age", "0.5d"}, "max-age=43200"}} {
		url := startServe(t, append(mode.args, filepath.Join(dir, "www"))...)
		resp, body := do(t, "GET", url+"/a.txt")
		tag := resp.Header.Get("ETag")
		if resp.StatusCode != 200 || body != "0123456789" || tag == "" || resp.Header.Get("Last-Modified") == "" ||
			resp.Header.Get("Cache-Control") != mode.want {
			t.Errorf("%v: %d %q %v", mode.args, resp.StatusCode, body, resp.Header)
		}
		resp, body = do(t, "GET", url+"/a.txt", "If-None-Match", tag)
		if resp.StatusCode != 304 || body != "" || resp.Header.Get("Cache-Control") != mode.want {
			t.Errorf("its tag: %d %q %v", resp.StatusCode, body, resp.Header)
		}
		resp, body = do(t, "GET", url+"/a.txt", "Range", "bytes=2-4", "If-Range", tag)
		if resp.StatusCode != 206 || body != "234" {
			t.Errorf("a range: %d %q", resp.StatusCode, body)
		}
		for path, status := range map[string]int{"/none": 404, "/.secret": 404, "/.git/config": 404, "/.git/": 404, "/../outside": 404} {
			if resp, _ := do(t, "GET", url+path); resp.StatusCode != status || resp.Header.Get("Cache-Control") != "" {
				t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
			}
		}
		if resp, body := do(t, "GET", url+"/link"); resp.StatusCode == 200 {
			t.Errorf("a link leads out: %q", body)
		}
		if _, body := do(t, "GET", url+"/"); !strings.Contains(body, "a.txt") || strings.Contains(body, ".secret") {
			t.Errorf("the listing: %s", body)
		}
		if _, body := do(t, "GET", url+"/d/"); body != "index" {
			t.Errorf("the index: %q", body)
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
