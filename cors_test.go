package cachecontrol_test

import (
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// A shared cache takes a response that lets one web origin read it for that origin's, even if Vary does not say so: to
// another one it would be unreadable, or readable although its server has not allowed that.
func TestCORSInSharedCache(t *testing.T) {
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	const fresh, tag, all, forA = "Cache-Control: max-age=60", `ETag: "1"`, "Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin: https://a"
	a, b := []string{"Origin: https://a"}, []string{"Origin: https://b"}
	runScenarios(t, []scenario{
		{"for one", shared(), []reply{ok(fresh, forA), ok(fresh, "Access-Control-Allow-Origin: https://b")}, []step{
			{with: a, want: miss}, {with: b, want: miss, body: "#2"}, {with: a, want: hit, body: "#1", head: []string{forA}},
			{with: b, want: hit, body: "#2"}, {want: miss},
		}},
		{"for one, and Vary names others", shared(), []reply{ok(fresh, forA, "Vary: A")}, []step{{with: a, want: miss}, {with: b, want: miss}, {with: a, want: hit}}},
		{"for one, and Vary says so", shared(), []reply{ok(fresh, forA, "Vary: origin")}, []step{{with: a, want: miss}, {with: b, want: miss}, {with: a, want: hit}}},
		{"for null", shared(), []reply{ok(fresh, "Access-Control-Allow-Origin: null")}, []step{{with: a, want: miss}, {with: b, want: miss}}},
		{"for all", shared(), []reply{ok(fresh, all)}, []step{{with: a, want: miss}, {with: b, want: hit}, {want: hit}}},
		{"in a private cache", nil, []reply{ok(fresh, forA)}, []step{{with: a, want: miss}, {with: b, want: hit}}},
		{"in a 304", shared(), []reply{ok(fresh, tag, all), status(304, forA), ok(fresh, all)}, []step{
			{with: b, want: miss}, {with: b, want: hit}, {wait: 61 * time.Second, with: a, want: revalidated, head: []string{forA}},
			{with: a, want: hit, head: []string{forA}}, {with: b, want: miss, body: "#3", head: []string{all}},
		}},
		{"in a response to HEAD", shared(), []reply{ok(fresh, tag, all), ok(fresh, tag, forA), ok(fresh, all)}, []step{
			{with: b, want: miss}, {do: "HEAD /", with: append([]string{"Cache-Control: no-cache"}, a...), want: miss},
			{with: a, want: hit, head: []string{forA}}, {with: b, want: miss, head: []string{all}},
		}},
	})
}

// What a private cache has stored without a selecting field is not used.
func TestCORSOfAnotherCache(t *testing.T) {
	in(t, func(t *testing.T) {
		store := cookieStores(t)["DictCache"]
		putEntry(t, store, "http://example.com/", 200, "old", "Cache-Control: max-age=60", "Access-Control-Allow-Origin: https://a")
		o := replies(t, ok("Cache-Control: max-age=60"))
		for _, tr := range []*cachecontrol.Transport{{Base: o, Store: store}, {Base: o, Store: store, Shared: true}} {
			st := step{want: hit, body: "old"}
			if tr.Shared {
				st = step{want: miss, body: "#1"}
			}
			st.run(t, mode(tr.Shared), tr, o)
		}
	})
}
