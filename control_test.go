package cachecontrol_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func TestControl(t *testing.T) {
	type control = cachecontrol.Control
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "1"`
	confirmed := status(304, fresh, tag)
	shared := func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: true} }
	runScenarios(t, []scenario{
		{
			name: "the zero value changes nothing", origin: []reply{ok(fresh)},
			steps: []step{{control: &control{}, want: miss, storing: "max-age"}, {control: &control{}, want: hit}},
		},

		{
			name: "Bypass neither looks up nor stores", origin: []reply{ok(fresh)},
			steps: []step{
				{control: &control{Mode: cachecontrol.ModeBypass}, want: bypass, body: "#1"}, {want: miss, body: "#2"},
				{control: &control{Mode: cachecontrol.ModeBypass}, want: bypass, body: "#3", head: []string{"Cache-Control: max-age=60"}},
				{want: hit, body: "#2"},
				{do: "HEAD /", control: &control{Mode: cachecontrol.ModeBypass}, want: bypass}, {want: hit, body: "#2"},
			},
		}, {
			name: "an unsafe method that bypasses invalidates", origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {do: "PUT /", control: &control{Mode: cachecontrol.ModeBypass}, want: bypass}, {want: miss}},
		}, {
			name: "a POST that bypasses is not stored", origin: []reply{ok(fresh, "Content-Location: /")},
			steps: []step{{do: "POST /", control: &control{Mode: cachecontrol.ModeBypass}, want: bypass}, {want: miss}},
		},

		{
			name: "Refresh validates what is fresh", origin: []reply{ok(fresh, tag), confirmed},
			steps: []step{
				{want: miss}, {wait: 30 * time.Second, want: hit},
				{control: &control{Mode: cachecontrol.ModeRefresh}, want: revalidated, body: "#1", sent: []string{`If-None-Match: "1"`, "Cache-Control:", "Pragma:"}},
				{wait: 50 * time.Second, want: hit},
			},
		}, {
			name: "what cannot be validated is replaced", origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {control: &control{Mode: cachecontrol.ModeRefresh}, want: miss, body: "#2", storing: "max-age"}, {want: hit, body: "#2"}},
		}, {
			name: "immutable or not", origin: []reply{ok("Cache-Control: max-age=60, immutable")},
			steps: []step{{want: miss}, {control: &control{Mode: cachecontrol.ModeRefresh}, want: miss, body: "#2"}},
		}, {
			name: "Refresh where nothing is stored", origin: []reply{ok(fresh)},
			steps: []step{{control: &control{Mode: cachecontrol.ModeRefresh}, want: miss}, {want: hit}},
		}, {
			name: "Refresh wants no stale answer for an error", origin: []reply{ok(fresh+", stale-if-error=600", tag), status(503)},
			steps: []step{{want: miss}, {control: &control{Mode: cachecontrol.ModeRefresh}, want: miss, status: 503}},
		}, {
			name: "but as far as MaxStale goes", origin: []reply{ok(fresh, tag), down},
			steps: []step{
				{want: miss}, {control: &control{Mode: cachecontrol.ModeRefresh, MaxStale: time.Minute}, want: stale, body: "#1"},
				{wait: 2 * time.Minute, control: &control{Mode: cachecontrol.ModeRefresh, MaxStale: time.Minute}, want: stale, body: "#1"},
			},
		}, {
			name: "Refresh of a HEAD", origin: []reply{ok(fresh, tag), ok(fresh, tag)},
			steps: []step{{want: miss}, {do: "HEAD /", control: &control{Mode: cachecontrol.ModeRefresh}, want: miss, storing: "validated-by-head"}, {want: hit, body: "#1"}},
		},

		{
			name: "ModeCacheOnly", origin: []reply{ok(fresh, tag)},
			steps: []step{
				{control: &control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504, head: []string{"Content-Type: text/plain; charset=utf-8"}},
				{want: miss, body: "#1"},
				{control: &control{Mode: cachecontrol.ModeCacheOnly}, want: hit, body: "#1"},
				{do: "PUT /", control: &control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
				{with: []string{"Range: bytes=0-1, 3-4"}, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: hit, status: 206, body: "#1"},
				{with: []string{"Range: lines=0-1"}, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
				{with: []string{`If-Match: "2"`}, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
				{with: []string{`If-Match: "1"`}, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: hit, body: "#1"},
				{wait: time.Minute, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: miss, status: 504},
				{control: &control{Mode: cachecontrol.ModeCacheOnly, MaxStale: -1}, want: stale, body: "#1"},
				{want: miss, body: "#2"}, // the only other one that went out
			},
		},

		{
			name: "NoStore", origin: []reply{ok(fresh)},
			steps: []step{
				{control: &control{NoStore: true}, want: miss, body: "#1", storing: "request-no-store"}, {want: miss, body: "#2"},
				{control: &control{NoStore: true}, want: hit, body: "#2"},
			},
		}, {
			name: "NoStore and a 304", origin: []reply{ok(fresh, tag), confirmed},
			steps: []step{
				{want: miss}, {wait: time.Minute, control: &control{NoStore: true}, want: revalidated, body: "#1"},
				{want: revalidated, body: "#1", sent: []string{`If-None-Match: "1"`}}, {want: hit},
			},
		},

		{
			name: "MaxStale", origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss}, {wait: 70 * time.Second, control: &control{MaxStale: 10 * time.Second}, want: stale, body: "#1"},
				{wait: 1, control: &control{MaxStale: 10 * time.Second}, want: miss, body: "#2"},
			},
		}, {
			name: "MaxStale without an end", origin: []reply{ok(fresh)},
			steps: []step{{want: miss}, {wait: 100 * 365 * 24 * time.Hour, control: &control{MaxStale: -1}, want: stale, body: "#1"}},
		}, {
			name: "must-revalidate is above it", origin: []reply{ok(fresh + ", must-revalidate")},
			steps: []step{{want: miss}, {wait: time.Minute, control: &control{MaxStale: -1}, want: miss, body: "#2"}},
		}, {
			name: "no-cache is", origin: []reply{ok(fresh+", no-cache", tag)},
			steps: []step{{want: miss}, {control: &control{MaxStale: -1}, want: miss, body: "#2"}},
		}, {
			name: "in a shared cache s-maxage is", transport: shared(), origin: []reply{ok("Cache-Control: s-maxage=60")},
			steps: []step{{want: miss}, {wait: time.Minute, control: &control{MaxStale: -1}, want: miss, body: "#2"}},
		}, {
			name: "and the request's own header", origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss},
				{wait: 70 * time.Second, with: []string{"Cache-Control: max-stale=5"}, control: &control{MaxStale: -1}, want: miss, body: "#2"},
				{wait: 10 * time.Second, with: []string{"Cache-Control: max-age=5"}, control: &control{MaxStale: -1}, want: miss, body: "#3"},
				{with: []string{"Cache-Control: no-cache"}, control: &control{MaxStale: -1}, want: miss, body: "#4"},
			},
		}, {
			name: "where the response allows it too, it is refreshed", origin: []reply{ok(swr)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, control: &control{MaxStale: time.Hour}, want: stale, body: "#1"},
				{wait: time.Second, want: hit, body: "#2"},
			},
		}, {
			name: "but not for ModeCacheOnly or NoStore", origin: []reply{ok(swr)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, control: &control{Mode: cachecontrol.ModeCacheOnly}, want: stale, body: "#1"},
				{wait: time.Second, control: &control{NoStore: true}, want: stale, body: "#1"},
				{wait: time.Second, want: stale, body: "#1"}, {wait: time.Second, want: hit, body: "#2"},
			},
		},

		{
			name: "Lifetime for what is stored", origin: []reply{ok()},
			steps: []step{
				{control: &control{Lifetime: time.Hour}, want: miss, storing: "own-lifetime"}, {wait: 59 * time.Minute, want: hit, body: "#1"},
				{wait: time.Minute, want: miss, body: "#2", storing: "nothing-to-reuse"},
			},
		}, {
			name: "Lifetime for what is found, for that request", origin: []reply{ok(fresh, tag), status(304, tag)},
			steps: []step{
				{want: miss}, {wait: 30 * time.Second, control: &control{Lifetime: 30 * time.Second}, want: revalidated},
				{want: hit}, {wait: time.Hour, control: &control{Lifetime: 2 * time.Hour}, want: hit}, {want: revalidated},
			},
		}, {
			name: "shorter than what the response says", origin: []reply{ok(fresh)},
			steps: []step{{control: &control{Lifetime: 10 * time.Second}, want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name: "longer, but not past must-revalidate", origin: []reply{ok(fresh + ", must-revalidate")},
			steps: []step{
				{control: &control{Lifetime: time.Hour}, want: miss, storing: "max-age"}, {wait: 59 * time.Second, want: hit},
				{wait: time.Second, control: &control{Lifetime: time.Hour}, want: miss, body: "#2"},
			},
		}, {
			name: "must-revalidate without a lifetime of its own", origin: []reply{ok("Cache-Control: must-revalidate")},
			steps: []step{{control: &control{Lifetime: time.Hour}, want: miss}, {wait: 59 * time.Minute, want: hit}, {wait: time.Minute, want: miss}},
		}, {
			name: "no-cache is above it", origin: []reply{ok("Cache-Control: no-cache", tag)},
			steps: []step{{control: &control{Lifetime: time.Hour}, want: miss}, {control: &control{Lifetime: time.Hour}, want: miss}},
		}, {
			name: "no-store is", origin: []reply{ok("Cache-Control: no-store, max-age=60")},
			steps: []step{{control: &control{Lifetime: time.Hour}, want: miss, storing: "no-store"}, {want: miss}},
		}, {
			name: "it is no reason to store an error", origin: []reply{status(403)},
			steps: []step{{control: &control{Lifetime: time.Hour}, want: miss, storing: "not-cacheable"}, {want: miss}},
		}, {
			name: "a redirect that would be kept for ever", origin: []reply{status(301, "Location: /x")},
			steps: []step{{control: &control{Lifetime: time.Hour}, want: miss}, {wait: 59 * time.Minute, want: hit}, {wait: time.Minute, want: miss}},
		}, {
			name: "a 304 is judged anew", origin: []reply{ok(tag), status(304, tag)},
			steps: []step{
				{control: &control{Lifetime: time.Minute}, want: miss}, {wait: time.Minute, control: &control{Lifetime: time.Hour, Mode: cachecontrol.ModeRefresh}, want: revalidated},
				{wait: 59 * time.Minute, want: hit}, {wait: time.Minute, want: revalidated}, {want: revalidated},
			},
		}, {
			name: "the revalidation in the background carries it", origin: []reply{ok("Cache-Control: stale-while-revalidate=20"), ok()},
			steps: []step{
				{control: &control{Lifetime: 10 * time.Second}, want: miss}, {wait: 11 * time.Second, control: &control{Lifetime: 10 * time.Second}, want: stale, body: "#1"},
				{wait: 9 * time.Second, want: hit, body: "#2"},
			},
		}, {
			name: "Age counts", origin: []reply{ok("Age: 50")},
			steps: []step{{control: &control{Lifetime: time.Minute}, want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name: "of a part", origin: []reply{status(206, "Content-Range: bytes 0-1/9", `ETag: "1"`)},
			steps: []step{
				{with: []string{"Range: bytes=0-1"}, control: &control{Lifetime: time.Minute}, want: miss, storing: "own-lifetime"},
				{with: []string{"Range: bytes=0-1"}, want: hit, status: 206},
			},
		},

		{
			name: "Partition", origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss, body: "#1"}, {control: &control{Partition: "a"}, want: miss, body: "#2"},
				{control: &control{Partition: "b"}, want: miss, body: "#3"}, {want: hit, body: "#1"},
				{control: &control{Partition: "a"}, want: hit, body: "#2"}, {control: &control{Partition: "b"}, want: hit, body: "#3"},
			},
		}, {
			name: "invalidation stays in it", origin: []reply{ok(fresh)},
			steps: []step{
				{want: miss}, {control: &control{Partition: "a"}, want: miss}, {control: &control{Partition: "b"}, want: miss},
				{do: "PUT /", control: &control{Partition: "a"}, want: bypass},
				{want: hit}, {control: &control{Partition: "b"}, want: hit}, {control: &control{Partition: "a"}, want: miss},
			},
		}, {
			name: "variants, parts and HEAD within it", origin: []reply{ok(fresh, "Vary: X")},
			steps: []step{
				{with: []string{"X: 1"}, control: &control{Partition: "a"}, want: miss, body: "#1"},
				{with: []string{"X: 2"}, control: &control{Partition: "a"}, want: miss, body: "#2"},
				{with: []string{"X: 2"}, want: miss, body: "#3"}, {with: []string{"X: 1"}, want: miss, body: "#4"},
				{with: []string{"X: 1"}, control: &control{Partition: "a"}, want: hit, body: "#1"},
				{with: []string{"X: 2"}, control: &control{Partition: "a"}, want: hit, body: "#2"},
				{do: "HEAD /", with: []string{"X: 2"}, control: &control{Partition: "a"}, want: hit},
				{do: "HEAD /", with: []string{"X: 2"}, control: &control{Partition: "b"}, want: miss},
				{with: []string{"X: 1", "Range: bytes=1-1"}, control: &control{Partition: "a"}, want: hit, body: "1"},
			},
		},
	})
}

// The status names the Control that decided.
func TestControlReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=10", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		for _, tt := range []struct {
			wait    time.Duration
			control cachecontrol.Control
			want    string // the member of Cache-Status
		}{
			{0, cachecontrol.Control{Mode: cachecontrol.ModeBypass}, "cachecontrol;fwd=bypass;fwd-status=200;detail=bypass"},
			{0, cachecontrol.Control{Lifetime: 5 * time.Second}, "cachecontrol;hit;ttl=5;detail=own-lifetime"},
			{12 * time.Second, cachecontrol.Control{MaxStale: 5 * time.Second}, "cachecontrol;hit;ttl=-2;detail=allow-stale"},
			{0, cachecontrol.Control{Mode: cachecontrol.ModeCacheOnly}, "cachecontrol;detail=only-if-cached"},
			{0, cachecontrol.Control{Mode: cachecontrol.ModeRefresh}, "cachecontrol;fwd=request;fwd-status=200;stored;ttl=10;detail=refresh/max-age"},
		} {
			time.Sleep(tt.wait)
			a := send(t, tr, request(t, "/").WithContext(cachecontrol.WithControl(t.Context(), tt.control)))
			if got := a.Header.Get("Cache-Status"); got != tt.want {
				t.Errorf("%+v: %s, want %s", tt.control, got, tt.want)
			}
		}
	})
}

// A nested Control replaces the outer one, except that an empty Partition is inherited.
func TestWithControlNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60"))
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		get := func(ctx context.Context) answer { return send(t, tr, request(t, "/").WithContext(ctx)) }
		user := cachecontrol.WithControl(t.Context(), cachecontrol.Control{Partition: "a", Mode: cachecontrol.ModeRefresh})
		if a := get(user); a.outcome != miss {
			t.Errorf("the first: %v, want %v", a.outcome, miss)
		}
		if a := get(cachecontrol.WithControl(user, cachecontrol.Control{NoStore: true})); a.outcome != hit {
			t.Errorf("without Refresh: %v, want a hit in the partition", a.outcome)
		}
		if a := get(cachecontrol.WithControl(user, cachecontrol.Control{Partition: "b"})); a.outcome != miss {
			t.Errorf("in another partition: %v, want %v", a.outcome, miss)
		}
	})
}

// The keys of all partitions differ from each other, from URLs and from the keys without a partition.
func TestPartitionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		store := &hookedStore{Store: storage.NewDictCache(), before: func(_ context.Context, op, key string) error {
			if op == "Create" {
				keys = append(keys, key)
			}
			return nil
		}}
		user := ""
		tr := &cachecontrol.Transport{
			Base: replies(t, ok("Cache-Control: max-age=60")), Store: store,
			Partition: func(*http.Request) string { return user },
		}
		defer tr.Close()
		get := func(target, control string) string {
			req := request(t, target)
			if control != "" {
				req = req.WithContext(cachecontrol.WithControl(t.Context(), cachecontrol.Control{Partition: control}))
			}
			before := len(keys)
			if a := send(t, tr, req); a.outcome != miss || len(keys) != before+1 {
				t.Fatalf("%q in %q and %q: %v %v, want %v %v; Cache-Status: %v", target, user, control, a.outcome, len(keys), miss, before+1, a.Header["Cache-Status"])
			}
			return keys[before]
		}
		if key := get("/", ""); key != "http://example.com/" {
			t.Errorf("without a partition the key is %q, want %q", key, "http://example.com/")
		}
		names := []string{"a", "b", "ab", "0:", "1:a", "a#partition=", "#partial", "/", "http://example.com/", "\x00", "a\x00", strings.Repeat("x", 1<<16)}
		for _, user = range append(names, "") {
			for _, control := range append(names, "") {
				if user != "" || control != "" {
					key := get("/", control)
					if len(key) > 200 || strings.Count(key, "#") != 1 || !strings.HasPrefix(key, "http://example.com/#partition=") {
						t.Errorf("%q and %q: the key is %q, want a short one that begins with %q", user, control, key, "http://example.com/#partition=")
					}
				}
			}
		}
		// A server passes on text after a "#" in the request line. Such a request has no key.
		user = "a"
		mine := get("/?x", "")
		user = ""
		req := request(t, "/")
		req.URL.RawQuery = "x" + mine[strings.Index(mine, "#"):]
		for range 2 {
			if a := send(t, tr, req); a.outcome != bypass {
				t.Errorf("%s: %v, want %v", req.URL, a.outcome, bypass)
			}
		}
		req = request(t, "/")
		req.URL.Host = "example.com#partition=x"
		if a := send(t, tr, req); a.outcome != bypass {
			t.Errorf("host %q: %v, want %v", req.URL.Host, a.outcome, bypass)
		}
		slices.Sort(keys)
		if n := len(keys); len(slices.Compact(keys)) != n {
			t.Error("two requests have the same key, want different keys")
		}
	})
}

// One private Transport serves several users in separate partitions.
func TestTransportPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return respond(200, fmt.Sprintf("for %s, #%d", req.Header.Get("Authorization"), n), swr, "Content-Location: /")
		})
		tr := &cachecontrol.Transport{Base: o, Partition: func(req *http.Request) string { return req.Header.Get("Authorization") }}
		defer tr.Close()
		for i, st := range []struct {
			user, target, body string
			want               cachecontrol.Outcome
		}{
			{"a", "/", "for a, #1", miss}, {"b", "/", "for b, #2", miss}, {"", "/", "for , #3", miss},
			{"a", "/", "for a, #1", hit}, {"b", "/", "for b, #2", hit}, {"", "/", "for , #3", hit},
			{"a", "POST /", "for a, #4", bypass}, // stored as a response to GET, for its user
			{"a", "/", "for a, #4", hit}, {"b", "/", "for b, #2", hit},
			{"b", "DELETE /", "", bypass}, {"b", "/", "for b, #6", miss}, {"a", "/", "for a, #4", hit}, {"", "/", "for , #3", hit},
		} {
			a := do(t, tr, st.target, "Authorization: "+st.user)
			if a.outcome != st.want || st.body != "" && a.body != st.body {
				t.Errorf("step %d: %v %q, want %v %q", i+1, a.outcome, a.body, st.want, st.body)
			}
		}
		// In the background, too, each user's is refreshed by that user's request.
		time.Sleep(11 * time.Second)
		for range 2 {
			for _, user := range []string{"a", "b"} {
				if a := do(t, tr, "/", "Authorization: "+user); !strings.HasPrefix(a.body, "for "+user+",") {
					t.Errorf("%s got %q, want one that begins with %q", user, a.body, "for "+user+",")
				}
			}
			synctest.Wait()
		}
	})
}

func TestInvalidatePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: replies(t, ok("Cache-Control: max-age=60"))}
		defer tr.Close()
		a := cachecontrol.Control{Partition: "a"}
		get := func(name string, control *cachecontrol.Control, want cachecontrol.Outcome) {
			t.Helper()
			req := request(t, "/")
			if control != nil {
				req = req.WithContext(cachecontrol.WithControl(t.Context(), *control))
			}
			if got := send(t, tr, req).outcome; got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		get("a", &a, miss)
		get("no partition", nil, miss)
		if err := tr.Invalidate(cachecontrol.WithControl(t.Context(), a), request(t, "/").URL); err != nil {
			t.Fatal(err)
		}
		get("no partition", nil, hit)
		get("a", &a, miss)
	})
}

// If a partition is invalidated, a response that is being received for it is not stored. Other partitions are not
// affected.
func TestInvalidationOfPartitionWhileReceiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			return chunked(respond(200, "", "Cache-Control: max-age=60"), nil, "one", "two")
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		within := func(target, partition string) *http.Request {
			return request(t, target).WithContext(cachecontrol.WithControl(t.Context(), cachecontrol.Control{Partition: partition}))
		}
		var open [2]*http.Response
		for i, partition := range []string{"a", "b"} {
			resp, err := tr.RoundTrip(within("/", partition))
			if err != nil {
				t.Fatal(err)
			}
			open[i] = resp
		}
		send(t, tr, within("PUT /", "a"))
		for _, resp := range open {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if a := send(t, tr, within("/", "a")); a.outcome != miss {
			t.Errorf("in the partition: %v, want %v", a.outcome, miss)
		}
		if a := send(t, tr, within("/", "b")); a.outcome != hit {
			t.Errorf("in the other: %v, want %v", a.outcome, hit)
		}
	})
}

// If an unsafe method is cacheable, its validation in the background also invalidates the GET response in its
// partition.
func TestUnsafeInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Method == "POST" {
				return respond(200, "", swr)
			}
			return respond(200, "", "Cache-Control: max-age=600")
		})
		tr := &cachecontrol.Transport{Base: o, CacheableMethods: []string{"GET", "POST"}}
		defer tr.Close()
		a := &cachecontrol.Control{Partition: "a"}
		for i, st := range []step{
			{do: "POST /", control: a, want: miss}, {control: a, want: miss}, {want: miss},
			{wait: 11 * time.Second, do: "POST /", control: a, want: stale},
			{wait: time.Second, want: hit}, {control: a, want: miss},
		} {
			st.run(t, fmt.Sprintf("step %d", i+1), tr, o)
		}
	})
}

// A request with Refresh does not join a flight, because that was started earlier.
func TestRefreshDoesNotCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			<-letGo
			return respond(200, "", "Cache-Control: max-age=60")
		})
		tr := &cachecontrol.Transport{Base: o, Collapse: true}
		defer tr.Close()
		var all sync.WaitGroup
		for _, c := range []cachecontrol.Control{{}, {}, {Mode: cachecontrol.ModeRefresh}, {NoStore: true}, {Mode: cachecontrol.ModeBypass}, {Partition: "a"}} {
			all.Go(func() { send(t, tr, request(t, "/").WithContext(cachecontrol.WithControl(t.Context(), c))) })
		}
		synctest.Wait()
		close(letGo)
		all.Wait()
		if n := o.requests(); n != 5 {
			t.Errorf("%d requests for six, of which two could share one, want 5", n)
		}
	})
}

// No combination of Control fields overrides what the origin forbids, or sends a request that must not be sent.
func TestControlMatrix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, says := range []string{"no-store, max-age=60", "max-age=1, must-revalidate", "no-cache, max-age=60", "max-age=1", "max-age=60"} {
			for bits := range 1 << 5 {
				c := cachecontrol.Control{Mode: cachecontrol.Mode(bits % 4), NoStore: bits&4 != 0}
				if bits&8 != 0 {
					c.MaxStale = -1
				}
				if bits&16 != 0 {
					c.Lifetime = time.Hour
				}
				name := fmt.Sprintf("%s, %+v", says, c)
				o := replies(t, ok("Cache-Control: "+says, `ETag: "1"`), ok("Cache-Control: "+says, `ETag: "2"`))
				tr := &cachecontrol.Transport{Base: o}
				first := cachecontrol.StatusOf(do(t, tr, "/").Response)
				time.Sleep(2 * time.Second)
				a := send(t, tr, request(t, "/").WithContext(cachecontrol.WithControl(t.Context(), c)))
				s := cachecontrol.StatusOf(a.Response)
				asked := o.requests() == 2
				bypass, cacheOnly := c.Mode == cachecontrol.ModeBypass, c.Mode == cachecontrol.ModeCacheOnly
				switch {
				case cacheOnly && asked:
					t.Errorf("%s: the origin was asked, want no request", name)
				case a.StatusCode == 504 && (asked || !cacheOnly), a.StatusCode == 200 && asked == cachecontrol.FromCache(a.Response):
					t.Errorf("%s: origin asked: %v, Cache-Status %s, want these to agree", name, asked, a.Header["Cache-Status"])
				case (bypass || c.Mode == cachecontrol.ModeRefresh) && cachecontrol.FromCache(a.Response):
					t.Errorf("%s: FromCache = true, want false", name)
				case (bypass || c.NoStore || says == "no-store, max-age=60") && s.Stored:
					t.Errorf("%s: Stored = true, want false", name)
				case says != "max-age=1" && says != "max-age=60" && cachecontrol.FromCache(a.Response):
					t.Errorf("%s: FromCache = true, want false, because the origin forbids it", name)
				case first.Stored != (says != "no-store, max-age=60"):
					t.Errorf("%s: the first stored: %v, want %v", name, first.Stored, !first.Stored)
				case says == "max-age=1" && c == (cachecontrol.Control{MaxStale: -1}) && s.Reason != rules.AllowStale:
					t.Errorf("%s: reason %v, want %v", name, s.Reason, rules.AllowStale)
				}
				tr.Close()
			}
		}
	})
}
