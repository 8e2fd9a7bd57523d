package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// requestFor returns a request with a URL and a Host that url.Parse would not return.
func requestFor(t *testing.T, method string, u url.URL, host string) *http.Request {
	t.Helper()
	req := request(t, method+" /")
	req.URL, req.Host = &u, host
	return req
}

// A request whose target could be taken for another one has no key: it bypasses the cache, and the response stored for
// the other target is kept. Such targets have a host with bytes of a path, query, user or fragment, a path without a
// leading slash, or a query with a fragment or with bytes that end the request line.
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
			synctest.Test(t, func(t *testing.T) {
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
					if a.outcome != bypass || cachecontrol.StatusOf(a.Response).Reason != "url" {
						t.Errorf("GET: %v, %q; want %v", a.outcome, a.Header["Cache-Status"], bypass)
					}
				}
				send(t, tr, requestFor(t, "POST", test.url, test.host))
				if a := do(t, tr, "/a/b"); a.outcome != hit || a.body != "#1" {
					t.Errorf("the other target: %v %q, want %v %q", a.outcome, a.body, hit, "#1")
				}
				if err := tr.Invalidate(context.Background(), &test.url); test.host == "" && err == nil {
					t.Error("Invalidate() = nil, want an error")
				}
			})
		})
	}
}

// URLs have the same key if and only if they are equivalent by RFC 9110, section 4.2.3: with a default or empty port,
// another case, or an empty path, in URL.Host and in Request.Host. A query is compared byte by byte, and an empty query
// differs from none.
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
		for name, store := range storeKinds {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, fmt.Sprintf("#%d", n), "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store(t)}
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

// An entry under the key of another URL is not used in any store. Its file may have been moved, or a program may have
// stored it there.
func TestEntryOfAnotherURL(t *testing.T) {
	for name, store := range storeKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := store(t)
				for _, key := range []string{"http://example.com/a", "http://example.com/b"} {
					e := &storage.Entry{
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

// Request.Host is part of the key. A URL with another Host is another resource.
func TestHostOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.URL.Host+" for "+req.Host, "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		get := func(method, url, host string, want cachecontrol.Outcome) {
			t.Helper()
			req := request(t, method+" "+url)
			req.Host = host
			a := send(t, tr, req)
			if a.outcome != want || a.body != req.URL.Host+" for "+host {
				t.Errorf("%s for %s: %v %q, want %v", url, host, a.outcome, a.body, want)
			}
		}
		get("GET", "http://one.test/", "one.test", miss)
		get("GET", "http://one.test/", "two.test", miss)
		get("GET", "http://two.test/", "two.test", miss)
		get("GET", "http://two.test/", "one.test", miss)
		get("GET", "http://one.test/", "two.test", hit)
		get("GET", "http://one.test/", "one.test", hit)
		get("PUT", "http://one.test/", "two.test", bypass)
		get("GET", "http://one.test/", "two.test", miss)
		get("GET", "http://one.test/", "one.test", hit)
		get("GET", "http://two.test/", "two.test", hit)
	})
}

// A host with letters beyond ASCII is not a reg-name and has no key, because package strings lowers U+0130 to "i" and
// net/http uses another host. Its responses are not stored and invalidate nothing of another host.
func TestHostsBeyondASCII(t *testing.T) {
	for _, other := range []string{"\u0130.example", "\u212a.example", "\u1e9e.example"} {
		for _, host := range []string{"i.example", "k.example", "\u00df.example"} {
			first, again, body := miss, hit, "#1"
			if host == "\u00df.example" {
				first, again, body = bypass, bypass, "#4"
			}
			runScenarios(t, []scenario{
				{other + ", " + host, nil, []reply{ok("Cache-Control: max-age=60")}, []step{
					{do: "http://" + host + "/", want: first, body: "#1"},
					{do: "http://" + other + "/", want: bypass, body: "#2"},
					{do: "http://" + other + "/", want: bypass, body: "#3"},
					{do: "http://" + host + "/", want: again, body: body},
				}},
				{other + ", Location " + host, nil, []reply{ok("Cache-Control: max-age=60", "Content-Location: http://"+host+"/")}, []step{
					{do: "http://" + host + "/", want: first},
					{do: "POST http://" + other + "/x", want: bypass},
					{do: "http://" + host + "/", want: again},
				}},
			})
		}
	}
}

func TestKeys(t *testing.T) {
	for _, test := range []struct {
		name, stored, asked string
		want                cachecontrol.Outcome
	}{
		{"the same", "http://example.com/a", "http://example.com/a", hit},
		{"scheme and host in any case", "http://example.com/", "HTTP://EXAMPLE.com/", hit},
		{"no path", "http://example.com", "http://example.com/", hit},
		{"a query without path", "http://example.com?a=b", "http://example.com/?a=b", hit},
		{"an empty query", "http://example.com/?", "http://example.com/", miss},
		{"a default port", "http://example.com:80/", "http://example.com/", hit},
		{"an empty port", "http://example.com:/", "http://example.com/", hit},
		{"a fragment", "http://example.com/#a", "http://example.com/#b", hit},
		{"a path in another case", "http://example.com/a", "http://example.com/A", miss},
		{"another query", "http://example.com/?a=1", "http://example.com/?a=2", miss},
		{"a query in another order", "http://example.com/?a=1&b=2", "http://example.com/?b=2&a=1", miss},
		{"another host", "http://example.com/", "http://example.org/", miss},
		{"another scheme", "http://example.com/", "https://example.com/", miss},
		{"another port", "http://example.com/", "http://example.com:8080/", miss},
		{"another escape", "http://example.com/%2F", "http://example.com//", miss},
		{"another user", "http://me:x@example.com/", "http://you:x@example.com/", miss},
		{"another password", "http://me:x@example.com/", "http://me:X@example.com/", miss},
		{"no user", "http://me:x@example.com/", "http://example.com/", miss},
		{"the same user", "http://me:x@example.com/", "http://me:x@example.com/", hit},
		{"a long one", "http://example.com/?" + strings.Repeat("a", 5000), "http://example.com/?" + strings.Repeat("a", 5000), hit},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := replies(t, ok("Cache-Control: max-age=60"))
				tr := &cachecontrol.Transport{Base: o}
				defer tr.Close()
				do(t, tr, test.stored)
				req := request(t, test.stored)
				var err error
				if req.URL, err = url.Parse(test.asked); err != nil {
					t.Fatal(err)
				}
				req.URL.Scheme, _, _ = strings.Cut(test.asked, ":")
				req.Host = req.URL.Host
				if a := send(t, tr, req); a.outcome != test.want {
					t.Errorf("%v, want %v", a.outcome, test.want)
				}
			})
		})
	}
}
