package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// targetStores are stores of each kind that the Transport treats in a way of its own, and one that it guards.
func targetStores(t *testing.T) map[string]func() storage.Store {
	disk := func(s storage.Store, err error) storage.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return map[string]func() storage.Store{
		"dict":     func() storage.Store { return storage.NewDictCache() },
		"file":     func() storage.Store { s, err := storage.NewFileCache(t.TempDir()); return disk(s, err) },
		"separate": func() storage.Store { s, err := storage.NewSeparateBodyFileCache(t.TempDir()); return disk(s, err) },
		"tiered": func() storage.Store {
			return storage.Tiered(storage.NewDictCache(), struct{ storage.Store }{storage.NewDictCache()})
		},
		"guarded": func() storage.Store { return struct{ storage.Store }{storage.NewDictCache()} },
	}
}

// requestFor makes a request for a URL and a Host that url.Parse would not give.
func requestFor(t *testing.T, method string, u url.URL, host string) *http.Request {
	t.Helper()
	req := request(t, method+" /")
	req.URL, req.Host = &u, host
	return req
}

// A request whose target cannot be told from another one's has no key: the cache keeps out of the way, and what is
// stored for the other target stays as it is. The kind is every part of a target that glues on to the next one: a host with
// bytes of a path, a query, a user or a fragment, a path that does not begin with a slash, a query with a fragment or with
// bytes that end the request line.
func TestTargetsWithoutKey(t *testing.T) {
	targets := []struct {
		name string
		url  url.URL
		host string
	}{
		{"a path in URL.Host", url.URL{Scheme: "http", Host: "example.com/a", Path: "/b"}, ""},
		{"a path in Request.Host", url.URL{Scheme: "http", Host: "example.com", Path: "/b"}, "example.com/a"},
		{"a query in URL.Host", url.URL{Scheme: "http", Host: "example.com/a/b?", Path: "/"}, ""},
		{"a query in Request.Host", url.URL{Scheme: "http", Host: "example.com", Path: "/"}, "example.com/a/b?"},
		{"a query without a path", url.URL{Scheme: "http", Host: "example.com?q", Path: "/a/b"}, ""},
		{"a fragment in URL.Host", url.URL{Scheme: "http", Host: "example.com/a/b#", Path: "/"}, ""},
		{"a fragment in Request.Host", url.URL{Scheme: "http", Host: "example.com", Path: "/"}, "example.com/a/b#partition="},
		{"a user in URL.Host", url.URL{Scheme: "http", Host: "u@example.com", Path: "/a/b"}, ""},
		{"a user in Request.Host", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b"}, "u@example.com"},
		{"a backslash", url.URL{Scheme: "http", Host: `example.com\a`, Path: "/b"}, ""},
		{"a space", url.URL{Scheme: "http", Host: "example.com a", Path: "/b"}, ""},
		{"a comma and a space", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b"}, "example.com, example.com"},
		{"a line break", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b"}, "example.com\r\nX: y"},
		{"a NUL", url.URL{Scheme: "http", Host: "example.com\x00", Path: "/a/b"}, ""},
		{"a byte beyond ASCII", url.URL{Scheme: "http", Host: "ex\u00e4mple.com", Path: "/a/b"}, ""},
		{"a percent sign", url.URL{Scheme: "http", Host: "example.com%", Path: "/a/b"}, ""},
		{"half an escape", url.URL{Scheme: "http", Host: "example.com%2", Path: "/a/b"}, ""},
		{"no host", url.URL{Scheme: "http", Host: ":80", Path: "/a/b"}, ""},
		{"no host in Request.Host", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b"}, ":80"},
		{"two ports", url.URL{Scheme: "http", Host: "example.com:80:80", Path: "/a/b"}, ""},
		{"no number as port", url.URL{Scheme: "http", Host: "example.com:http", Path: "/a/b"}, ""},
		{"an IP literal without end", url.URL{Scheme: "http", Host: "[::1", Path: "/a/b"}, ""},
		{"an IP literal with more behind it", url.URL{Scheme: "http", Host: "[::1]x", Path: "/a/b"}, ""},
		{"no IP literal", url.URL{Scheme: "http", Host: "[::1/a/b]", Path: "/"}, ""},
		{"a zone", url.URL{Scheme: "http", Host: "[fe80::1%en0]", Path: "/"}, ""},
		{"brackets in a name", url.URL{Scheme: "http", Host: "a[b]", Path: "/"}, ""},
		{"no slash before the path", url.URL{Scheme: "http", Host: "example.com", Path: "a/b"}, ""},
		{"an asterisk", url.URL{Scheme: "http", Host: "example.com", Path: "*"}, ""},
		{"opaque", url.URL{Scheme: "http", Host: "example.com", Opaque: "//example.com/a/b"}, ""},
		{"a fragment in the query", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b", RawQuery: "#c"}, ""},
		{"a space in the query", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b", RawQuery: "a b"}, ""},
		{"a line break in the query", url.URL{Scheme: "http", Host: "example.com", Path: "/a/b", RawQuery: "a\nb"}, ""},
		{"no scheme", url.URL{Scheme: "", Host: "example.com", Path: "/a/b"}, ""},
		{"a path in the scheme", url.URL{Scheme: "http://example.com/a", Host: "b", Path: "/"}, ""},
	}
	for _, test := range targets {
		t.Run(test.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, fmt.Sprintf("#%d", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				if a := do(t, tr, "/a/b"); a.outcome != miss {
					t.Fatalf("first: %v, want %v", a.outcome, miss)
				}
				for range 2 {
					a := send(t, tr, requestFor(t, "GET", test.url, test.host))
					if a.outcome != bypass || cachecontrol.StatusOf(a.Response).Reason.String() != "url" {
						t.Errorf("GET: %v, %q; want %v", a.outcome, a.Header["Cache-Status"], bypass)
					}
				}
				send(t, tr, requestFor(t, "POST", test.url, test.host))
				if a := do(t, tr, "/a/b"); a.outcome != hit || a.body != "#1" {
					t.Errorf("the other target: %v %q, want %v %q", a.outcome, a.body, hit, "#1")
				}
				if err := tr.Invalidate(context.Background(), &test.url); test.host == "" && err == nil {
					t.Error("Invalidate returned no error")
				}
			})
		})
	}
}

// URLs that are the same resource by RFC 9110, section 4.2.3, have one key, and those that are not have two. The kind is
// every way to write one target: the port that the scheme implies, an empty port, letters of either case, an empty path; in
// URL.Host and in Request.Host. What differs in the query, if only by being there, is another target.
func TestOneKeyForOneTarget(t *testing.T) {
	tests := []struct {
		a, b  url.URL
		hostB string
		same  bool
	}{
		{url.URL{Scheme: "https", Host: "h", Path: "/item"}, url.URL{Scheme: "https", Host: "h:443", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h:80", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h:", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h:080", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "h:81", Path: "/item"}, url.URL{Scheme: "http", Host: "h:0081", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h", Path: "/item"}, "h:80", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h", Path: "/item"}, "H:", true},
		{url.URL{Scheme: "http", Host: "h:80", Path: "/item"}, url.URL{Scheme: "http", Host: "h:80", Path: "/item"}, "h", true},
		{url.URL{Scheme: "HTTPS", Host: "H:443", Path: "/item"}, url.URL{Scheme: "https", Host: "h", Path: "/item"}, "", true},
		{url.URL{Scheme: "https", Host: "[::1]:443", Path: "/item"}, url.URL{Scheme: "https", Host: "[::1]", Path: "/item"}, "", true},
		{url.URL{Scheme: "http", Host: "[fe80::A]:80", Path: ""}, url.URL{Scheme: "http", Host: "[FE80::a]", Path: "/"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: ""}, url.URL{Scheme: "http", Host: "h", Path: "/"}, "", true},
		{url.URL{Scheme: "http", Host: "h", Path: "/", Fragment: "f"}, url.URL{Scheme: "http", Host: "h", Path: "/"}, "", true},

		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "http", Host: "h:443", Path: "/item"}, "", false},
		{url.URL{Scheme: "https", Host: "h", Path: "/item"}, url.URL{Scheme: "https", Host: "h:80", Path: "/item"}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "/item"}, url.URL{Scheme: "https", Host: "h", Path: "/item"}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "/e"}, url.URL{Scheme: "http", Host: "h", Path: "/e", ForceQuery: true}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "/e", RawQuery: "a"}, url.URL{Scheme: "http", Host: "h", Path: "/e", RawQuery: "a&"}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "/e?"}, url.URL{Scheme: "http", Host: "h", Path: "/e", ForceQuery: true}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "/a/b"}, url.URL{Scheme: "http", Host: "h", Path: "/a/b", RawPath: "/a%2Fb"}, "", false},
		{url.URL{Scheme: "http", Host: "h", Path: "//a"}, url.URL{Scheme: "http", Host: "h", Path: "/a"}, "", false},
		{url.URL{Scheme: "http", Host: "h.", Path: "/"}, url.URL{Scheme: "http", Host: "h", Path: "/"}, "", false},
	}
	for _, test := range tests {
		for name, store := range targetStores(t) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, fmt.Sprintf("#%d", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store()}
				defer tr.Close()
				what := fmt.Sprintf("%s: %s and %s, Host %q", name, &test.a, &test.b, test.hostB)
				send(t, tr, requestFor(t, "GET", test.a, ""))
				want := miss
				if test.same {
					want = hit
				}
				if a := send(t, tr, requestFor(t, "GET", test.b, test.hostB)); a.outcome != want {
					t.Errorf("%s: %v, want %v", what, a.outcome, want)
				}
				send(t, tr, requestFor(t, "PUT", test.b, test.hostB))
				want = hit
				if test.same {
					want = miss
				}
				if a := send(t, tr, requestFor(t, "GET", test.a, "")); a.outcome != want {
					t.Errorf("%s, after PUT: %v, want %v", what, a.outcome, want)
				}
				if err := tr.Invalidate(t.Context(), &test.b); err != nil {
					t.Fatal(err)
				}
				if a := send(t, tr, requestFor(t, "GET", test.a, "")); a.outcome != want {
					t.Errorf("%s, after Invalidate: %v, want %v", what, a.outcome, want)
				}
			})
		}
	}
}

// An entry that another URL's key leads to is not used, in whatever store it is: its file may have been moved, or a program may
// have stored it there.
func TestEntryOfAnotherURL(t *testing.T) {
	for name, store := range targetStores(t) {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				s := store()
				for _, key := range []string{"http://example.com/a", "http://example.com/b"} {
					e := &serialize.Entry{
						Status: 200, Reason: "OK", Version: 11, URL: "http://example.com/a", Length: 6,
						Header:      http.Header{"Cache-Control": {"max-age=60"}, "Date": {date(0)}},
						RequestTime: time.Now(), ResponseTime: time.Now(),
					}
					w, err := s.Create(t.Context(), key, e)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.WriteString(w, "stored"); err != nil {
						t.Fatal(err)
					}
					if err := w.Commit(); err != nil {
						t.Fatal(err)
					}
				}
				tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60")), Store: s}
				defer tr.Close()
				if a := do(t, tr, "/a"); a.outcome != hit || a.body != "stored" {
					t.Errorf("its own URL: %v %q, want %v %q", a.outcome, a.body, hit, "stored")
				}
				if a := do(t, tr, "/b"); a.outcome != miss || a.body != "#1" {
					t.Errorf("another URL: %v %q, want %v %q", a.outcome, a.body, miss, "#1")
				}
				if a := do(t, tr, "/b"); a.outcome != hit || a.body != "#1" {
					t.Errorf("another URL, again: %v %q, want %v %q", a.outcome, a.body, hit, "#1")
				}
			})
		})
	}
}
