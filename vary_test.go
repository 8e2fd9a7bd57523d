package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/serialize"
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
	stores := fileStores(t)
	stores["DictCache"] = storage.NewDictCache()
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					return respond(200, req.Header.Get("X-A"), "Cache-Control: max-age=3600", "Vary: X-A")
				})
				counted := &countingStore{Store: store, keys: make(map[string]bool)}
				tr := &cachecontrol.Transport{Base: o, Store: counted, MaxVariants: 3}
				defer tr.Close()
				for i := range 10 {
					do(t, tr, "/", fmt.Sprintf("X-A: %d", i))
				}
				if n := len(counted.keys); n != 4 {
					t.Errorf("%d entries are stored, want the first and 3 more: %v", n, counted.keys)
				}
				for i, want := range map[int]cachecontrol.Outcome{0: hit, 9: hit, 8: hit, 7: hit} {
					if a := do(t, tr, "/", fmt.Sprintf("X-A: %d", i)); a.outcome != want || a.body != fmt.Sprint(i) {
						t.Errorf("X-A: %d: %v %q", i, a.outcome, a.body)
					}
				}
				if a := do(t, tr, "/", "X-A: 1"); a.outcome != miss {
					t.Errorf("the oldest variant: %v", a.outcome)
				}
			})
		})
	}
}

// A response whose Vary names other fields than that of the stored one it replaces is found by the next request: also if it has no
// Vary at all.
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

// noUpdates is a store that updates nothing.
type noUpdates struct{ storage.Store }

func (noUpdates) Update(context.Context, string, *serialize.Entry) error { return errors.New("no") }

// A variant that cannot be brought up to date is one failure.
func TestVariantNotUpdated(t *testing.T) {
	in(t, func(t *testing.T) {
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
		tr = &cachecontrol.Transport{Base: o, Store: noUpdates{dict}}
		defer tr.Close()
		if a := do(t, tr, "/", "X: 2"); a.outcome != revalidated || a.body != "body" {
			t.Errorf("%v %q", a.outcome, a.body)
		}
		if n := tr.Stats().StoreErrors["update"]; n != 1 {
			t.Errorf("%d failures", n)
		}
	})
}

// Less than none is none: the first variant alone is kept.
func TestNoVariants(t *testing.T) {
	runScenarios(t, []scenario{{
		"MaxVariants -1", &cachecontrol.Transport{MaxVariants: -1}, []reply{ok("Cache-Control: max-age=60", "Vary: X")},
		[]step{
			{with: []string{"X: 1"}, want: miss}, {with: []string{"X: 2"}, want: miss}, {with: []string{"X: 2"}, want: miss},
			{with: []string{"X: 1"}, want: hit},
		},
	}})
}

// Variants that were all under way before one was stored: none loses another.
func TestVariantsEnteredAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
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
				t.Errorf("X-A: %d: %v %q", i, a.outcome, a.body)
			}
		}
	})
}

// A first response that comes to its end late takes the place of the one that was stored meanwhile, but its variants
// stay known.
func TestVariantsOutliveLateFirst(t *testing.T) {
	in(t, func(t *testing.T) {
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

// Variants of one URL that are asked for at once, while nothing is stored for it, all stay: whichever comes to its end first or last,
// if one never does, if two are the same, if their values are stored as digests, and if two Transports share the store.
func TestVariantsAtOnceForTheFirstTime(t *testing.T) {
	orders := map[string][]int{"in order": {0, 1, 2, 3, 4}, "reversed": {4, 3, 2, 1, 0}, "mixed": {2, 0, 4, 1, 3}, "first is cut": {-1, 1, 2, 3, 4}, "last is cut": {0, 1, 2, 3, -5}}
	for order, ends := range orders {
		for _, field := range []string{"X-A", "Authorization"} {
			for _, transports := range []int{1, 2} {
				stores := fileStores(t)
				stores["DictCache"] = storage.NewDictCache()
				stores["FromKV"] = storage.FromKV(&memoryKV{})
				for kind, store := range stores {
					t.Run(fmt.Sprintf("%s/%s/%d/%s", order, field, transports, kind), func(t *testing.T) {
						in(t, func(t *testing.T) {
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
	stores := fileStores(t)
	stores["DictCache"] = storage.NewDictCache()
	for kind, store := range stores {
		t.Run(kind, func(t *testing.T) {
			in(t, func(t *testing.T) {
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

// With Collapse the requests wait for the head of one of them, and those of other variants go on by themselves.
func TestVariantsAtOnceCollapse(t *testing.T) {
	in(t, func(t *testing.T) {
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

// What the list of variants says of each is bounded, so that the entry that each hit reads stays small: a URL, a language and a name
// may be as long as clients and origins like.
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
