package cachecontrol_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestSharedAndPrivate(t *testing.T) {
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	auth := []string{"Authorization: Basic eA=="}
	for cc, want := range map[string]struct{ private, shared cachecontrol.Outcome }{
		"max-age=60":                   {hit, miss},
		"max-age=60, public":           {hit, hit},
		"max-age=60, must-revalidate":  {hit, hit},
		"s-maxage=60":                  {miss, hit},
		"max-age=60, private":          {hit, miss},
		"max-age=60, public, private":  {hit, miss},
		`max-age=60, public, no-store`: {miss, miss},
	} {
		runScenarios(t, []scenario{
			{name: "private: " + cc, origin: []reply{ok("Cache-Control: " + cc)}, steps: []step{{with: auth, want: miss}, {with: auth, want: want.private}}},
			{name: "shared: " + cc, transport: shared(), origin: []reply{ok("Cache-Control: " + cc)}, steps: []step{{with: auth, want: miss}, {with: auth, want: want.shared}}},
		})
	}
	runScenarios(t, []scenario{
		{
			name: "s-maxage goes before max-age in a shared cache", transport: shared(),
			origin: []reply{ok("Cache-Control: max-age=1, s-maxage=60")},
			steps:  []step{{want: miss}, {wait: 50 * time.Second, want: hit}},
		}, {
			name:   "and counts for nothing in a private one",
			origin: []reply{ok("Cache-Control: max-age=1, s-maxage=60")},
			steps:  []step{{want: miss}, {wait: 50 * time.Second, want: miss}},
		}, {
			name: "private names fields: they are not stored by a shared cache", transport: shared(),
			origin: []reply{ok(`Cache-Control: max-age=60, private="x-mine, Set-Cookie"`, "X-Mine: 1", "X-Yours: 2", "Set-Cookie: a=b")},
			steps: []step{
				{want: miss, head: []string{"X-Mine: 1", "Set-Cookie: a=b"}},
				{want: hit, head: []string{"X-Mine:", "Set-Cookie:", "X-Yours: 2"}},
			},
		}, {
			name:   "a private one stores them",
			origin: []reply{ok(`Cache-Control: max-age=60, private="x-mine"`, "X-Mine: 1")},
			steps:  []step{{want: miss}, {want: hit, head: []string{"X-Mine: 1"}}},
		}, {
			name:   "no-cache names fields: they come back with a validation only",
			origin: []reply{ok(`Cache-Control: max-age=60, no-cache="x-a"`, "X-A: 1", "X-B: 2", `ETag: "a"`), status(304)},
			steps: []step{
				{want: miss, head: []string{"X-A: 1"}}, {want: hit, head: []string{"X-A:", "X-B: 2"}},
				{with: []string{"Cache-Control: no-cache"}, want: revalidated, head: []string{"X-A: 1", "X-B: 2"}},
			},
		}, {
			name: "private names a field that the body needs: nothing is stored", transport: shared(),
			origin: []reply{{body: encode("gzip", "body"), fields: []string{`Cache-Control: max-age=60, private="content-encoding"`, "Content-Encoding: gzip"}}},
			steps:  []step{{want: miss, body: "body"}, {want: miss, body: "body"}},
		}, {
			name: "or one that decides about reuse", transport: shared(),
			origin: []reply{ok(`Cache-Control: max-age=1, must-revalidate, private="cache-control"`, "Expires: {1h}")},
			steps:  []step{{want: miss}, {wait: time.Minute, want: miss}},
		}, {
			name: "no-cache names a field that the body needs: the response is validated",
			origin: []reply{
				{body: encode("gzip", "body"), fields: []string{`Cache-Control: max-age=60, no-cache="content-encoding"`, "Content-Encoding: gzip", `ETag: "a"`}},
				status(304),
			},
			steps: []step{
				{with: []string{"Accept-Encoding: gzip"}, want: miss},
				{with: []string{"Accept-Encoding: gzip"}, want: revalidated, body: encode("gzip", "body"), head: []string{"Content-Encoding: gzip"}},
			},
		}, {
			name: "CDN-Cache-Control is for shared caches", transport: shared(),
			origin: []reply{ok("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: hit}},
		}, {
			name:   "and not for private ones",
			origin: []reply{ok("CDN-Cache-Control: max-age=60", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: miss}},
		},
	})
}

// A shared cache does not use a response that a private cache has put into the same store.
func TestPrivateInSharedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("User"), "Cache-Control: private, max-age=60")
		})
		store := storage.NewDictCache()
		private := &cachecontrol.Transport{Base: o, Store: store}
		shared := &cachecontrol.Transport{Base: o, Store: store, Shared: true}
		do(t, private, "/", "User: a")
		if a := do(t, shared, "/", "User: b"); a.outcome != cachecontrol.Miss || a.body != "b" {
			t.Errorf("%v %q, want the origin's answer", a.outcome, a.body)
		}
		if a := do(t, private, "/", "User: a"); a.outcome != cachecontrol.Hit || a.body != "a" {
			t.Errorf("%v %q, want the private cache to keep its own", a.outcome, a.body)
		}
	})
}

// Nor does it use one as a variant, as a part or as a single field.
func TestPrivateInSharedStoreOtherwise(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string // a request of both
		field  string // of the other requests
		status int
		says   string
		want   cachecontrol.Outcome // of the shared cache's
	}{
		{"a variant", "X: public", "X: 1", 200, "private, max-age=60", miss},
		{"a part", "", "Range: bytes=0-1", 206, "private, max-age=60", miss},
		{"a field", "", "X: 1", 200, `private="secret", max-age=60`, hit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("X") == "public" {
						return respond(200, "all", "Cache-Control: max-age=60", "Vary: X")
					}
					return respond(tt.status, req.Header.Get("User"), "Cache-Control: "+tt.says, "Vary: X", "Secret: "+req.Header.Get("User"), "Content-Range: bytes 0-1/9")
				})
				store := storage.NewDictCache()
				private := &cachecontrol.Transport{Base: o, Store: store}
				shared := &cachecontrol.Transport{Base: o, Store: store, Shared: true}
				if tt.before != "" {
					do(t, private, "/", tt.before)
				}
				do(t, private, "/", tt.field, "User: aa")
				a := do(t, shared, "/", tt.field, "User: bb")
				if a.outcome != tt.want || tt.want == miss && a.body != "bb" || a.Header.Get("Secret") == "aa" {
					t.Errorf("%v %q, Secret %q, want %v without the secret", a.outcome, a.body, a.Header["Secret"], tt.want)
				}
			})
		})
	}
}
