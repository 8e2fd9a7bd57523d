package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func lang(l string) []string { return []string{"Accept-Language: " + l} }

func TestVariants(t *testing.T) {
	byLang := ok("Cache-Control: max-age=60", "Vary: Accept-Language")
	runScenarios(t, []scenario{
		{
			name:   "values with the same meaning select the same",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: Accept-Language, X-List")},
			steps: []step{
				{with: []string{"Accept-Language: de, en;q=0.5", "X-List: a, b"}, want: miss},
				{with: []string{"Accept-Language: DE,en;q=0.50", "X-List: a,b"}, want: hit},
				{with: []string{"Accept-Language: en; q=0.5, de", "X-List: a", "X-List: b"}, want: hit},
				{with: []string{"Accept-Language: de, en;q=0.6", "X-List: a, b"}, want: miss},
				{with: []string{"Accept-Language: de, en;q=0.5", "X-List: b, a"}, want: miss},
			},
		}, {
			name:   "an empty field is not a missing one",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: X-A")},
			steps:  []step{{want: miss}, {with: []string{"X-A:"}, want: miss}, {want: hit, body: "#1"}, {with: []string{"X-A:"}, want: hit, body: "#2"}},
		}, {
			name: "of several that match, the most recent",
			origin: []reply{
				ok("Cache-Control: max-age=1000", "Vary: X-A"), ok("Cache-Control: max-age=1000", "Vary: X-A, X-B"),
				ok("Cache-Control: max-age=1000", "Vary: X-B"),
			},
			steps: []step{
				{with: []string{"X-A: 1", "X-B: 1"}, want: miss, body: "#1"},
				{wait: time.Second, with: []string{"X-A: 2", "X-B: 2"}, want: miss, body: "#2"},
				{wait: time.Second, with: []string{"X-A: 3", "X-B: 1"}, want: miss, body: "#3"},
				{with: []string{"X-A: 1", "X-B: 1"}, want: hit, body: "#3"},
				{with: []string{"X-A: 1", "X-B: 3"}, want: hit, body: "#1"},
				{with: []string{"X-A: 2", "X-B: 2"}, want: hit, body: "#2"},
			},
		}, {
			name:   "invalidation drops all of them, for good",
			origin: []reply{byLang, byLang, byLang, status(204), byLang},
			steps: []step{
				{with: lang("en"), want: miss}, {with: lang("de"), want: miss}, {with: lang("fr"), want: miss},
				{do: "PUT /", want: bypass},
				{with: lang("de"), want: miss, body: "#5"}, {with: lang("en"), want: miss, body: "#6"}, {with: lang("fr"), want: miss, body: "#7"},
				{with: lang("de"), want: hit, body: "#5"}, {with: lang("en"), want: hit, body: "#6"},
			},
		}, {
			name:   "of two, only the one that is stale is asked about",
			origin: []reply{byLang, byLang, byLang},
			steps: []step{
				{with: lang("en"), want: miss}, {wait: 30 * time.Second, with: lang("de"), want: miss},
				{wait: 30 * time.Second, with: lang("de"), want: hit}, {with: lang("en"), want: miss, body: "#3"},
				{with: lang("de"), want: hit, body: "#2"},
			},
		}, {
			name:   "a response without Vary after one with",
			origin: []reply{byLang, ok("Cache-Control: max-age=60")},
			steps: []step{
				{with: lang("en"), want: miss}, {with: lang("de"), want: miss, body: "#2"},
				{with: lang("de"), want: hit, body: "#2"},
			},
		}, {
			name:   "a response without Vary after several with",
			origin: []reply{byLang, byLang, ok("Cache-Control: max-age=60")},
			steps: []step{
				{with: lang("en"), want: miss}, {wait: time.Second, with: lang("de"), want: miss, body: "#2"},
				{wait: time.Second, with: lang("fr"), want: miss, body: "#3"},
				{with: lang("fr"), want: hit, body: "#3"}, {with: lang("en"), want: hit, body: "#1"},
			},
		}, {
			name:   "a response with Vary after one without",
			origin: []reply{ok("Cache-Control: max-age=10"), byLang},
			steps: []step{
				{with: lang("en"), want: miss}, {with: lang("de"), want: hit, body: "#1"},
				{wait: 10 * time.Second, with: lang("en"), want: miss, body: "#2"}, {with: lang("de"), want: miss, body: "#3"},
				{with: lang("en"), want: hit, body: "#2"},
			},
		}, {
			name:   "Vary: * after one that was stored takes its place: nothing",
			origin: []reply{ok("Cache-Control: max-age=10"), ok("Vary: *", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 10 * time.Second, want: miss, body: "#2"}, {want: miss, body: "#3"}},
		}, {
			name:      "SelectLanguage",
			transport: &cachecontrol.Transport{SelectLanguage: true},
			origin:    []reply{ok("Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de")},
			steps: []step{
				{with: lang("de"), want: miss}, {with: lang("de, en;q=0.5"), want: hit, body: "#1"},
				{with: lang("en, de;q=0.5"), want: miss, body: "#2"},
			},
		}, {
			name:   "without SelectLanguage only equal fields",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de")},
			steps:  []step{{with: lang("de"), want: miss}, {with: lang("de, en;q=0.5"), want: miss, body: "#2"}},
		},
	})
}

func TestMaxVariants(t *testing.T) {
	for name, store := range allStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, req.Header.Get("X-A"), "Cache-Control: max-age=3600", "Vary: X-A")
				})
				keys := make(map[string]bool)
				counted := &hookedStore{Store: store, after: func(op, key string) {
					switch op {
					case "Commit":
						keys[key] = true
					case "Delete":
						delete(keys, key)
					}
				}}
				tr := &cachecontrol.Transport{Base: o, Store: counted, MaxVariants: 3}
				defer tr.Close()
				for i := range 10 {
					do(t, tr, "/", fmt.Sprintf("X-A: %d", i))
				}
				if n := len(keys); n != 4 {
					t.Errorf("%d entries are stored, want the first and 3 more: %v", n, keys)
				}
				for i, want := range map[int]cachecontrol.Outcome{0: hit, 9: hit, 8: hit, 7: hit} {
					if a := do(t, tr, "/", fmt.Sprintf("X-A: %d", i)); a.outcome != want || a.body != fmt.Sprint(i) {
						t.Errorf("X-A: %d: %v %q, want %v %q", i, a.outcome, a.body, want, fmt.Sprint(i))
					}
				}
				if a := do(t, tr, "/", "X-A: 1"); a.outcome != miss {
					t.Errorf("the oldest variant: %v, want %v", a.outcome, miss)
				}
			})
		})
	}
}

// A response is found by the next request even if its Vary differs from that of the response that it replaces, or if it
// has none.
func TestVaryChanges(t *testing.T) {
	const brief, long = "Cache-Control: max-age=10", "Cache-Control: max-age=600"
	varied, x := ok(brief, "Vary: X-A", `ETag: "a"`), []string{"X-A: 1"}
	again := []step{{want: miss}, {wait: time.Minute, want: miss, body: "#2"}, {want: hit, body: "#2"}}
	runScenarios(t, []scenario{
		{"it goes", nil, []reply{varied, ok(long, `ETag: "b"`), ok(long)}, again},
		{"it goes, with a redirect", nil, []reply{varied, status(301, "Location: /b"), ok(long)}, again},
		{"it goes, when collapsed", &cachecontrol.Transport{Collapse: true}, []reply{varied, ok(long, `ETag: "b"`), ok(long)}, again},
		{"it goes, for another request", nil, []reply{varied, ok(long), ok(long)},
			[]step{{want: miss}, {with: x, want: miss}, {with: x, want: hit, body: "#2"}, {wait: time.Minute, want: miss, body: "#3"}}},
		{"it goes, with variants", nil, []reply{varied, ok(brief, "Vary: X-A", `ETag: "c"`), ok(long)},
			[]step{{want: miss}, {with: x, want: miss}, {wait: time.Minute, want: miss, body: "#3"}, {want: hit, body: "#3"},
				{with: x, want: miss, sent: []string{`If-None-Match: "c"`}}, {with: x, want: hit, body: "#4"}, {want: hit, body: "#3"}}},
		{"it comes", nil, []reply{ok(brief), ok(long, "Vary: X-A"), ok(long)}, append(again[:3:3], step{with: x, want: miss})},
		{"it names another field", nil, []reply{varied, ok(long, "Vary: X-B"), ok(long)}, append(again[:3:3], step{with: []string{"X-B: 1"}, want: miss})},
	})
}

// A failed update of a variant is counted as one failure.
func TestVariantNotUpdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("If-None-Match") != "" {
				return respond(304, "", "Cache-Control: max-age=10", `ETag: "1"`)
			}
			return respond(200, "body", "Cache-Control: max-age=10", `ETag: "1"`, "Vary: X")
		})
		dict := storage.NewDictCache()
		tr := &cachecontrol.Transport{Base: o, Store: dict}
		do(t, tr, "/", "X: 1")
		do(t, tr, "/", "X: 2")
		time.Sleep(10 * time.Second)
		tr = &cachecontrol.Transport{Base: o, Store: &hookedStore{Store: dict, before: func(_ context.Context, op, _ string) error {
			if op == "Update" {
				return errFaulty
			}
			return nil
		}}}
		defer tr.Close()
		if a := do(t, tr, "/", "X: 2"); a.outcome != revalidated || a.body != "body" {
			t.Errorf("GET /, X: 2: %v %q, want %v %q", a.outcome, a.body, revalidated, "body")
		}
		if n := tr.Stats().StoreErrors["update"]; n != 1 {
			t.Errorf("%d failures, want 1", n)
		}
	})
}

// A negative MaxVariants means that only the first variant is stored.
func TestNoVariants(t *testing.T) {
	runScenarios(t, []scenario{{
		"MaxVariants -1", &cachecontrol.Transport{MaxVariants: -1}, []reply{ok("Cache-Control: max-age=60", "Vary: X")},
		[]step{
			{with: []string{"X: 1"}, want: miss}, {with: []string{"X: 2"}, want: miss}, {with: []string{"X: 2"}, want: miss},
			{with: []string{"X: 1"}, want: hit},
		},
	}})
}

// Variants that are received at the same time are all stored.
func TestVariantsEnteredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("X-A"), "Cache-Control: max-age=3600", "Vary: X-A")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "X-A: first")
		var all []*http.Response
		for i := range 16 {
			all = append(all, open(t, tr, request(t, "/", fmt.Sprintf("X-A: %d", i))))
		}
		for _, resp := range all {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		for i := range 16 {
			if a := do(t, tr, "/", fmt.Sprintf("X-A: %d", i)); a.outcome != hit || a.body != fmt.Sprint(i) {
				t.Errorf("X-A: %d: %v %q, want %v %q", i, a.outcome, a.body, hit, fmt.Sprint(i))
			}
		}
	})
}

// A late first response replaces the one that was stored meanwhile, and keeps its list of variants.
func TestVariantsOutliveLateFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("User"), "Cache-Control: max-age=60", "Vary: User")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		late, err := tr.RoundTrip(request(t, "/", "User: late"))
		if err != nil {
			t.Fatal(err)
		}
		do(t, tr, "/", "User: a")
		do(t, tr, "/", "User: b")
		io.Copy(io.Discard, late.Body)
		late.Body.Close()
		for _, user := range []string{"late", "b"} {
			if a := do(t, tr, "/", "User: "+user); a.outcome != hit || a.body != user {
				t.Errorf("%s: %v %q, want a hit", user, a.outcome, a.body)
			}
		}
	})
}

// Variants of a URL that are requested at the same time, before anything is stored for it, are all stored: in any
// order, if one never ends, if two are equal, if values are stored as digests, and with two Transports on one store.
func TestVariantsAtOnceForTheFirstTime(t *testing.T) {
	orders := map[string][]int{"in order": {0, 1, 2, 3, 4}, "reversed": {4, 3, 2, 1, 0}, "mixed": {2, 0, 4, 1, 3}, "first is cut": {-1, 1, 2, 3, 4}, "last is cut": {0, 1, 2, 3, -5}}
	for order, ends := range orders {
		for _, field := range []string{"X-A", "Authorization"} {
			for _, transports := range []int{1, 2} {
				for kind, store := range allStores(t) {
					t.Run(fmt.Sprintf("%s/%s/%d/%s", order, field, transports, kind), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							o := newOrigin(t, func(n int, req *http.Request) *http.Response {
								return respond(200, "for "+req.Header.Get(field), "Cache-Control: max-age=3600", "Vary: "+field)
							})
							var trs []*cachecontrol.Transport
							for range transports {
								trs = append(trs, &cachecontrol.Transport{Base: o, Store: store, DrainBytes: -1})
							}
							// The last asks for the same as the first.
							values := []string{"a", "b", "c", "d", "a"}
							var all []*http.Response
							for i, v := range values {
								all = append(all, open(t, trs[i%transports], request(t, "/", field+": "+v)))
							}
							for _, i := range ends {
								if i >= 0 {
									io.Copy(io.Discard, all[i].Body)
									all[i].Body.Close()
								}
							}
							for _, resp := range all {
								resp.Body.Close()
							}
							for _, v := range values {
								if a := do(t, trs[0], "/", field+": "+v); a.outcome != hit || a.body != "for "+v {
									t.Errorf("%s: %s: got %v %q, want hit %q", field, v, a.outcome, a.body, "for "+v)
								}
							}
						})
					})
				}
			}
		}
	}
}

// A response without Vary that was requested before variants were stored does not replace them. RFC 9111, section 4.1, prefers a
// response with Vary to one without, because some resources omit the field by mistake.
func TestVariantsOutliveResponseWithoutVary(t *testing.T) {
	for kind, store := range allStores(t) {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if value := req.Header.Get("X-A"); value != "" {
						return respond(200, value, "Cache-Control: max-age=60", "Vary: X-A")
					}
					return respond(200, "default", "Cache-Control: max-age=60")
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				var all []*http.Response
				for _, with := range []string{"X-A: a", "X-A: b", "X-B: none"} {
					all = append(all, open(t, tr, request(t, "/", with)))
					time.Sleep(time.Second)
				}
				for _, resp := range all {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				for _, value := range []string{"a", "b"} {
					if a := do(t, tr, "/", "X-A: "+value); a.outcome != hit || a.body != value {
						t.Errorf("X-A: %s: got %v %q, want %v %q", value, a.outcome, a.body, hit, value)
					}
				}
				for _, want := range []cachecontrol.Outcome{miss, hit} {
					if a := do(t, tr, "/"); a.outcome != want || a.body != "default" {
						t.Errorf("without X-A: got %v %q, want %v %q", a.outcome, a.body, want, "default")
					}
				}
			})
		})
	}
}

// With Collapse, requests wait for the header of the first one. Those that select other variants are then sent to the
// origin.
func TestVariantsAtOnceCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.Header.Get("X-A"), "Cache-Control: max-age=3600", "Vary: X-A")
		})
		tr := &cachecontrol.Transport{Base: g, Collapse: true}
		defer tr.Close()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { do(t, tr, "/", fmt.Sprintf("X-A: %d", i%4)) })
		}
		synctest.Wait()
		close(g.letGo)
		wg.Wait()
		for i := range 4 {
			if a := do(t, tr, "/", fmt.Sprintf("X-A: %d", i)); a.outcome != hit || a.body != fmt.Sprint(i) {
				t.Errorf("X-A: %d: got %v %q, want hit", i, a.outcome, a.body)
			}
		}
	})
}

// The list of variants is bounded, so that the entry that each hit reads stays small even if URLs, languages and names
// are long.
func TestVariantListIsBounded(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for name, s := range storesAtRest(t) {
		t.Run(name, func(t *testing.T) {
			tr := &cachecontrol.Transport{
				Base:  replies(t, ok("Cache-Control: max-age=60", "Vary: X-A", "Content-Language: "+long)),
				Store: s.store,
			}
			defer tr.Close()
			for i := range 20 {
				if a := do(t, tr, "/"+long, fmt.Sprintf("X-A: %d", i)); a.outcome != miss {
					t.Errorf("X-A: %d: %v, want a miss", i, a.outcome)
				}
			}
			for _, i := range []int{0, 19} {
				if a := do(t, tr, "/"+long, fmt.Sprintf("X-A: %d", i)); a.outcome != hit {
					t.Errorf("X-A: %d: %v, want a hit", i, a.outcome)
				}
			}
			if n := len(s.dump(t)); n > 2<<20 {
				t.Errorf("%d bytes are stored, want at most 2 MiB", n)
			}
		})
	}
}

// A shared cache treats a response that one web origin may read as if its Vary named Origin. Another web origin could
// not read it, or could read it without permission.
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

// A response that a private cache has stored without that selecting field is not used by a shared cache.
func TestCORSOfAnotherCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
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

// An update with fewer fields in Vary does not change which requests the stored response matches.
func TestVaryOfAnUpdate(t *testing.T) {
	const first, later = "Vary: Accept-Encoding, Accept", "Vary: Accept-Encoding"
	runScenarios(t, []scenario{{
		name: "304",
		origin: []reply{
			ok("Cache-Control: max-age=10", `ETag: "1"`, first),
			status(304, "Cache-Control: max-age=10", `ETag: "1"`, later),
			status(304, "Cache-Control: max-age=10", `ETag: "1"`, later),
			ok("Cache-Control: max-age=10", `ETag: "2"`, first),
		},
		steps: []step{
			{with: []string{"Accept: a/json"}, want: cachecontrol.Miss, body: "#1"},
			{with: []string{"Accept: a/json"}, wait: 11 * time.Second, want: cachecontrol.Revalidated, body: "#1"},
			{with: []string{"Accept: a/json"}, wait: 11 * time.Second, want: cachecontrol.Revalidated, body: "#1"},
			{with: []string{"Accept: a/json"}, want: cachecontrol.Hit, body: "#1"},
			{with: []string{"Accept: a/xml"}, want: cachecontrol.Miss, body: "#4"},
			{with: []string{"Accept: a/json"}, want: cachecontrol.Hit, body: "#1"},
		},
	}, {
		name: "HEAD",
		origin: []reply{
			ok("Cache-Control: max-age=10", `ETag: "1"`, first, "Content-Length: 2"),
			ok("Cache-Control: max-age=10", `ETag: "1"`, later, "Content-Length: 2"),
			ok("Cache-Control: max-age=10", `ETag: "2"`, first),
		},
		steps: []step{
			{with: []string{"Accept: a/json"}, want: cachecontrol.Miss, body: "#1"},
			{do: "HEAD /", with: []string{"Accept: a/json"}, wait: 11 * time.Second, want: cachecontrol.Miss},
			{with: []string{"Accept: a/json"}, want: cachecontrol.Hit, body: "#1"},
			{with: []string{"Accept: a/xml"}, want: cachecontrol.Miss, body: "#3"},
		},
	}, {
		name: "304 that varies by everything",
		origin: []reply{
			ok("Cache-Control: max-age=10", `ETag: "1"`, first),
			status(304, "Cache-Control: max-age=10", `ETag: "1"`, "Vary: *"),
			ok("Cache-Control: max-age=10", `ETag: "2"`, first),
		},
		steps: []step{
			{with: []string{"Accept: a/json"}, want: cachecontrol.Miss, body: "#1"},
			{with: []string{"Accept: a/json"}, wait: 11 * time.Second, want: cachecontrol.Revalidated, body: "#1"},
			{with: []string{"Accept: a/json"}, want: cachecontrol.Miss, body: "#3"},
		},
	}})
}

// If some responses for a URL have Vary, one without it is selected by the fields of the others (RFC 9111, section
// 4.1).
func TestVaryOmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if lang := req.Header.Get("Accept-Language"); lang != "" {
				return respond(200, lang, "Cache-Control: max-age=60", "Vary: Accept-Language")
			}
			return respond(200, "default", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/", "Accept-Language: en")
		time.Sleep(time.Second)
		do(t, tr, "/")
		for _, want := range []string{"en", "default"} {
			var fields []string
			if want != "default" {
				fields = []string{"Accept-Language: " + want}
			}
			if a := do(t, tr, "/", fields...); a.outcome != cachecontrol.Hit || a.body != want {
				t.Errorf("%v: %v %q, want a hit with %q", fields, a.outcome, a.body, want)
			}
		}
		if a := do(t, tr, "/", "Accept-Language: de"); a.outcome != cachecontrol.Miss || a.body != "de" {
			t.Errorf("de: %v %q, want its own", a.outcome, a.body)
		}
	})
}

// A list of variants does not lead to the key of another URL.
func TestVariantOfAnotherURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, req.URL.Path, "Cache-Control: max-age=60", "Vary: A")
		})
		store := storage.NewDictCache()
		tr := &cachecontrol.Transport{Base: o, Store: store}
		do(t, tr, "/secret", "A: 2")
		do(t, tr, "/public", "A: 1")
		resp, err := store.Get(t.Context(), "http://example.com/public")
		if err != nil {
			t.Fatal(err)
		}
		e := resp.Entry.Clone()
		e.Variants = []storage.Variant{{
			Key: "http://example.com/secret", Vary: []storage.Field{{Name: "A", Value: "2", Present: true}}, Date: time.Now(),
		}}
		if err := store.Update(t.Context(), "http://example.com/public", e); err != nil {
			t.Fatal(err)
		}
		if a := do(t, tr, "/public", "A: 2"); a.body != "/public" {
			t.Errorf("GET /public, A: 2: %q, want %q; outcome %v", a.body, "/public", a.outcome)
		}
	})
}

func TestVary(t *testing.T) {
	fields := map[string][2]string{
		"Accept": {"text/plain", "text/html"}, "Accept-Encoding": {"br", "zstd"}, "Accept-Language": {"de", "fr"},
		"Cookie": {"a=1", "a=2"}, "User-Agent": {"one", "two"}, "Origin": {"http://a", "http://b"}, "X-Own": {"1", "2"},
	}
	for name, values := range fields {
		one, two := []string{name + ": " + values[0]}, []string{name + ": " + values[1]}
		last := step{want: miss, body: "#3"}
		if name == "Accept-Encoding" {
			last = step{want: hit, body: "#1"} // without Accept-Encoding of its own, a request can use any coding that the cache can decode
		}
		runScenarios(t, []scenario{{
			name:   name,
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: "+strings.ToLower(name))},
			steps: []step{
				{with: one, want: miss, body: "#1"}, {with: one, want: hit, body: "#1"},
				{with: two, want: miss, body: "#2"}, {with: two, want: hit, body: "#2"},
				{with: one, want: hit, body: "#1"},
				last,
			},
		}, {
			name:   name + ", missing at first",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: "+name)},
			steps:  []step{{want: miss, body: "#1"}, {want: hit, body: "#1"}, {with: one, want: miss, body: "#2"}, {want: hit, body: "#1"}},
		}})
	}
	runScenarios(t, []scenario{
		{
			name:   "several names: all must match",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: Accept, X-Own")},
			steps: []step{
				{with: []string{"Accept: a/b", "X-Own: 1"}, want: miss},
				{with: []string{"Accept: a/b", "X-Own: 2"}, want: miss},
				{with: []string{"Accept: a/c", "X-Own: 1"}, want: miss},
				{with: []string{"Accept: a/b", "X-Own: 1", "Cookie: x=y"}, want: hit, body: "#1"},
			},
		}, {
			name:   "Vary: * is neither stored nor answered from",
			origin: []reply{ok("Cache-Control: max-age=60", `ETag: "a"`, "Vary: *")},
			steps:  []step{{want: miss, storing: "vary-any"}, {want: miss, sent: []string{"If-None-Match:"}}},
		}, {
			name:   "a * among names is one too",
			origin: []reply{ok("Cache-Control: max-age=60", "Vary: Accept, *")},
			steps:  []step{{want: miss, storing: "vary-any"}, {want: miss}},
		},
	})
}

// Every line of Vary counts.
func TestSeveralVaryLines(t *testing.T) {
	runScenarios(t, []scenario{{
		origin: []reply{ok("Cache-Control: max-age=60", "Vary: X-One", "Vary: X-Two, X-Three")},
		steps: []step{
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 3"}, want: hit, head: []string{"Vary: X-One | X-Two, X-Three"}},
			{with: []string{"X-One: 0", "X-Two: 2", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 0", "X-Three: 3"}, want: miss},
			{with: []string{"X-One: 1", "X-Two: 2", "X-Three: 0"}, want: miss},
		},
	}})
}

// The validation of one variant does not affect the others.
func TestRevalidatingOneVariant(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				lang := req.Header.Get("Accept-Language")
				fields := []string{"Cache-Control: max-age=100", "Vary: Accept-Language", fmt.Sprintf("ETag: %q", lang)}
				if req.Header.Get("If-None-Match") != "" && !replaced {
					return respond(304, "", fields...)
				}
				return respond(200, lang, fields...)
			})
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			langs := []string{"en", "de", "fr"}
			for i, lang := range langs {
				do(t, tr, "/", "Accept-Language: "+lang)
				time.Sleep(time.Duration(i) * time.Second)
			}
			for _, lang := range langs {
				do(t, tr, "/", "Accept-Language: "+lang, "Cache-Control: no-cache")
				for _, other := range langs {
					if a := do(t, tr, "/", "Accept-Language: "+other); a.outcome != hit || a.body != other {
						t.Errorf("%s after revalidating %s (replaced: %v): %v %q, want %v %q", other, lang, replaced, a.outcome, a.body, hit, other)
					}
				}
			}
		})
	}
}

// Vary: * matches no request, not even one with a field of that name.
func TestVaryStarField(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, vary := range []string{"*", "*, *", ", *", "X-A, *", "*, X-A"} {
			all = append(all, scenario{vary, tr(), []reply{ok("Cache-Control: max-age=60", "Vary: "+vary)}, []step{
				{with: []string{"*: 1", "X-A: 1"}, want: miss, storing: "vary-any"},
				{with: []string{"*: 1", "X-A: 1"}, want: miss},
			}})
		}
		return all
	})
}

// A variant that another process stores stays in the list, whatever becomes of the entry that has the list meanwhile.
func TestVariantStoredWhileListChanges(t *testing.T) {
	for name, test := range map[string]struct {
		stored    []string // users whose responses are stored, the first of them in the entry with the list
		wait      time.Duration
		user      string // of the request while which the other process stores variants
		validates bool   // the origin responds with 304 to it
		meanwhile string // user whose response is stored while the origin is asked
	}{
		"a variant is added":               {stored: []string{"a"}, user: "b"},
		"a variant is replaced":            {stored: []string{"a", "b"}, wait: time.Hour, user: "b"},
		"a variant is validated":           {stored: []string{"a", "b"}, wait: time.Hour, user: "b", validates: true},
		"the first is replaced":            {stored: []string{"a"}, wait: time.Hour, user: "a"},
		"the first of several is replaced": {stored: []string{"a", "b", "c"}, wait: time.Hour, user: "a"},
		"the first is validated":           {stored: []string{"a"}, wait: time.Hour, user: "a", validates: true},
		"the first makes way":              {user: "b", meanwhile: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				meanwhile := func() {}
				o := newOrigin(t, func(_ int, req *http.Request) *http.Response {
					user := req.Header.Get("X-User")
					if user == test.user {
						meanwhile()
					}
					fields := []string{"Cache-Control: max-age=60", "Vary: X-User", fmt.Sprintf("ETag: %q", user)}
					if test.validates && req.Header.Get("If-None-Match") != "" {
						return respond(304, "", fields...)
					}
					return respond(200, user, fields...)
				})
				dict := storage.NewDictCache()
				other := &cachecontrol.Transport{Base: o, Store: dict}
				defer other.Close()
				for _, user := range test.stored {
					do(t, other, "/", "X-User: "+user)
				}
				time.Sleep(test.wait)
				users := []string{test.user}
				if test.meanwhile != "" {
					meanwhile = func() { do(t, other, "/", "X-User: "+test.meanwhile) }
					users = append(users, test.meanwhile)
				}
				store := &contendedStore{dict, wholeKey, 10, func() {
					user := fmt.Sprint("other", len(users))
					users = append(users, user)
					do(t, other, "/", "X-User: "+user)
				}}
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				do(t, tr, "/", "X-User: "+test.user)
				if store.left > 0 {
					t.Errorf("%d variants were not stored meanwhile, want 0", store.left)
				}
				for _, user := range users {
					if a := do(t, tr, "/", "X-User: "+user, "Cache-Control: only-if-cached"); a.outcome != hit || a.body != user {
						t.Errorf("GET / of user %q = %v %q, want %v %q", user, a.outcome, a.body, hit, user)
					}
				}
			})
		})
	}
}

// The variants of a URL have a generation of their own, also if the first response had no Vary, and another one once they were
// invalidated.
func TestGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "")
			}
			fields := []string{"Cache-Control: max-age=60", "Vary: Accept"}
			return respond(200, "body", fields[:min(n, 2)]...)
		})
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		generation := func() string {
			e, _ := peek(t, store, wholeKey)
			return e.Generation
		}
		do(t, tr, "/")
		do(t, tr, "/", "Cache-Control: no-cache", "Accept: a")
		first := generation()
		do(t, tr, "/", "Accept: b")
		if got := generation(); first == "" || got != first {
			t.Errorf("the generations are %q and %q, want the same, and not empty", first, got)
		}
		do(t, tr, "PUT /")
		do(t, tr, "/", "Accept: a")
		if got := generation(); got == "" || got == first {
			t.Errorf("after the invalidation: %q, want another generation than %q", got, first)
		}
	})
}
