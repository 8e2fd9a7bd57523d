package main

import (
	"net/http"
	"net/url"
	"testing"
)

func TestRelocated(t *testing.T) {
	for _, tt := range []struct{ upstream, location, want string }{
		{"http://up:8000", "http://up:8000/dir/", "/dir/"},
		{"http://up:8000", "http://UP:8000/dir?a=%2F#b", "/dir?a=%2F#b"},
		{"http://up:8000", "//up:8000/dir/", "/dir/"},
		{"http://up:8000", "http://up:8000", "/"},
		{"http://up:8000", "http://up:8000?", "/?"},
		{"http://up:8000", "http://user@up:8000/a", "/a"},
		{"http://up:8000", "http://up:8000//evil.example/", "/.//evil.example/"},
		{"http://up:8000", "http://up:8000/a%2Fb", "/a%2Fb"},
		{"http://up", "http://up:80/a", "/a"},
		{"http://up:80", "http://up/a", "/a"},
		{"https://up", "https://up:443/a", "/a"},
		{"http://up/base", "http://up/base/a", "/a"},
		{"http://up/base/", "http://up/base/a", "/a"},
		{"http://up/base", "http://up/base", "/"},
		{"http://up/base", "/base/a?q", "/a?q"},
		{"http://up/base", "/base//a", "/.//a"},

		{"http://up", "/a", ""},
		{"http://up", "a", ""},
		{"http://up", "", ""},
		{"http://up", "?q", ""},
		{"http://up", "https://up/a", ""},
		{"http://up", "http://up:81/a", ""},
		{"http://up", "http://up.example/a", ""},
		{"http://up", "mailto:up", ""},
		{"http://up", "http://up:x/", ""},
		{"http://up/base", "http://up/a", ""},
		{"http://up/base", "http://up/based", ""},
		{"http://up/base", "/a", ""},
	} {
		upstream, err := url.Parse(tt.upstream)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := relocated(tt.location, upstream)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("relocated(%q, %q) = %q, %v, want %q", tt.location, tt.upstream, got, ok, tt.want)
		}
	}
}

// A redirect to the upstream server leads to the proxy, from the origin and from the cache.
func TestProxyRelocates(t *testing.T) {
	origin := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "http://"+r.Host+"/there")
		w.Header().Set("Location", "http://"+r.Host+"/dir/")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	proxy, _ := startProxy(t, origin.URL)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, status := range []string{"miss", "hit", "hit"} {
		resp, err := client.Get(proxy + "/dir")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := resp.Header.Get("Location"), "/dir/"; got != want {
			t.Errorf("%s: Location %q, want %q", status, got, want)
		}
		if got, want := resp.Header.Get("Content-Location"), "/there"; got != want {
			t.Errorf("%s: Content-Location %q, want %q", status, got, want)
		}
	}
}
