package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol"
)

func TestAdmin(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	})
	url, stderr := startProxy(t, origin.URL, "--admin", "localhost:0")
	m := regexp.MustCompile(`admin page on (http://\S+)`).FindStringSubmatch(stderr.String())
	if m == nil {
		t.Fatalf("stderr %q, want the address of the page", stderr)
	}
	read := func(url string) string {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
		}
		return string(body)
	}
	read(url + "/a")
	read(url + "/a")
	for path, want := range map[string]string{
		"": "answered from the cache", "requests": "GET " + origin.URL + "/a", "entries": origin.URL + "/a",
		"metrics": `cachecontrol_requests_total{cachecontrol_outcome="hit"} 1`,
	} {
		if page := read(m[1] + path); !strings.Contains(page, want) {
			t.Errorf("/%s has no %q:\n%s", path, want, page)
		}
	}
	var s cachecontrol.Stats
	if err := json.Unmarshal([]byte(read(m[1]+"stats")), &s); err != nil || s.Hits != 1 || s.Misses != 1 {
		t.Errorf("/stats: %+v, error %v; want a hit and a miss", s, err)
	}
	resp, err := http.PostForm(m[1]+"drop", map[string][]string{"url": {origin.URL + "/a"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a change without --admin-changes gets %d, want 403", resp.StatusCode)
	}
}

func TestAdminIsNotExposed(t *testing.T) {
	var stderr buffer
	code := run(context.Background(), []string{"proxy", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", ":0"}, io.Discard, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "--admin-exposed") {
		t.Errorf("--admin on all addresses: exit code %d, stderr %q; want %d and --admin-exposed", code, stderr.String(), exitUsage)
	}
}
