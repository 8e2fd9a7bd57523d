package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestCacheGroups has a case for each requirement of RFC 9875. Each case stores "/" and then makes a request.
func TestCacheGroups(t *testing.T) {
	long := strings.Repeat("x", 32)
	var many, manyMore []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprint(i, long)[:32]))
	}
	for i := range 129 {
		manyMore = append(manyMore, fmt.Sprintf("%q", fmt.Sprint(i)))
	}
	all := strings.Join(many, ", ")
	for _, test := range []struct {
		section, name string
		groups        []string // fields of the stored response
		do            string   // the request
		status        int
		response      []string // fields of its response
		invalid       bool     // whether the stored response is validated before it is used again
	}{
		{"2", "32 groups of 32 characters must be supported: the first", []string{all}, "POST /other", 200, []string{many[0]}, true},
		{"2", "the last", []string{all}, "POST /other", 200, []string{many[31]}, true},
		{"2", "on several lines", many, "POST /other", 200, []string{many[31]}, true},
		{"2", "parameters are ignored", []string{`"a";x=1;y`}, "POST /other", 200, []string{`"a"`}, true},
		{"2", "the order is not significant", []string{`"b", "a"`}, "POST /other", 200, []string{`"a", "b"`}, true},
		{"2.1", "the same string", []string{`"a"`}, "POST /other", 200, []string{`"a"`}, true},
		{"2.1", "another string", []string{`"a"`}, "POST /other", 200, []string{`"b"`}, false},
		{"2.1", "compared character by character: case", []string{`"a"`}, "POST /other", 200, []string{`"A"`}, false},
		{"2.1", "space", []string{`"a"`}, "POST /other", 200, []string{`"a "`}, false},
		{"2.1", "escapes are not characters", []string{`"a\"\\"`}, "POST /other", 200, []string{`"a\"\\"`}, true},
		{"2.1", "the empty string", []string{`""`}, "POST /other", 200, []string{`""`}, true},
		{"2.1", "another origin: host", []string{`"a"`}, "POST http://example.org/other", 200, []string{`"a"`}, false},
		{"2.1", "scheme", []string{`"a"`}, "POST https://example.com/other", 200, []string{`"a"`}, false},
		{"2.1", "port", []string{`"a"`}, "POST http://example.com:8080/other", 200, []string{`"a"`}, false},
		{"2.1", "the same origin, with its port", []string{`"a"`}, "POST http://EXAMPLE.com:80/other", 200, []string{`"a"`}, true},
		{"2.2.1", "an invalidation does not cascade to groups of the response", []string{`"a"`}, "POST /other", 200, nil, false},
		{"3", "a safe method: GET", []string{`"a"`}, "/other", 200, []string{`"a"`}, false},
		{"3", "HEAD", []string{`"a"`}, "HEAD /other", 200, []string{`"a"`}, false},
		{"3", "OPTIONS", []string{`"a"`}, "OPTIONS /other", 200, []string{`"a"`}, false},
		{"3", "an unsafe method: PUT", []string{`"a"`}, "PUT /other", 204, []string{`"a"`}, true},
		{"3", "one that is not known", []string{`"a"`}, "FROB /other", 200, []string{`"a"`}, true},
		{"3", "an error", []string{`"a"`}, "POST /other", 500, []string{`"a"`}, true},
		{"3", "one of several groups", []string{`"a", "b"`}, "POST /other", 200, []string{`"x"`, `"b"`}, true},
		{"3", "32 groups of 32 characters must be supported", []string{many[31]}, "POST /other", 200, []string{all}, true},
		{"3", "parameters are ignored", []string{`"a"`}, "POST /other", 200, []string{`"a";x`}, true},
		{"3", "more groups than are read", []string{`"a"`}, "POST /other", 200, manyMore, true},
		{"3", "a longer field than is read", []string{`"a"`}, "POST /other", 200, []string{`"` + strings.Repeat("b", 1<<16) + `"`}, true},
		{"RFC 9651, 4.2", "malformed: no list", []string{`"a"`}, "POST /other", 200, []string{`"a", `}, false},
		{"RFC 9651, 4.2", "malformed: not terminated", []string{`"a"`}, "POST /other", 200, []string{`"a`}, false},
		{"RFC 9651, 3", "a member that is no string", []string{`"a"`}, "POST /other", 200, []string{`"a", b`}, false},
		{"RFC 9651, 3", "an inner list", []string{`"a"`}, "POST /other", 200, []string{`("a")`}, false},
		{"RFC 9651, 3", "of the stored response", []string{`"a", 1`}, "POST /other", 200, []string{`"a"`}, false},
	} {
		t.Run(test.section+"/"+test.name, func(t *testing.T) {
			stored := ok("Cache-Control: max-age=60", `Etag: "1"`)
			for _, g := range test.groups {
				stored.fields = append(stored.fields, "Cache-Groups: "+g)
			}
			other := status(test.status)
			for _, g := range test.response {
				other.fields = append(other.fields, "Cache-Group-Invalidation: "+g)
			}
			after := step{do: "/", want: hit}
			if test.invalid {
				after = step{do: "/", want: revalidated, sent: []string{`If-None-Match: "1"`}}
			}
			outcome := bypass
			if test.do[0] == '/' || strings.HasPrefix(test.do, "HEAD") {
				outcome = miss
			}
			runScenarios(t, []scenario{{
				name:   "",
				origin: []reply{stored, other, status(304)},
				steps:  []step{{do: "/", want: miss}, {do: "/", want: hit}, {do: test.do, want: outcome}, after, {do: "/", want: hit}},
			}})
		})
	}
}

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// An invalidated response is used only after the origin has confirmed it, whatever allows the use of stale responses.
func TestInvalidatedIsValidated(t *testing.T) {
	const far = "Cache-Control: max-age=60, stale-if-error=9999, stale-while-revalidate=9999"
	always := func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
		return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseAnyway, StaleWhileRevalidate: time.Hour, StaleIfSlow: 1}
	}
	for _, test := range []struct {
		name      string
		transport *cachecontrol.Transport
		step      step
		failing   bool
	}{
		{"fresh", &cachecontrol.Transport{}, step{want: revalidated}, false},
		{"stale", &cachecontrol.Transport{StaleWhileRevalidate: time.Hour}, step{wait: 2 * time.Minute, want: revalidated}, false},
		{"slow", &cachecontrol.Transport{StaleIfSlow: 1}, step{want: revalidated}, false},
		{"BeforeReuse", &cachecontrol.Transport{BeforeReuse: always}, step{want: revalidated}, false},
		{"Replay", &cachecontrol.Transport{Replay: true}, step{want: revalidated}, false},
		{"max-stale", &cachecontrol.Transport{}, step{with: []string{"Cache-Control: max-stale"}, want: revalidated}, false},
		{"only if cached", &cachecontrol.Transport{}, step{with: []string{"Cache-Control: only-if-cached"}, want: miss, status: 504}, false},
		{"offline", &cachecontrol.Transport{Replay: true}, step{control: &cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504}, false},
		{"stale-if-error", &cachecontrol.Transport{StaleIfError: time.Hour}, step{want: miss, status: 500}, true},
		{"backoff", &cachecontrol.Transport{StaleIfError: time.Hour, Backoff: time.Hour}, step{want: miss, status: 500}, true},
		{"Replay, when the origin fails", &cachecontrol.Transport{Replay: true}, step{want: miss, status: 500}, true},
		{"collapsed", &cachecontrol.Transport{Collapse: true}, step{want: revalidated}, false},
		{"HEAD", &cachecontrol.Transport{}, step{do: "HEAD /", want: revalidated}, false},
		{"range", &cachecontrol.Transport{}, step{with: []string{"Range: bytes=0-0"}, want: revalidated, status: 206}, false},
		{"ranges", &cachecontrol.Transport{}, step{with: []string{"Range: bytes=0-0,2-2"}, want: bypass}, false},
	} {
		for _, how := range []string{"group", "own group", "prefix", "header"} {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					failing := false
					o := newOrigin(t, func(n int, req *http.Request) *http.Response {
						switch {
						case req.Method == "PUT":
							return respond(204, "", `Cache-Group-Invalidation: "a"`)
						case failing:
							return respond(500, "failed")
						case req.Header.Get("If-None-Match") != "":
							return respond(304, "", far, `Etag: "1"`)
						}
						return respond(200, "body", far, `Etag: "1"`, `Cache-Groups: "a"`)
					})
					x := test.transport
					tr := &cachecontrol.Transport{
						Base: o, Groups: func(resp *http.Response) []string { return []string{"own\xff\x00"} },
						StaleWhileRevalidate: x.StaleWhileRevalidate, StaleIfSlow: x.StaleIfSlow, BeforeReuse: x.BeforeReuse, Replay: x.Replay,
						StaleIfError: x.StaleIfError, Backoff: x.Backoff, Collapse: x.Collapse,
					}
					defer tr.Close()
					step{want: miss}.run(t, "first", tr, o)
					step{want: hit}.run(t, "second", tr, o)
					u := parseURL(t, "http://example.com/")
					var err error
					switch how {
					case "group":
						err = tr.InvalidateGroup(t.Context(), u, "a")
					case "own group":
						err = tr.InvalidateGroup(t.Context(), u, "own\xff\x00")
					case "prefix":
						err = tr.InvalidatePrefix(t.Context(), u)
					case "header":
						do(t, tr, "PUT /other")
					}
					if err != nil {
						t.Fatal(err)
					}
					failing = test.failing
					test.step.run(t, "invalidated", tr, o)
					synctest.Wait()
					failing = false
					if test.step.want == revalidated {
						step{want: hit}.run(t, "validated", tr, o)
					}
				})
			})
		}
	}
}

// Clear makes everything count as not stored: nothing is validated.
func TestClear(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := replies(t, ok("Cache-Control: max-age=600", `Etag: "1"`, "Vary: X-A"))
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		targets := []string{"/", "/a", "http://example.org/"}
		all := func(want cachecontrol.Outcome, sent ...string) {
			t.Helper()
			for _, target := range targets {
				for _, a := range []string{"X-A: a", "X-A: b"} {
					for _, partition := range []string{"", "p"} {
						st := step{do: target, with: []string{a}, control: &cachecontrol.Control{Partition: partition}, want: want}
						if a == "X-A: a" { // the other request offers the tag of its response
							st.sent = sent
						}
						st.run(t, target, tr, o)
					}
				}
			}
		}
		all(miss)
		all(hit)
		if err := tr.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		all(miss, "If-None-Match:")
		all(hit)
	})
}

func TestInvalidatePrefix(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := replies(t, ok("Cache-Control: max-age=600"))
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		targets := map[string]bool{
			"/a": true, "/a?b": true, "/a/": true, "/a/b": true, "/a/b?c": true, "/ab": false, "/": false, "/b": false, "http://example.org/a": false,
			"http://user:password@example.com/a": true,
		}
		for target := range targets {
			do(t, tr, target)
		}
		if err := tr.InvalidatePrefix(t.Context(), parseURL(t, "http://EXAMPLE.com:80/a")); err != nil {
			t.Fatal(err)
		}
		for target, invalid := range targets {
			want := hit
			if invalid {
				want = miss
			}
			step{do: target, want: want}.run(t, target, tr, o)
			step{do: target, want: hit}.run(t, target+", again", tr, o)
		}
		for _, u := range []*url.URL{nil, {}, parseURL(t, "http://example.com/a?b"), parseURL(t, "mailto:a"), parseURL(t, "http://example.com/"+strings.Repeat("a", 600))} {
			if err := tr.InvalidatePrefix(t.Context(), u); err == nil {
				t.Errorf("InvalidatePrefix(%v) = nil, want an error", u)
			}
		}
		if err := tr.InvalidateGroup(t.Context(), nil, ""); err == nil {
			t.Error("InvalidateGroup(nil) = nil, want an error")
		}
	})
}

// Two Transports share a store. Each sees what the other invalidates: at once in memory, otherwise within a second.
func TestInvalidationByAnotherTransport(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := replies(t, ok("Cache-Control: max-age=600", `Cache-Groups: "a"`))
		a, b := &cachecontrol.Transport{Base: o, Store: store}, &cachecontrol.Transport{Base: o, Store: store}
		defer a.Close()
		defer b.Close()
		_, memory := store.(*storage.DictCache)
		for i, invalidate := range []func(*cachecontrol.Transport) error{
			func(tr *cachecontrol.Transport) error {
				return tr.InvalidateGroup(t.Context(), parseURL(t, "http://example.com/"), "a")
			},
			func(tr *cachecontrol.Transport) error {
				return tr.InvalidatePrefix(t.Context(), parseURL(t, "http://example.com/"))
			},
			func(tr *cachecontrol.Transport) error { return tr.Clear(t.Context()) },
		} {
			do(t, a, "/")
			if !memory {
				time.Sleep(6 * time.Second)
			}
			if got := do(t, b, "/"); got.outcome != hit {
				t.Errorf("%d, before: %v, want %v", i, got.outcome, hit)
			}
			if err := invalidate(a); err != nil {
				t.Fatal(err)
			}
			if !memory {
				time.Sleep(6 * time.Second) // a second, and five for the near store of a Tiered
			}
			if got := do(t, b, "/"); got.outcome != miss {
				t.Errorf("%d: %v, want %v", i, got.outcome, miss)
			}
			if got := do(t, a, "/"); got.outcome != hit {
				t.Errorf("%d, validated by the other: %v, want %v", i, got.outcome, hit)
			}
		}
	})
}

// Two Transports share a far store, and each has copies of its entries. What one of them invalidates remains invalid when the other
// invalidates something.
func TestInvalidationsBehindNearStores(t *testing.T) {
	u := parseURL(t, "http://example.com/a")
	for how, invalidate := range map[string]func(tr *cachecontrol.Transport, first bool) error{
		"group": func(tr *cachecontrol.Transport, first bool) error {
			return tr.InvalidateGroup(context.Background(), u, map[bool]string{true: "a", false: "i"}[first]) // they are stored together
		},
		"prefix": func(tr *cachecontrol.Transport, first bool) error {
			if first {
				return tr.InvalidatePrefix(context.Background(), u)
			}
			return tr.InvalidatePrefix(context.Background(), u.JoinPath("b"))
		},
		"all": func(tr *cachecontrol.Transport, first bool) error {
			if first {
				return tr.Clear(context.Background())
			}
			return tr.InvalidateGroup(context.Background(), u, "b")
		},
	} {
		for _, sealed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/sealed=%v", how, sealed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := replies(t, ok("Cache-Control: max-age=600", `Cache-Groups: "a"`))
					far := storage.NewDictCache()
					open := func() *cachecontrol.Transport {
						tiered := storage.Tiered(nil, far, time.Hour)
						store := storage.Store(tiered)
						if sealed {
							store = newSealed(t, tiered)
						}
						tr := &cachecontrol.Transport{Base: o, Store: store}
						t.Cleanup(func() { tr.Close(); tiered.Close() })
						return tr
					}
					a, b := open(), open()
					for i, tr := range []*cachecontrol.Transport{a, b, a, b} {
						if err := invalidate(tr, i == 2); err != nil {
							t.Fatal(err)
						}
						if i == 1 {
							do(t, a, "/a")
							do(t, b, "/a") // each has copies now
						}
					}
					if got := do(t, open(), "/a"); got.outcome != miss {
						t.Errorf("after both invalidations: %v, want %v", got.outcome, miss)
					}
				})
			})
		}
	}
}

// A response that was requested before an invalidation counts as invalidated, also if it is stored after that.
func TestInvalidatedWhileReceiving(t *testing.T) {
	inEachStore(t, func(t *testing.T, store storage.Store) {
		o := versions(t, "Cache-Control: max-age=600", `Cache-Groups: "a"`)
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		late := open(t, tr, request(t, "/"))
		if err := tr.InvalidateGroup(t.Context(), parseURL(t, "http://example.com/"), "a"); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, late.Body)
		late.Body.Close()
		step{want: revalidated}.run(t, "stored after the invalidation", tr, o)
		step{want: hit}.run(t, "validated", tr, o)
	})
}

// Requests do not share a response that was invalidated after it was requested.
func TestInvalidatedFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		tr := &cachecontrol.Transport{Collapse: true, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			n++
			version := n
			time.Sleep(time.Second)
			resp := respond(200, fmt.Sprint("version ", version), "Cache-Control: max-age=600", `Cache-Groups: "a"`)
			resp.Request = req
			return resp, nil
		})}
		defer tr.Close()
		u := parseURL(t, "http://example.com/")
		if err := tr.InvalidateGroup(t.Context(), u, "b"); err != nil {
			t.Fatal(err)
		}
		var first, second answers
		first.add(t, 1, tr, func(int) *http.Request { return request(t, "/") })
		synctest.Wait()
		if err := tr.InvalidateGroup(t.Context(), u, "a"); err != nil {
			t.Fatal(err)
		}
		second.add(t, 10, tr, func(int) *http.Request { return request(t, "/") })
		first.wait(t)
		all, _ := second.wait(t)
		for _, a := range all {
			if a.body != "version 2" {
				t.Errorf("%q, want %q", a.body, "version 2")
			}
		}
		if n != 2 {
			t.Errorf("%d requests to the origin, want 2", n)
		}
	})
}

// The response to an unsafe request may be in a group that it invalidates.
func TestResponseInItsOwnGroup(t *testing.T) {
	fields := []string{"Cache-Control: max-age=600", "Content-Location: /", `Cache-Groups: "a"`}
	runScenarios(t, []scenario{{
		origin: []reply{ok(fields...), ok(append(fields, `Cache-Group-Invalidation: "a"`)...)},
		steps: []step{
			{do: "/", want: miss, body: "#1"}, {do: "POST /", want: bypass, body: "#2"}, {do: "/", want: hit, body: "#2"},
		},
	}})
}

// Cache-Group-Invalidation applies to the partition of its request, and a program's invalidation to all.
func TestPartitionsOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "PUT" {
				return respond(204, "", `Cache-Group-Invalidation: "a"`)
			}
			return respond(200, "", "Cache-Control: max-age=600", `Cache-Groups: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		partitions := []string{"", "p", "q"}
		all := func(want ...cachecontrol.Outcome) {
			t.Helper()
			for i, p := range partitions {
				step{control: &cachecontrol.Control{Partition: p}, want: want[i]}.run(t, "partition "+p, tr, o)
			}
		}
		all(miss, miss, miss)
		for i := range partitions {
			step{do: "PUT /other", control: &cachecontrol.Control{Partition: partitions[i]}, want: bypass}.run(t, "PUT", tr, o)
			want := []cachecontrol.Outcome{hit, hit, hit}
			want[i] = miss
			all(want...)
		}
		if err := tr.InvalidateGroup(t.Context(), parseURL(t, "http://example.com/"), "a"); err != nil {
			t.Fatal(err)
		}
		all(miss, miss, miss)
	})
}

// A 304 may move a response to another group. A response in too many groups is not stored.
func TestChangedGroups(t *testing.T) {
	var many []string
	for i := range 129 {
		many = append(many, fmt.Sprintf("Cache-Groups: %q", fmt.Sprint(i)))
	}
	const tag = `Etag: "1"`
	moved := []reply{ok("Cache-Control: no-cache", tag, `Cache-Groups: "a"`), status(304, tag, "Cache-Control: max-age=60", `Cache-Groups: "b"`), status(204, `Cache-Group-Invalidation: "a"`), status(204, `Cache-Group-Invalidation: "b"`), status(304, tag)}
	runScenarios(t, []scenario{{
		name: "moved", origin: moved,
		steps: []step{{want: miss}, {want: revalidated}, {do: "PUT /x", want: bypass}, {want: hit}, {do: "PUT /x", want: bypass}, {want: revalidated}},
	}, {
		name: "too many", origin: []reply{ok(append(many, "Cache-Control: max-age=60")...)},
		steps: []step{{want: miss, storing: "too-many-groups"}, {want: miss}},
	}, {
		name: "too many of the program", transport: &cachecontrol.Transport{Groups: func(*http.Response) []string { return make([]string, 129) }},
		origin: []reply{ok("Cache-Control: max-age=60")},
		steps:  []step{{want: miss, storing: "too-many-groups"}, {want: miss}},
	}, {
		name: "too many after a 304", origin: []reply{ok("Cache-Control: no-cache", tag), status(304, append(many, tag)...), ok()},
		steps: []step{{want: miss}, {want: revalidated}, {want: miss, sent: []string{"If-None-Match:"}}},
	}})
}

// 100,000 responses are in 10,000 groups, of which 1,000 are invalidated while others read them.
func TestInvalidationsUnderLoad(t *testing.T) {
	const groups, invalidated, readers = 10_000, 1_000, 4
	responses := rounds(100_000, 10_000)
	asked := make([]atomic.Int32, responses)
	tr := grouped(groups, func(n int) { asked[n].Add(1) })
	defer tr.Close()
	var total atomic.Int64
	get := func(n int) {
		if err := getNumber(tr, n); err != nil {
			t.Error(err)
			return
		}
		total.Add(1)
	}
	for n := range responses {
		get(n)
	}
	var begun, dropped [groups]atomic.Int32   // the number of invalidations that were called, and that have returned
	during := make([]atomic.Int32, responses) // the number of requests during an invalidation, whose responses may not be used later
	var wg sync.WaitGroup
	var done atomic.Bool
	for r := range readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(r), 1))
			for !done.Load() {
				n := random.IntN(responses/readers)*readers + r // no two readers request one response at the same time
				want := 1 + dropped[n%groups].Load()
				if get(n); asked[n].Load() < want {
					t.Errorf("response %d was requested %d times, want %d", n, asked[n].Load(), want)
				}
				if 1+begun[n%groups].Load() > want {
					during[n].Add(1)
				}
			}
		})
	}
	u := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
	var slowest, sum time.Duration
	for i := range invalidated {
		begun[i].Add(1)
		start := time.Now()
		if err := tr.InvalidateGroup(t.Context(), u, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		slowest, sum = max(slowest, took), sum+took
		dropped[i].Add(1)
	}
	done.Store(true)
	wg.Wait()
	before := total.Load()
	for n := range responses {
		get(n)
	}
	for n := range responses {
		want := int32(1)
		if n%groups < invalidated {
			want = 2
		}
		if got := asked[n].Load(); got < want || got > want+during[n].Load() {
			t.Fatalf("response %d was requested %d times, want %d, and at most %d times more", n, got, want, during[n].Load())
		}
	}
	t.Logf("%d requests during %d invalidations: %v each, %v at most", before-int64(responses), invalidated, sum/invalidated, slowest)
}

// grouped returns a Transport with a large DictCache, for an origin that has a response without content for each number. The
// response is in one of the groups, whose names are numbers, too. asked is called with each number that the origin is asked for.
func grouped(groups int, asked func(n int)) *cachecontrol.Transport {
	header := http.Header{"Cache-Control": {"max-age=600"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
	return &cachecontrol.Transport{
		Store: &storage.DictCache{MaxBytes: -1},
		Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			n, err := strconv.Atoi(req.URL.Path[1:])
			asked(n)
			return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(), Body: http.NoBody, Request: req}, err
		}),
		Groups: func(resp *http.Response) []string {
			n, _ := strconv.Atoi(resp.Request.URL.Path[1:])
			return []string{fmt.Sprint(n % groups)}
		},
	}
}

// getNumber requests the response for a number.
func getNumber(tr *cachecontrol.Transport, n int) error {
	req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "example.com", Path: fmt.Sprint("/", n)}, Header: http.Header{}}
	resp, err := tr.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// BenchmarkInvalidateGroup invalidates 1,000 of 10,000 groups of one origin, in turn, while 100,000 responses are stored.
func BenchmarkInvalidateGroup(b *testing.B) {
	const responses, groups, invalidated = 100_000, 10_000, 1_000
	tr := grouped(groups, func(int) {})
	defer tr.Close()
	for n := range responses {
		if err := getNumber(tr, n); err != nil {
			b.Fatal(err)
		}
	}
	u := &url.URL{Scheme: "http", Host: "example.com", Path: "/"}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := tr.InvalidateGroup(b.Context(), u, strconv.Itoa(i%invalidated)); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// Transport.List says what was invalidated with its group, and leaves out what was cleared.
func TestListOfInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60", `Cache-Groups: "a"`), ok("Cache-Control: max-age=60"))}
		defer tr.Close()
		listed := func(want string) {
			t.Helper()
			invalid := map[string]bool{}
			for l, err := range tr.List(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if path := strings.TrimPrefix(l.Entry.URL, "http://example.com"); path == "/a" || path == "/b" {
					invalid[path] = l.Invalid
				}
			}
			if got := fmt.Sprint(invalid); got != want {
				t.Errorf("List: URLs and whether they are invalid: %s, want %s", got, want)
			}
			time.Sleep(time.Second)
		}
		do(t, tr, "/a")
		do(t, tr, "/b")
		listed("map[/a:false /b:false]")
		if err := tr.InvalidateGroup(t.Context(), request(t, "/a").URL, "a"); err != nil {
			t.Fatal(err)
		}
		listed("map[/a:true /b:false]")
		if err := tr.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		listed("map[]")
	})
}
