package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	noUTM = `No-Vary-Search: params=("utm")`
	aHour = "Cache-Control: max-age=3600"
)

// searches returns an origin whose responses are fresh for an hour and have these fields. The body is the number of the request.
func searches(t testing.TB, fields ...string) *origin {
	return replies(t, ok(append([]string{aHour}, fields...)...))
}

// A response answers requests for all URLs that its No-Vary-Search makes equivalent to its own, in each kind of store.
func TestNoVarySearch(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := searches(t, `No-Vary-Search: key-order, params=("utm" "id")`)
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		want := miss
		for i := range 100 {
			target := fmt.Sprintf("/p?b=%%62&utm=%d&a=1&id=%d", i, i*i)
			if i%2 == 1 {
				target = fmt.Sprintf("/p?utm=%d&a=1&b=b", i)
			}
			if a := do(t, tr, target); a.outcome != want || a.body != "#1" {
				t.Errorf("%s: %v %q, want %v %q", target, a.outcome, a.body, want, "#1")
			}
			want = hit
		}
		wantRequests(t, o, 1)
		for i, target := range []string{"/p?a=1&b=B", "/p?b=b", "/p", "/q?a=1&b=b", "https://example.com/p?a=1&b=b", "//example.org/p?a=1&b=b", "/P?a=1&b=b"} {
			if strings.HasPrefix(target, "//") {
				target = "http:" + target
			}
			if a := do(t, tr, target); a.outcome != miss || a.body != fmt.Sprintf("#%d", i+2) {
				t.Errorf("%s: %v %q, want %v", target, a.outcome, a.body, miss)
			}
		}
		for _, target := range []string{"/p?", "/p?utm=1", "/p?id", "/p?&&utm&"} {
			if a := do(t, tr, target); a.outcome != hit || a.body != "#4" {
				t.Errorf("%s: %v %q, want %v %q", target, a.outcome, a.body, hit, "#4")
			}
		}
	})
}

func TestNoVarySearchRules(t *testing.T) {
	const other = `No-Vary-Search: except=("a")`
	etag := func(fields ...string) []string { return append([]string{aHour, `ETag: "x"`}, fields...) }
	runScenarios(t, []scenario{{
		name:   "the default compares the queries as they are",
		origin: []reply{ok(aHour, `No-Vary-Search: params=()`)},
		steps: []step{
			{do: "/?a=1", want: miss}, {do: "/?a=%31", want: miss}, {do: "/?a=1&", want: miss}, {do: "/?a=1", want: hit},
			{do: "/", want: miss}, {do: "/?", want: miss},
		},
	}, {
		name:   "a malformed field",
		origin: []reply{ok(aHour, `No-Vary-Search: params=("utm"), except=("a")`)},
		steps:  []step{{do: "/?utm=1", want: miss}, {do: "/?utm=2", want: miss}, {do: "/?utm=1", want: hit}},
	}, {
		name:   "HEAD",
		origin: []reply{ok(aHour, noUTM)},
		steps:  []step{{do: "/?utm=1", want: miss}, {do: "HEAD /?utm=2", want: hit}, {do: "HEAD /?a", want: miss}},
	}, {
		name:   "a redirect",
		origin: []reply{{status: 301, fields: []string{aHour, noUTM, "Location: /new"}}},
		steps:  []step{{do: "/?utm=1", want: miss, status: 301}, {do: "/?utm=2", want: hit, status: 301, head: []string{"Location: /new"}}},
	}, {
		name:   "no-store",
		origin: []reply{ok("Cache-Control: no-store", noUTM)},
		steps:  []step{{do: "/?utm=1", want: miss}, {do: "/?utm=2", want: miss}, {do: "/?utm=1", want: miss}},
	}, {
		name:   "validation by another URL",
		origin: []reply{{fields: []string{"Cache-Control: max-age=10", `ETag: "x"`, noUTM}}, {status: 304, fields: []string{`ETag: "x"`}}},
		steps: []step{
			{do: "/?utm=1", want: miss}, {wait: 11 * time.Second, do: "/?utm=2", want: revalidated, body: "#1", sent: []string{`If-None-Match: "x"`}},
			{do: "/?utm=3", want: hit, body: "#1"},
		},
	}, {
		name:   "a new response to another URL",
		origin: []reply{ok("Cache-Control: max-age=10", noUTM)},
		steps: []step{
			{do: "/?utm=1", want: miss}, {wait: 11 * time.Second, do: "/?utm=2", want: miss, body: "#2"}, {do: "/?utm=1", want: hit, body: "#2"},
		},
	}, {
		name:   "the field goes away",
		origin: []reply{ok("Cache-Control: max-age=10", noUTM), ok("Cache-Control: max-age=10")},
		steps: []step{
			{do: "/?utm=1", want: miss}, {do: "/?utm=1", with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"},
			{do: "/?utm=1", want: hit, body: "#2"}, {do: "/?utm=2", want: miss, body: "#3"}, {do: "/", want: miss, body: "#4"},
		},
	}, {
		name:   "the field appears",
		origin: []reply{ok(aHour), ok(aHour, noUTM)},
		steps: []step{
			{do: "/?utm=1", want: miss}, {do: "/?utm=1", with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"},
			{do: "/?utm=1", want: hit, body: "#2"}, {do: "/?utm=2", want: hit, body: "#2"},
		},
	}, {
		name:   "the field changes",
		origin: []reply{ok(aHour, noUTM), ok(aHour, other)},
		steps: []step{
			{do: "/?a=1&utm=1", want: miss}, {do: "/?a=1&utm=2", with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"},
			{do: "/?a=1&utm=1", want: hit, body: "#2"}, {do: "/?a=1&b=1", want: hit, body: "#2"},
		},
	}, {
		name:   "the field changes, and comes back",
		origin: []reply{ok(aHour, noUTM), ok(aHour, other), ok(aHour, noUTM)},
		steps: []step{
			{do: "/?a=1&utm=1", want: miss}, {do: "/?a=1&utm=2", with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"},
			{do: "/?a=1&utm=2", with: []string{"Cache-Control: no-cache"}, want: miss, body: "#3"},
			{do: "/?a=1&b=1", want: miss, body: "#4"}, {do: "/?a=1", want: hit, body: "#3"},
		},
	}, {
		name: "a 304 with another field",
		origin: []reply{
			{fields: etag(noUTM)}, {status: 304, fields: etag(other)}, {fields: etag(other)},
		},
		steps: []step{
			{do: "/?a=1&utm=1", want: miss}, {do: "/?a=1&utm=2", with: []string{"Cache-Control: no-cache"}, want: revalidated, body: "#1"},
			{do: "/?a=1&b", want: miss, body: "#3"}, {do: "/?a=1&utm=1", want: hit, body: "#3"},
		},
	}, {
		name: "a 304 with the same field, written in another way",
		origin: []reply{
			{fields: etag(`No-Vary-Search: params=("a" "b")`)}, {status: 304, fields: etag(`No-Vary-Search: params=("b" "%61"), x`)},
		},
		steps: []step{
			{do: "/?a=1", want: miss}, {do: "/?b", with: []string{"Cache-Control: no-cache"}, want: revalidated, body: "#1"},
			{do: "/?a=1&b", want: hit, body: "#1"},
		},
	}, {
		name:   "a 304 with the first field",
		origin: []reply{{fields: etag()}, {status: 304, fields: etag(noUTM)}, {fields: etag(noUTM)}},
		steps: []step{
			{do: "/?utm=1", want: miss}, {do: "/?utm=1", with: []string{"Cache-Control: no-cache"}, want: revalidated, body: "#1"},
			{do: "/?utm=1", want: miss, body: "#3"}, {do: "/?utm=2", want: hit, body: "#3"},
		},
	}, {
		name: "a response to HEAD with another field",
		origin: []reply{
			{fields: etag(noUTM)}, {fields: append(etag(other), "Content-Length: 2")}, {fields: etag(other)},
		},
		steps: []step{
			{do: "/?a=1&utm=1", want: miss}, {do: "HEAD /?a=1&utm=2", with: []string{"Cache-Control: no-cache"}, want: miss},
			{do: "/?a=1&b", want: miss, body: "#3"}, {do: "/?a=1&utm=1", want: hit, body: "#3"},
		},
	}, {
		name:   "404 for another URL",
		origin: []reply{ok(aHour, noUTM), {status: 404, fields: []string{"Cache-Control: no-store"}}},
		steps: []step{
			{do: "/?utm=1", want: miss}, {do: "/?utm=2", with: []string{"Cache-Control: no-cache"}, want: miss, status: 404},
			{do: "/?utm=1", want: miss, status: 404},
		},
	}, {
		name:   "404 for a URL with a response of its own",
		origin: []reply{ok(aHour), ok(aHour, noUTM), {status: 404, fields: []string{"Cache-Control: no-store"}}},
		steps: []step{
			{do: "/?utm=1", want: miss}, {do: "/?utm=2", want: miss, body: "#2"}, {do: "/?utm=1", want: hit, body: "#1"},
			{do: "/?utm=1", with: []string{"Cache-Control: no-cache"}, want: miss, status: 404},
			{do: "/?utm=1", want: miss, status: 404}, {do: "/?utm=2", want: miss, status: 404},
		},
	}, {
		name:   "stale, because the origin fails",
		origin: []reply{ok("Cache-Control: max-age=10, stale-if-error=60", noUTM), {status: -1}},
		steps:  []step{{do: "/?utm=1", want: miss}, {wait: 11 * time.Second, do: "/?utm=2", want: stale, body: "#1"}},
	}, {
		name:      "credentials in a shared cache",
		transport: &cachecontrol.Transport{Shared: true},
		origin:    []reply{ok(aHour, noUTM)},
		steps: []step{
			{do: "/?utm=1", with: []string{"Authorization: Basic x"}, want: miss}, {do: "/?utm=2", want: miss}, {do: "/?utm=3", want: hit},
		},
	}, {
		name:      "a field that a shared cache must not store",
		transport: &cachecontrol.Transport{Shared: true},
		origin:    []reply{ok(`Cache-Control: max-age=60, private="No-Vary-Search"`, noUTM)},
		steps:     []step{{do: "/?utm=1", want: miss}, {do: "/?utm=2", want: miss}, {do: "/?utm=1", want: hit}},
	}, {
		name:   "a field of the connection",
		origin: []reply{ok(aHour, noUTM, "Connection: No-Vary-Search")},
		steps:  []step{{do: "/?utm=1", want: miss}, {do: "/?utm=2", want: miss}, {do: "/?utm=1", want: hit}},
	}, {
		name:   "Content-Location of POST",
		origin: []reply{ok(aHour, noUTM, "Content-Location: /?utm=1"), ok(aHour)},
		steps:  []step{{do: "POST /?utm=1", want: bypass}, {do: "/?utm=2", want: hit, body: "#1"}},
	}, {
		name:      "other methods have keys of their own",
		transport: &cachecontrol.Transport{CacheableMethods: []string{"GET", "POST"}},
		origin:    []reply{ok(aHour, noUTM)},
		steps: []step{
			{do: "POST /?utm=1", want: miss}, {do: "POST /?utm=2", want: miss}, {do: "POST /?utm=1", want: hit, body: "#1"}, {do: "/?utm=1", want: miss},
		},
	}, {
		name:   "a long query",
		origin: []reply{ok(aHour, noUTM)},
		steps: []step{
			{do: "/?a=" + strings.Repeat("x", 9000), want: miss}, {do: "/?utm&a=" + strings.Repeat("x", 9000), want: miss},
			{do: "/?a=" + strings.Repeat("x", 9000), want: hit}, {do: "/?utm", want: miss}, {do: "/?utm=1", want: hit},
		},
	}, {
		name:   "user and password",
		origin: []reply{ok(aHour, noUTM)},
		steps: []step{
			{do: "http://a:b@example.com/?utm=1", want: miss}, {do: "http://a:b@example.com/?utm=2", want: hit},
			{do: "/?utm=1", want: miss}, {do: "http://a:c@example.com/?utm=1", want: miss},
		},
	}})
}

// Status.Key is the URL of the stored response, if that is not the URL of the request.
func TestNoVarySearchInStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: replies(t, reply{fields: []string{"Cache-Control: max-age=10", `ETag: "x"`, noUTM}}, reply{status: 304})}
		defer tr.Close()
		for i, test := range []struct{ target, want string }{
			{"/?utm=1&a=b", wholeKey + "?a=b"},
			{"/?a=b&utm", wholeKey + "?a=b"},
			{"/?a=b", ""},
			{"/?a=%62", wholeKey + "?a=b"},
		} {
			a := do(t, tr, test.target)
			if got := cachecontrol.StatusOf(a.Response).Key; got != test.want {
				t.Errorf("request %d, %s: Key %q, want %q", i+1, test.target, got, test.want)
			}
			if i == 2 {
				time.Sleep(11 * time.Second) // the next one validates
			}
		}
	})
}

// Selecting fields select among the responses that are stored for several URLs, as for one.
func TestNoVarySearchAndVary(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := searches(t, noUTM, "Vary: Accept-Language")
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		for i, s := range []step{
			{do: "/?utm=1", with: []string{"Accept-Language: en"}, want: miss, body: "#1"},
			{do: "/?utm=2", with: []string{"Accept-Language: de"}, want: miss, body: "#2"},
			{do: "/?utm=3", with: []string{"Accept-Language: en"}, want: hit, body: "#1"},
			{do: "/?utm=4", with: []string{"Accept-Language: de"}, want: hit, body: "#2"},
			{do: "/?utm=5", with: []string{"Accept-Language: fr"}, want: miss, body: "#3"},
			{do: "POST /?utm=6", want: bypass},
			{do: "/?utm=3", with: []string{"Accept-Language: en"}, want: miss, body: "#5"},
			{do: "/?utm=4", with: []string{"Accept-Language: de"}, want: miss, body: "#6"},
		} {
			s.run(t, fmt.Sprintf("step %d", i+1), tr, o)
		}
	})
}

// Parts of a representation are stored and completed under all of its URLs.
func TestNoVarySearchAndParts(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		d := &document{body: digits, etag: `"x"`, fields: []string{aHour, noUTM}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		wantPart(t, do(t, tr, "/?utm=1", "Range: bytes=2-4"), miss, "bytes 2-4/10", "234")
		wantPart(t, do(t, tr, "/?utm=2", "Range: bytes=3-4"), hit, "bytes 3-4/10", "34")
		wantPart(t, do(t, tr, "/?utm=3", "Range: bytes=0-4"), miss, "bytes 0-4/10", "01234")
		if got := o.last().Header.Get("Range"); got != "bytes=0-1" {
			t.Errorf("Range: %q, want only the missing bytes", got)
		}
		wantWhole(t, do(t, tr, "/?utm=4"), miss, digits)
		if got := o.last().Header.Get("Range"); got != "bytes=5-" {
			t.Errorf("Range: %q, want only the missing bytes", got)
		}
		wantWhole(t, do(t, tr, "/"), hit, digits)
		wantPart(t, do(t, tr, "/?utm", "Range: bytes=5-"), hit, "bytes 5-9/10", "56789")
		wantRequests(t, o, 3)
	})
}

// Parts that were stored for a URL alone are still found when its path has an index.
func TestNoVarySearchElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &document{body: digits, etag: `"x"`, fields: []string{aHour}}
		o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
			resp := d.respond(req)
			if req.URL.RawQuery == "b" {
				resp.Header.Set("No-Vary-Search", `params=("utm")`)
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		wantWhole(t, do(t, tr, "/?b"), miss, digits)
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			wantPart(t, do(t, tr, "/?a", "Range: bytes=0-4"), want, "bytes 0-4/10", "01234")
		}
		wantWhole(t, do(t, tr, "/?a"), miss, digits)
		if got := o.last().Header.Get("Range"); got == "" {
			t.Error("no Range, want the stored bytes to be used")
		}
		wantWhole(t, do(t, tr, "/?a"), hit, digits)
		wantWhole(t, do(t, tr, "/?utm&b"), hit, digits)
	})
}

// An invalidation by any of the URLs removes what is stored for all of them (RFC 9111, section 4.4), in each store and through each
// Transport that shares it.
func TestNoVarySearchInvalidation(t *testing.T) {
	invalidators := map[string]func(t *testing.T, tr *cachecontrol.Transport, target string){
		"PUT": func(t *testing.T, tr *cachecontrol.Transport, target string) { do(t, tr, "PUT "+target) },
		"Location": func(t *testing.T, tr *cachecontrol.Transport, target string) {
			do(t, tr, "POST /new?at="+url.QueryEscape(target))
		},
		"Invalidate": func(t *testing.T, tr *cachecontrol.Transport, target string) {
			u, err := url.Parse("http://example.com" + target)
			must(t, err)
			must(t, tr.Invalidate(t.Context(), u))
		},
	}
	for how, invalidate := range invalidators {
		for name, pair := range sharedStores(t) {
			t.Run(how+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						if req.Method != "GET" {
							return respond(201, "", "Location: "+req.URL.Query().Get("at"))
						}
						field := noUTM
						if req.URL.Query().Has("b") {
							field = `No-Vary-Search: except=("b")`
						}
						return respond(200, fmt.Sprintf("#%d", n), aHour, field, `ETag: "x"`)
					})
					first := &cachecontrol.Transport{Base: o, Store: pair[0]}
					second := &cachecontrol.Transport{Base: o, Store: pair[1]}
					defer first.Close()
					defer second.Close()
					n := 0
					for _, tr := range []*cachecontrol.Transport{first, second} {
						for _, alias := range []string{"/?utm=7", "/", "/?utm=9&utm", "/?utm=7"} {
							do(t, first, "/?utm=1")
							do(t, first, "/?b=1")
							do(t, first, "/?a=1")
							n = o.requests()
							time.Sleep(2 * time.Second)
							invalidate(t, tr, alias)
							if how != "Invalidate" {
								n++
							}
							if a := do(t, second, "/?a=1&utm"); a.outcome != hit {
								t.Errorf("%s: /?a=1: %v, want %v", alias, a.outcome, hit)
							}
							if a := do(t, second, "/?b=1&c"); a.outcome != hit {
								t.Errorf("%s: /?b=1: %v, want %v", alias, a.outcome, hit)
							}
							if a := do(t, second, "/?utm=2"); a.outcome != miss || a.body != fmt.Sprintf("#%d", n+1) {
								t.Errorf("%s: /?utm=2: %v %q, want %v %q", alias, a.outcome, a.body, miss, fmt.Sprintf("#%d", n+1))
							}
							if a := do(t, first, "/?utm=1"); a.outcome != hit {
								t.Errorf("%s: /?utm=1: %v, want %v", alias, a.outcome, hit)
							}
						}
					}
				})
			})
		}
	}
}

// A response that is being received when another of its URLs is invalidated is not stored, even if it is the first one for its path.
func TestNoVarySearchInvalidationWhileReceiving(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			inEachStore(t, func(t *testing.T, store storage.Store) {
				var w *io.PipeWriter
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Method == "PUT" {
						return respond(204, "")
					}
					if req.URL.RawQuery == "utm=slow" {
						var resp *http.Response
						resp, w = pipe(aHour, noUTM)
						return resp
					}
					return respond(200, fmt.Sprintf("#%d", n), aHour, noUTM)
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				if known {
					do(t, tr, "/?other")
				}
				resp := open(t, tr, request(t, "/?utm=slow"))
				do(t, tr, "PUT /?utm=2")
				go func() { io.WriteString(w, "old"); w.Close() }()
				io.ReadAll(resp.Body)
				resp.Body.Close()
				if a := do(t, tr, "/?utm=3"); a.outcome != miss {
					t.Errorf("%v %q, want %v", a.outcome, a.body, miss)
				}
				if a := do(t, tr, "/?utm=4"); a.outcome != hit || a.body == "old" {
					t.Errorf("%v %q, want %v and the later body", a.outcome, a.body, hit)
				}
			})
		})
	}
}

// A response that another process is receiving when one of its URLs is invalidated is not stored either, if the store is not local.
func TestNoVarySearchInvalidationByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *io.PipeWriter
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.URL.RawQuery == "utm=slow" {
				var resp *http.Response
				resp, w = pipe(aHour, noUTM)
				return resp
			}
			return respond(200, fmt.Sprintf("#%d", n), aHour, noUTM)
		})
		store := newPlainStore()
		first := &cachecontrol.Transport{Base: o, Store: store}
		second := &cachecontrol.Transport{Base: o, Store: store}
		defer first.Close()
		defer second.Close()
		do(t, first, "/?other")
		resp := open(t, first, request(t, "/?utm=slow"))
		u, err := url.Parse(wholeKey + "?utm=2")
		must(t, err)
		must(t, second.Invalidate(t.Context(), u))
		go func() { io.WriteString(w, "old"); w.Close() }()
		io.ReadAll(resp.Body)
		resp.Body.Close()
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			if a := do(t, first, "/?utm=3"); a.outcome != want || a.body != "#3" {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, want, "#3")
			}
		}
	})
}

// A response that turns out to be for several URLs, one of which was invalidated while it was being received, is not stored and not
// shared with later requests, also if it replaces a response for one URL.
func TestNoVarySearchInvalidationOfAnother(t *testing.T) {
	for _, test := range []struct {
		name               string
		replaces, collapse bool
	}{
		{"new", false, false},
		{"replaces", true, false},
		{"shared", false, true},
		{"shared, replaces", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEachStore(t, func(t *testing.T, store storage.Store) {
				land, waits := make(chan bool), true
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					switch {
					case test.replaces && n == 1:
						return respond(200, "alone", "Cache-Control: max-age=0", `ETag: "1"`)
					case waits:
						waits = false
						<-land
						return respond(200, "old", aHour, noUTM)
					}
					return respond(200, "new", aHour, noUTM)
				})
				tr := &cachecontrol.Transport{Base: o, Store: store, Collapse: test.collapse}
				defer tr.Close()
				if test.replaces {
					do(t, tr, "/?utm=1")
				}
				go do(t, tr, "/?utm=1")
				synctest.Wait()
				must(t, tr.Invalidate(t.Context(), parseURL(t, wholeKey+"?utm=2")))
				if test.collapse {
					go func() {
						if a := do(t, tr, "/?utm=1"); a.body != "new" {
							t.Errorf("a request after the invalidation: %q, want %q", a.body, "new")
						}
					}()
					synctest.Wait()
				}
				close(land)
				synctest.Wait()
				if a := do(t, tr, "/?utm=2"); a.body != "new" {
					t.Errorf("/?utm=2: %q, want %q", a.body, "new")
				}
			})
		})
	}
}

// Of the values of No-Vary-Search that the responses of a path have, the last sixteen are known. What was stored for a value that is
// no longer known is not found when the value comes back, because nobody could invalidate it meanwhile.
func TestManyNoVarySearchValues(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		field := ""
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "")
			}
			return respond(200, fmt.Sprintf("#%d", n), aHour, field)
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		target := func(i int, extra string) string { return fmt.Sprintf("/?v=%d%s", i, extra) }
		store1 := func(i int) {
			t.Helper()
			field = fmt.Sprintf(`No-Vary-Search: params=("x%d")`, i)
			if a := do(t, tr, target(i, "")); a.outcome != miss {
				t.Errorf("v=%d: %v, want %v", i, a.outcome, miss)
			}
		}
		for i := range 16 {
			store1(i)
		}
		for i := range 16 {
			if a := do(t, tr, target(i, fmt.Sprintf("&x%d", i))); a.outcome != hit {
				t.Errorf("v=%d with 16 values: %v, want %v", i, a.outcome, hit)
			}
		}
		store1(16) // the value of v=0 is forgotten
		field = `No-Vary-Search: params=("x0")`
		do(t, tr, "PUT "+target(0, ""))
		if a := do(t, tr, "/?v=another"); a.outcome != miss { // that value comes back, and the one of v=1 goes
			t.Errorf("%v, want %v", a.outcome, miss)
		}
		if a := do(t, tr, target(0, "")); a.outcome != miss {
			t.Errorf("v=0, invalidated while its value was not known: %v %q, want %v", a.outcome, a.body, miss)
		}
		for i := 2; i < 17; i++ {
			if a := do(t, tr, target(i, fmt.Sprintf("&x%d", i))); a.outcome != hit {
				t.Errorf("v=%d: %v, want %v", i, a.outcome, hit)
			}
		}
	})
}

// Without the index nothing of its path is found. The next response makes a new one.
func TestNoVarySearchIndexIsLost(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		tr := &cachecontrol.Transport{Base: searches(t, noUTM), Store: store}
		defer tr.Close()
		do(t, tr, "/?utm=1")
		must(t, store.Delete(t.Context(), wholeKey+"#search"))
		time.Sleep(2 * time.Second)
		for _, want := range []cachecontrol.Outcome{miss, hit} {
			if a := do(t, tr, "/?utm=2"); a.outcome != want || a.body != "#2" {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, want, "#2")
			}
		}
	})
}

// What a Transport remembers of an index that is lost, or that has lost a value, is not used after an invalidation.
func TestNoVarySearchIndexIsLostBeforeInvalidation(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		tr := &cachecontrol.Transport{Base: searches(t, noUTM), Store: store}
		defer tr.Close()
		do(t, tr, "/?utm=1")
		must(t, store.Delete(t.Context(), wholeKey+"#search"))
		must(t, tr.Invalidate(t.Context(), parseURL(t, wholeKey+"?utm=2")))
		if a := do(t, tr, "/?utm=1"); a.outcome != miss || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, miss, "#2")
		}
	})
}

// If the index cannot be read for an invalidation, nothing that it lists is used afterwards.
func TestNoVarySearchIndexFailsInInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: newPlainStore(), method: "Get", mode: "error", off: true}
		tr := &cachecontrol.Transport{Base: searches(t, noUTM), Store: store}
		defer tr.Close()
		do(t, tr, "/?utm=1")
		store.setOff(false)
		err := tr.Invalidate(t.Context(), parseURL(t, wholeKey+"?utm=2"))
		if store.setOff(true); !errors.Is(err, errFaulty) {
			t.Errorf("Invalidate: %v, want %v", err, errFaulty)
		}
		time.Sleep(time.Minute)
		if a := do(t, tr, "/?utm=1"); a.outcome != miss || a.body != "#2" {
			t.Errorf("%v %q, want %v %q", a.outcome, a.body, miss, "#2")
		}
	})
}

// A Transport finds what another one has stored for several URLs, after a second at the latest.
func TestNoVarySearchInSharedStores(t *testing.T) {
	for name, pair := range sharedStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := searches(t, noUTM)
				first := &cachecontrol.Transport{Base: o, Store: pair[0]}
				second := &cachecontrol.Transport{Base: o, Store: pair[1]}
				defer first.Close()
				defer second.Close()
				do(t, second, "/?x", "Cache-Control: no-store")
				do(t, first, "/?utm=1")
				time.Sleep(time.Second)
				if a := do(t, second, "/?utm=2"); a.outcome != hit || a.body != "#2" {
					t.Errorf("%v %q, want %v %q", a.outcome, a.body, hit, "#2")
				}
			})
		})
	}
}

// Nothing is shared between partitions.
func TestNoVarySearchAndPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "")
			}
			return respond(200, fmt.Sprintf("#%d", n), aHour, noUTM)
		})
		tr := &cachecontrol.Transport{Base: o, Partition: func(req *http.Request) string { return req.Header.Get("User") }}
		defer tr.Close()
		for i, s := range []step{
			{do: "/?utm=1", with: []string{"User: a"}, want: miss, body: "#1"},
			{do: "/?utm=2", with: []string{"User: b"}, want: miss, body: "#2"},
			{do: "/?utm=3", want: miss, body: "#3"},
			{do: "/?utm=4", with: []string{"User: a"}, want: hit, body: "#1"},
			{do: "PUT /?utm=5", with: []string{"User: a"}, want: bypass},
			{do: "/?utm=6", with: []string{"User: b"}, want: hit, body: "#2"},
			{do: "/?utm=6", want: hit, body: "#3"},
			{do: "/?utm=6", with: []string{"User: a"}, want: miss, body: "#5"},
		} {
			s.run(t, fmt.Sprintf("step %d", i+1), tr, o)
		}
	})
}

// Concurrent requests for URLs that are known to be equivalent share a response.
func TestNoVarySearchCollapses(t *testing.T) {
	for field, want := range map[string]int{noUTM: 1, `No-Vary-Search: params=("other")`: 20, "X: no such field": 20} {
		t.Run(field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				o := newGate(t, func(n int, req *http.Request) *http.Response {
					if first {
						first = false
						return respond(200, "", "Cache-Control: max-age=10", noUTM)
					}
					time.Sleep(time.Second)
					return respond(200, req.URL.RawQuery, "Cache-Control: max-age=10", field)
				})
				close(o.letGo)
				tr := &cachecontrol.Transport{Base: o, Collapse: true}
				defer tr.Close()
				do(t, tr, "/?utm=0")
				time.Sleep(11 * time.Second)
				var all answers
				all.add(t, 20, tr, func(i int) *http.Request { return request(t, fmt.Sprintf("/?utm=%d", i)) })
				got, collapsed := all.wait(t)
				if n := o.requests() - 1; n != want || collapsed != 20-want {
					t.Errorf("%d requests to the origin, %d collapsed, want %d and %d", n, collapsed, want, 20-want)
				}
				for _, a := range got {
					if want > 1 && a.body != a.Request.URL.RawQuery {
						t.Errorf("%s: %q, want its own response", a.Request.URL, a.body)
					}
				}
			})
		})
	}
}

// A stale response to any of the URLs starts one validation in the background.
func TestNoVarySearchInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, reply{fields: []string{swr, `ETag: "x"`, noUTM}}, reply{status: 304, fields: []string{swr, `ETag: "x"`}})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/?utm=1")
		time.Sleep(11 * time.Second)
		for i := range 5 {
			if a := do(t, tr, fmt.Sprintf("/?utm=%d", i)); a.outcome != stale && i == 0 {
				t.Errorf("%v, want %v", a.outcome, stale)
			}
		}
		synctest.Wait()
		if a := do(t, tr, "/?utm=9"); a.outcome != hit {
			t.Errorf("%v, want %v", a.outcome, hit)
		}
		wantRequests(t, o, 2)
	})
}

// A failure of the origin is remembered for the URL that was asked for, as without No-Vary-Search.
func TestNoVarySearchAndFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=10, stale-if-error=600", noUTM), reply{status: 503})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/?utm=1")
		time.Sleep(11 * time.Second)
		for range 3 {
			if a := do(t, tr, "/?utm=2"); a.outcome != stale || a.body != "#1" {
				t.Errorf("%v %q, want %v %q", a.outcome, a.body, stale, "#1")
			}
		}
		wantRequests(t, o, 2)
	})
}

// A miss takes one more call of a store that is not in memory, in a second and for a path. A hit takes none.
func TestNoVarySearchIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gets := 0
		s := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, key string) error {
			if op == "Get" && (key == wholeKey+"other" || strings.HasPrefix(key, wholeKey+"?") || key == wholeKey || strings.HasSuffix(key, "#search")) && !strings.HasSuffix(key, "#partial") && !strings.HasSuffix(key, "#notice") {
				gets++
			}
			return nil
		}}
		tr := &cachecontrol.Transport{Base: searches(t), Store: s}
		defer tr.Close()
		for i, test := range []struct {
			target string
			want   int
		}{{"/?1", 2}, {"/?1", 1}, {"/?2", 1}, {"/?3", 1}, {"/", 1}, {"/other", 2}, {"/other", 1}} {
			gets = 0
			do(t, tr, test.target)
			if gets != test.want {
				t.Errorf("request %d, %s: %d calls of Get, want %d", i+1, test.target, gets, test.want)
			}
		}
	})
}

// What another program has stored where a response of several URLs is looked for does not answer a request that is for another URL.
func TestForgedNoVarySearch(t *testing.T) {
	variant := func(key, value string) storage.Variant {
		return storage.Variant{Key: key, Vary: []storage.Field{{Name: "No-Vary-Search", Value: value, Present: true}}}
	}
	entry := func(e storage.Entry) *storage.Entry {
		now := time.Now()
		e.Status, e.Reason, e.Version, e.RequestTime, e.ResponseTime = 200, "OK", 11, now, now
		if e.Header == nil {
			e.Header = http.Header{"Cache-Control": {"max-age=60"}, "No-Vary-Search": {`params=("utm")`}}
		}
		return &e
	}
	for name, test := range map[string]struct {
		index *storage.Entry
		found *storage.Entry
		want  cachecontrol.Outcome
	}{
		"as it should be": {
			entry(storage.Entry{URL: wholeKey, Variants: []storage.Variant{variant("G", `params=("utm")`)}}),
			entry(storage.Entry{URL: wholeKey}), hit,
		},
		"with another field": {
			entry(storage.Entry{URL: wholeKey, Variants: []storage.Variant{variant("G", `params=("utm")`)}}),
			entry(storage.Entry{URL: wholeKey, Header: http.Header{"Cache-Control": {"max-age=60"}}}), miss,
		},
		"of another URL": {
			entry(storage.Entry{URL: wholeKey, Variants: []storage.Variant{variant("G", `params=("utm")`)}}),
			entry(storage.Entry{URL: "http://example.org/"}), miss,
		},
		"the index of another URL": {
			entry(storage.Entry{URL: "http://example.org/", Variants: []storage.Variant{variant("G", `params=("utm")`)}}),
			entry(storage.Entry{URL: wholeKey}), miss,
		},
		"useless values before": {
			entry(storage.Entry{URL: wholeKey, Variants: []storage.Variant{
				variant("H", `params=()`), variant("#", `params=("utm")`), {Key: "G"}, variant("G", "("),
				{Key: "G", Vary: []storage.Field{{Name: "Accept"}}}, variant("G", `params=("utm")`),
			}}),
			entry(storage.Entry{URL: wholeKey}), hit,
		},
		"too many values": {
			entry(storage.Entry{URL: wholeKey, Variants: append(slices.Repeat([]storage.Variant{{Key: "G"}}, 16), variant("G", `params=("utm")`))}),
			entry(storage.Entry{URL: wholeKey}), miss,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, open := range storeKinds {
				store := open(t)
				put(t, store, wholeKey+"#search", test.index.Clone(), "")
				put(t, store, wholeKey+"#search=G", test.found.Clone(), "stored")
				tr := &cachecontrol.Transport{Base: searches(t, noUTM), Store: store}
				if a := do(t, tr, "/?utm=1"); a.outcome != test.want {
					t.Errorf("%s: %v, want %v", kind, a.outcome, test.want)
				}
				if a := do(t, tr, "/?utm=2"); a.outcome != hit {
					t.Errorf("%s: afterwards %v, want %v", kind, a.outcome, hit)
				}
				tr.Close()
			}
		})
	}
}
