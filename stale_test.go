package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

func TestStaleWhileRevalidate(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "stale at once, and fresh the next time",
			origin: []reply{ok(swr)},
			steps: []step{
				{want: miss}, {wait: 9 * time.Second, want: hit},
				{wait: 2 * time.Second, want: stale, body: "#1", head: []string{"Age: 11"}},
				{wait: time.Second, want: hit, body: "#2", head: []string{"Age: 1"}},
			},
		}, {
			name:   "with a validator",
			origin: []reply{ok(swr, `ETag: "a"`), status(304, swr, `ETag: "a"`)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, want: stale, body: "#1"},
				{wait: time.Second, want: hit, body: "#1", head: []string{"Age: 1"}},
			},
		}, {
			name:   "no longer than allowed",
			origin: []reply{ok(swr)},
			steps:  []step{{want: miss}, {wait: 31 * time.Second, want: miss, body: "#2"}},
		}, {
			name:   "must-revalidate is above it",
			origin: []reply{ok(swr + ", must-revalidate")},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, body: "#2"}},
		}, {
			name:   "a request that wants it fresh",
			origin: []reply{ok(swr)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2"}},
		}, {
			name:   "a request for a range, and one with a condition: the whole is refreshed",
			origin: []reply{ok(swr, `ETag: "a"`), ok(swr, `ETag: "b"`)},
			steps: []step{
				{want: miss}, {wait: 11 * time.Second, with: []string{"Range: bytes=1-"}, want: stale, status: 206, body: "1"},
				{wait: time.Second, want: hit, body: "#2"},
				{wait: 11 * time.Second, with: []string{`If-None-Match: "b"`}, want: stale, status: 304},
				{wait: time.Second, want: hit, body: "#3"},
			},
		}, {
			name:   "HEAD",
			origin: []reply{ok(swr, `ETag: "a"`)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, do: "HEAD /", want: stale}, {wait: time.Second, want: hit, body: "#1"}},
		},
	})
}

// Transport.StaleWhileRevalidate applies to responses without the directive. Control and BeforeReuse replace it.
func TestStaleWhileRevalidateByDefault(t *testing.T) {
	const fresh10 = "Cache-Control: max-age=10"
	with := func(change func(*cachecontrol.Transport)) *cachecontrol.Transport {
		tr := &cachecontrol.Transport{StaleWhileRevalidate: 20 * time.Second}
		change(tr)
		return tr
	}
	byDefault := func() *cachecontrol.Transport { return with(func(*cachecontrol.Transport) {}) }
	hook := func(d time.Duration, use cachecontrol.Reuse) func(*cachecontrol.Transport) {
		return func(tr *cachecontrol.Transport) {
			tr.BeforeReuse = func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
				return cachecontrol.ReuseDecision{Use: use, StaleWhileRevalidate: d}
			}
		}
	}
	control := func(d time.Duration) *cachecontrol.Control { return &cachecontrol.Control{StaleWhileRevalidate: d} }
	after := func(wait time.Duration, want cachecontrol.Outcome, c *cachecontrol.Control) []step {
		return []step{{want: miss}, {wait: wait, want: want, control: c}}
	}
	runScenarios(t, []scenario{
		{
			name: "stale at once, and fresh the next time", transport: byDefault(), origin: []reply{ok(fresh10)},
			steps: []step{
				{want: miss}, {wait: 30 * time.Second, want: stale, body: "#1", head: []string{"Cache-Status: cachecontrol;hit;ttl=-20;detail=stale-while-revalidate"}},
				{wait: time.Second, want: hit, body: "#2"},
			},
		},
		{name: "too late", transport: byDefault(), origin: []reply{ok(fresh10)}, steps: after(31*time.Second, miss, nil)},
		{name: "the response allows less", transport: byDefault(), origin: []reply{ok(fresh10 + ", stale-while-revalidate=1")}, steps: after(12*time.Second, miss, nil)},
		{name: "the response allows nothing", transport: byDefault(), origin: []reply{ok(fresh10 + ", stale-while-revalidate=0")}, steps: after(10*time.Second, miss, nil)},
		{name: "the response allows more", transport: byDefault(), origin: []reply{ok(fresh10 + ", stale-while-revalidate=60")}, steps: after(70*time.Second, stale, nil)},
		{name: "must-revalidate", transport: byDefault(), origin: []reply{ok(fresh10 + ", must-revalidate")}, steps: after(11*time.Second, miss, nil)},
		{name: "not a reason to store", transport: byDefault(), origin: []reply{ok()}, steps: after(0, miss, nil)},
		{name: "a stored response without freshness", transport: byDefault(), origin: []reply{ok(`ETag: "1"`)}, steps: after(20*time.Second, stale, nil)},
		{
			name: "a request that limits staleness", transport: byDefault(), origin: []reply{ok(fresh10)},
			steps: []step{{want: miss}, {wait: 12 * time.Second, with: []string{"Cache-Control: max-stale=1"}, want: miss}},
		},
		{
			name: "a part", transport: byDefault(), origin: []reply{status(206, "Content-Range: bytes 0-1/9", fresh10, `ETag: "1"`)},
			steps: []step{
				{with: []string{"Range: bytes=0-1"}, want: miss}, {wait: 12 * time.Second, with: []string{"Range: bytes=0-1"}, want: stale},
				{wait: time.Second, with: []string{"Range: bytes=0-1"}, want: hit},
			},
		},

		{name: "Control allows more", transport: byDefault(), origin: []reply{ok(fresh10)}, steps: after(40*time.Second, stale, control(30*time.Second))},
		{name: "Control allows less", transport: byDefault(), origin: []reply{ok(fresh10)}, steps: after(12*time.Second, miss, control(time.Second))},
		{name: "Control allows nothing", transport: byDefault(), origin: []reply{ok(fresh10)}, steps: after(12*time.Second, miss, control(-1))},
		{name: "Control allows nothing, the response does", origin: []reply{ok(swr)}, steps: after(12*time.Second, miss, control(-1))},
		{name: "Control alone", origin: []reply{ok(fresh10)}, steps: after(12*time.Second, stale, control(5*time.Second))},

		{name: "BeforeReuse allows more", transport: with(hook(30*time.Second, 0)), origin: []reply{ok(fresh10)}, steps: after(40*time.Second, stale, nil)},
		{name: "BeforeReuse allows nothing", transport: with(hook(-1, 0)), origin: []reply{ok(fresh10)}, steps: after(12*time.Second, miss, nil)},
		{name: "Control before BeforeReuse", transport: with(hook(-1, 0)), origin: []reply{ok(fresh10)}, steps: after(12*time.Second, stale, control(time.Minute))},
		{name: "ReuseValidate", transport: with(hook(time.Hour, cachecontrol.ReuseValidate)), origin: []reply{ok(fresh10)}, steps: after(12*time.Second, miss, nil)},
	})
}

func TestStaleIfError(t *testing.T) {
	sie := "Cache-Control: max-age=10, stale-if-error=60"
	for name, failure := range map[string]reply{"down": down, "500": status(500), "502": status(502), "503": status(503), "504": status(504)} {
		runScenarios(t, []scenario{
			{
				name:   "allowed by the response: " + name,
				origin: []reply{ok(sie), failure},
				steps:  []step{{want: miss}, {wait: 11 * time.Second, want: stale, status: 200, body: "#1"}},
			}, {
				name:   "allowed by the request: " + name,
				origin: []reply{ok("Cache-Control: max-age=10"), failure},
				steps:  []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: stale-if-error=60"}, want: stale, body: "#1"}},
			}, {
				name:      "allowed by the Transport: " + name,
				transport: &cachecontrol.Transport{StaleIfError: time.Minute},
				origin:    []reply{ok("Cache-Control: max-age=10"), failure},
				steps:     []step{{want: miss}, {wait: 11 * time.Second, want: stale, body: "#1"}},
			},
		})
	}
	runScenarios(t, []scenario{
		{
			name:   "other errors pass",
			origin: []reply{ok(sie), status(404), status(501)},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, status: 404}},
		}, {
			name:   "too late",
			origin: []reply{ok(sie), status(503)},
			steps:  []step{{want: miss}, {wait: 71 * time.Second, want: miss, status: 503}},
		}, {
			name:      "must-revalidate is above it",
			transport: &cachecontrol.Transport{StaleIfError: time.Hour},
			origin:    []reply{ok(sie + ", must-revalidate"), status(503)},
			steps:     []step{{want: miss}, {wait: 11 * time.Second, with: []string{"Cache-Control: stale-if-error=60"}, want: miss, status: 503}},
		}, {
			name:   "not allowed",
			origin: []reply{ok("Cache-Control: max-age=10"), status(503), ok("Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 11 * time.Second, want: miss, status: 503}, {want: miss, body: "#3"}},
		}, {
			name:   "an error does not take away what is stored",
			origin: []reply{ok(sie, `ETag: "a"`), status(503), status(304)},
			steps:  []step{{want: miss}, {wait: 100 * time.Second, want: miss, status: 503}, {want: revalidated, body: "#1"}},
		},
	})
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=10, must-revalidate"), down)
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(11 * time.Second)
		if resp, err := tr.RoundTrip(request(t, "/")); err == nil {
			t.Errorf("must-revalidate, and the origin is down: %v, want an error", resp)
		}
	})
}

// stale-while-revalidate applies as long as the response has not been stale for longer than it says, to the nanosecond
// (RFC 5861, section 3).
func TestStaleWhileRevalidateWindow(t *testing.T) {
	for _, shared := range []bool{true, false} {
		for _, tt := range []struct {
			after time.Duration
			want  cachecontrol.Outcome
		}{
			{10*time.Second - 1, hit},
			{10 * time.Second, stale},
			{14 * time.Second, stale},
			{14*time.Second + 1, revalidated},
			{time.Hour, revalidated},
		} {
			t.Run(fmt.Sprintf("%s/%v", mode(shared), tt.after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := replies(t, ok("Cache-Control: max-age=10, stale-while-revalidate=4", `ETag: "1"`),
						status(304, "Cache-Control: max-age=10", `ETag: "1"`))
					tr := &cachecontrol.Transport{Base: o, Shared: shared}
					defer tr.Close()
					do(t, tr, "/")
					time.Sleep(tt.after)
					if a := do(t, tr, "/"); a.outcome != tt.want || a.body != "#1" {
						t.Errorf("%v %q, want %v", a.outcome, a.body, tt.want)
					}
					synctest.Wait()
					n := 2
					if tt.want == hit {
						n = 1
					}
					wantRequests(t, o, n)
				})
			})
		}
	}
}

// The result of the validation in the background determines the answer to the next request. One validation runs at a
// time.
func TestStaleWhileRevalidateBrings(t *testing.T) {
	for _, shared := range []bool{true, false} {
		for _, tt := range []struct {
			name  string
			brief reply // the response to the validation
			want  cachecontrol.Outcome
			body  string
		}{
			{"304", status(304, "Cache-Control: max-age=10", `ETag: "1"`), hit, "#1"},
			{"a new one", ok("Cache-Control: max-age=10", `ETag: "2"`), hit, "#2"},
			{"a new one to be validated", ok("Cache-Control: no-cache", `ETag: "2"`), revalidated, "#2"},
			{"one not to be stored", ok("Cache-Control: no-store"), miss, "#3"},
			{"an error", status(500), stale, "#1"},
			{"nothing", down, stale, "#1"},
		} {
			t.Run(mode(shared)+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					third := ok("Cache-Control: no-store")
					if tt.want == revalidated {
						third = status(304, `ETag: "2"`)
					}
					o := replies(t, ok("Cache-Control: max-age=10, stale-while-revalidate=100", `ETag: "1"`), tt.brief, third)
					slow := o.handle
					o.handle = func(n int, req *http.Request) *http.Response {
						if n == 2 {
							time.Sleep(time.Second)
						}
						return slow(n, req)
					}
					tr := &cachecontrol.Transport{Base: o, Shared: shared}
					defer tr.Close()
					do(t, tr, "/")
					time.Sleep(12 * time.Second)
					for range 3 { // the validation takes a second
						step{want: stale, body: "#1"}.run(t, "meanwhile", tr, o)
						synctest.Wait()
						wantRequests(t, o, 2)
					}
					time.Sleep(2 * time.Second)
					step{want: tt.want, body: tt.body}.run(t, "then", tr, o)
				})
			})
		}
	}
}

// Directives that forbid stale responses override stale-while-revalidate (RFC 9111, section 4.2.4).
func TestStaleWhileRevalidateForbidden(t *testing.T) {
	for _, tt := range []struct {
		says            string
		shared, private cachecontrol.Outcome
	}{
		{"max-age=10, stale-while-revalidate=60", stale, stale},
		{"max-age=10, stale-while-revalidate=60, must-revalidate", miss, miss},
		{"max-age=10, stale-while-revalidate=60, proxy-revalidate", miss, stale},
		{"max-age=10, stale-while-revalidate=60, s-maxage=10", miss, stale},
		{"max-age=10, stale-while-revalidate=60, no-cache", miss, miss},
		{"max-age=10, stale-while-revalidate=-1", miss, miss},
		{"max-age=10, stale-while-revalidate", miss, miss},
	} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			transport, want := tr(), tt.private
			if transport.Shared {
				want = tt.shared
			}
			return []scenario{{tt.says, transport, []reply{ok("Cache-Control: " + tt.says)}, []step{
				{want: miss}, {wait: 12 * time.Second, want: want},
			}}}
		})
	}
}

// A stale response that is used because the origin failed does not wait for the body of the failure.
func TestSlowErrorBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, write := io.Pipe()
		defer write.Close()
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			if n == 1 {
				return respond(200, "body", "Cache-Control: max-age=1, stale-if-error=60")
			}
			resp := respond(503, "")
			resp.Body, resp.ContentLength = never, -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(10 * time.Second)
		if a := do(t, tr, "/"); a.outcome != cachecontrol.Stale || a.body != "body" {
			t.Errorf("%v %q, want the stale response", a.outcome, a.body)
		}
	})
}
