package cachecontrol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// keptAfter are the statuses that do not show whether the stored response is current. It is kept, and the caller gets
// the new response.
var keptAfter = []int{
	300, 302, 303, 305, 306, 307, 400, 401, 402, 403, 405, 406, 407, 408, 409, 411, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425,
	426, 428, 429, 451, 499, 500, 501, 502, 503, 504, 505, 511, 599,
}

// goneAfter are the statuses that show that the stored response is out of date.
var goneAfter = []int{200, 201, 202, 203, 204, 226, 299, 404, 410}

// The caller gets the response of the origin, with and without a validation. If that is not stored, the stored response
// is removed only if it is out of date.
func TestAnswersToValidation(t *testing.T) {
	const tag = `ETag: "a"`
	asks := []string{"Cache-Control: no-cache"}
	refresh := &cachecontrol.Control{Mode: cachecontrol.ModeRefresh}
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, code := range slices.Concat(keptAfter, goneAfter) {
			kept := slices.Contains(keptAfter, code)
			// The last step is answered by the stored response, which is still fresh, or by the origin.
			check := func(name string, first reply, steps ...step) {
				last := step{want: miss, body: "#3", status: 200}
				if kept {
					last = step{want: hit, body: "#1", status: 200}
				}
				all = append(all, scenario{fmt.Sprint(code, " ", name), tr(), []reply{first, status(code, "Location: /x", "Cache-Control: no-store"), ok("Cache-Control: max-age=60")},
					append(append([]step{{want: miss, body: "#1"}}, steps...), last)})
			}
			fresh := ok("Cache-Control: max-age=60", tag)
			check("validated", fresh, step{with: asks, want: miss, status: code, sent: []string{`If-None-Match: "a"`}})
			check("refreshed", fresh, step{control: refresh, want: miss, status: code})
			check("without a validator", ok("Cache-Control: max-age=60"), step{with: asks, want: miss, status: code})
			check("by date", ok("Cache-Control: max-age=60", "Last-Modified: {-1h}"), step{with: asks, want: miss, status: code})
			check("a condition of the caller's", fresh, step{with: append([]string{`If-None-Match: "b"`}, asks...), want: miss, status: code})
			if code != 206 && code != 416 {
				check("a range", fresh, step{with: append([]string{"Range: bytes=0-0"}, asks...), want: miss, status: code})
			}
			if code != 200 { // which updates the stored response
				check("HEAD", fresh, step{do: "HEAD /", with: asks, want: miss, status: code})
			}
		}
		return all
	})
}

// A request that the origin refuses because of what the cache has added to it is sent again without that: the caller, who set no
// condition, would have got the response without the cache. What the caller has set is not removed.
func TestValidationRefused(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	asks := []string{"Cache-Control: no-cache"}
	for _, code := range []int{412, 431} {
		name := func(s string) string { return fmt.Sprint(code, " ", s) }
		validates := func(s string, first reply, do string, fields []string, want step) scenario {
			want.do, want.with, want.want = do, append(fields, asks...), miss
			return scenario{name(s), nil, []reply{first, status(code), ok(fresh)}, []step{{want: miss}, want}}
		}
		again := step{status: 200, body: "#3", sent: []string{"If-None-Match:", "If-Modified-Since:"}}
		runScenarios(t, []scenario{
			validates("by tag", ok(fresh, tag), "/", nil, again),
			validates("by date", ok(fresh, "Last-Modified: {-1h}"), "/", nil, again),
			validates("a range", ok(fresh, tag), "/", []string{"Range: bytes=0-0"}, again),
			validates("HEAD", ok(fresh, tag), "HEAD /", nil, step{status: 200, sent: again.sent}),
			validates("no validator", ok(fresh), "/", nil, step{status: code}),
			validates("the caller's condition", ok(fresh, tag), "/", []string{`If-None-Match: "b"`}, step{status: code}),
			{
				name("the rest of a part"), nil,
				[]reply{{status: 206, body: "01", fields: []string{tag, fresh, "Content-Range: bytes 0-1/4"}}, status(code), ok(fresh)},
				[]step{{with: []string{"Range: bytes=0-1"}, want: miss}, {want: miss, status: 200, body: "#3", sent: []string{"Range:", "If-Range:"}}, {want: hit, body: "#3"}},
			}, {
				name("in the background"), nil, []reply{ok("Cache-Control: max-age=1, stale-while-revalidate=3600", tag), status(code), ok(fresh)},
				[]step{{want: miss}, {wait: time.Minute, want: stale, body: "#1"}, {wait: time.Second, want: hit, body: "#3"}},
			}, {
				name("also without it"), nil, []reply{ok(fresh, tag), status(code)}, []step{{want: miss}, {with: asks, want: miss, status: code}, {want: hit, body: "#1"}},
			},
		})
	}
}

// Once the origin works again, the stored response is validated, and no body is fetched twice.
func TestValidationAfterRefusal(t *testing.T) {
	for _, code := range keptAfter {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok("Cache-Control: max-age=1", `ETag: "a"`), status(code), status(304, "Cache-Control: max-age=60")},
			[]step{
				{want: miss}, {wait: time.Minute, want: miss, status: code},
				{want: revalidated, body: "#1", sent: []string{`If-None-Match: "a"`}}, {want: hit, body: "#1"},
			},
		}})
	}
}

// In the background the responses have the same effect on the store.
func TestAnswersToValidationInBackground(t *testing.T) {
	for _, code := range slices.Concat(keptAfter, goneAfter) {
		last := step{want: miss, body: "#3"}
		if slices.Contains(keptAfter, code) {
			last = step{want: stale, body: "#1"}
		}
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil,
			[]reply{ok("Cache-Control: max-age=1, stale-while-revalidate=3600", `ETag: "a"`), status(code, "Cache-Control: no-store"), ok("Cache-Control: max-age=60")},
			[]step{{want: miss}, {wait: time.Minute, want: stale, body: "#1"}, func() step { last.wait = time.Second; return last }()},
		}})
	}
}

// Of several variants, only the selected one is affected.
func TestAnswersToValidationOfVariants(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	a, b := []string{"A: 1"}, []string{"A: 2"}
	asks := append([]string{"Cache-Control: no-cache"}, b...)
	for code, want := range map[int]cachecontrol.Outcome{403: hit, 429: hit, 302: hit, 404: miss, 410: miss, 200: miss} {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok(fresh, "Vary: A"), ok(fresh, "Vary: A"), status(code, "Cache-Control: no-store", "Vary: A"), ok("Vary: A")},
			[]step{{with: a, want: miss}, {with: b, want: miss}, {with: asks, want: miss, status: code}, {with: a, want: hit, body: "#1"}, {with: b, want: want}},
		}})
	}
}

// A response that may be stored replaces the stored one.
func TestStorableAnswersToValidation(t *testing.T) {
	for _, code := range []int{203, 301, 302, 308, 403, 404, 410, 500} {
		runScenarios(t, []scenario{{
			fmt.Sprint(code), nil, []reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(code, "Cache-Control: max-age=60", "Location: /x")},
			[]step{{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: miss, status: code}, {want: hit, status: code, body: "#2"}},
		}})
	}
}

// A response that BeforeReuse refuses is removed once the origin has sent another one, even if that is not stored.
func TestRefusedAndReplaced(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	never := func(refuse bool) *cachecontrol.Transport {
		n := 0
		tr := &cachecontrol.Transport{BeforeReuse: func(*http.Request, cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			if n++; n == 1 {
				return cachecontrol.ReuseDecision{Use: cachecontrol.ReuseNever}
			}
			return cachecontrol.ReuseDecision{}
		}}
		if refuse {
			tr.BeforeStore = func(resp *http.Response, _ cachecontrol.RuleDecision) cachecontrol.StoreDecision {
				return cachecontrol.StoreDecision{Refuse: resp.Header.Get("X-Keep") == "no"}
			}
		}
		return tr
	}
	part := []string{"Range: bytes=0-1"}
	partial := func(fields ...string) reply {
		return reply{status: 206, body: "ab", fields: append(fields, "Content-Range: bytes 0-1/9", tag)}
	}
	all := []scenario{
		{"no-store", never(false), []reply{ok(fresh, tag), ok("Cache-Control: no-store"), ok()}, []step{
			{want: miss}, {want: miss, body: "#2", sent: []string{"If-None-Match:"}}, {want: miss, body: "#3"},
		}},
		{"refused", never(true), []reply{ok(fresh, tag), ok(fresh, "X-Keep: no"), ok()}, []step{
			{want: miss}, {want: miss, body: "#2", storing: "store-refused"}, {want: miss, body: "#3"},
		}},
		{"nothing to reuse", never(false), []reply{ok(fresh, tag), ok(), ok()}, []step{{want: miss}, {want: miss, body: "#2"}, {want: miss, body: "#3"}}},
		{"HEAD of another", never(false), []reply{ok(fresh, tag), ok("Cache-Control: no-store", `ETag: "b"`), ok()}, []step{
			{want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"},
		}},
		{"HEAD of none", never(false), []reply{ok(fresh, tag), status(404), ok()}, []step{{want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"}}},
		{"HEAD of the same", never(false), []reply{ok(fresh, tag), ok(fresh, tag)}, []step{{want: miss}, {do: "HEAD /", want: miss}, {want: hit, body: "#1"}}},
		{"a part of the same", never(false), []reply{ok(fresh, tag), {status: 206, body: "#1", fields: []string{fresh, "Content-Range: bytes 0-1/2", tag}}},
			[]step{{want: miss}, {with: part, want: miss}, {want: hit, body: "#1"}}},
		{"404", never(false), []reply{ok(fresh, tag), status(404), ok()}, []step{{want: miss}, {want: miss, status: 404}, {want: miss, body: "#3"}}},
		{"403", never(false), []reply{ok(fresh, tag), status(403)}, []step{{want: miss}, {want: miss, status: 403}, {want: hit, body: "#1"}}},
		{"503", never(false), []reply{ok(fresh, tag), status(503)}, []step{{want: miss}, {want: miss, status: 503}, {want: hit, body: "#1"}}},
		{"a variant", never(false), []reply{ok(fresh, "Vary: A"), ok("Cache-Control: no-store", "Vary: A"), ok()}, []step{
			{with: []string{"A: 1"}, want: miss}, {with: []string{"A: 1"}, want: miss}, {with: []string{"A: 1"}, want: miss},
		}},
		{"a part", never(false), []reply{partial(fresh), partial("Cache-Control: no-store"), partial()}, []step{
			{with: part, want: miss, status: 206}, {with: part, want: miss, status: 206}, {with: part, want: miss, status: 206},
		}},
		{"a part, and then the whole", never(false), []reply{partial(fresh), ok("Cache-Control: no-store"), partial()}, []step{
			{with: part, want: miss, status: 206}, {want: miss, body: "#2"}, {with: part, want: miss, status: 206},
		}},
		// The 304 is about another response, so that the request is made once more.
		{"a 304 that does not match", nil, []reply{ok(fresh, tag), status(304, `ETag: "b"`), ok("Cache-Control: no-store"), ok()}, []step{
			{want: miss}, {with: []string{"Cache-Control: no-cache"}, want: miss, body: "#3"}, {want: miss, body: "#4"},
		}},
	}
	for _, collapse := range []bool{false, true} {
		for _, control := range []cachecontrol.Control{{Mode: cachecontrol.ModeRefresh}, {Mode: cachecontrol.ModeRefresh, MaxStale: -1}} {
			for name, second := range map[string]reply{"no-store": ok("Cache-Control: no-store"), "refused": ok(fresh, "X-Keep: no"), "410": status(410)} {
				tr := never(true)
				tr.BeforeReuse, tr.Collapse = nil, collapse
				all = append(all, scenario{fmt.Sprint("Refresh, ", name, collapse, control.MaxStale), tr, []reply{ok(fresh, tag), second, ok()},
					[]step{{want: miss}, {control: &control, want: miss, body: "#2"}, {want: miss, body: "#3"}}})
			}
		}
	}
	runScenarios(t, all)
}

// Fields of a 304 that describe its own, empty content do not change the stored response.
func TestFieldsOfA304(t *testing.T) {
	stored := []string{`ETag: "a"`, "Content-Type: text/plain", "Content-Length: 2", "Content-Encoding: identity"}
	for name, fields := range map[string][]string{
		"Content-Length: 0":    {"Content-Length: 0"},
		"Content-Encoding":     {"Content-Encoding: gzip"},
		"Content-Range":        {"Content-Range: bytes 0-0/1"},
		"without Content-Type": nil,
	} {
		runScenarios(t, []scenario{{
			name:   name,
			origin: []reply{ok(stored...), status(304, append([]string{`ETag: "a"`, "Cache-Control: max-age=60"}, fields...)...)},
			steps: []step{
				{want: miss},
				{want: revalidated, status: 200, body: "#1", head: append(stored, "Content-Range:")},
				{want: hit, status: 200, body: "#1", head: append(stored, "Content-Range:")},
			},
		}})
	}
}

// A directive that a 304 lacks is removed.
func TestWithdrawnDirective(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name: "max-age",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10, must-revalidate"),
				status(304, `ETag: "a"`, "Cache-Control: no-cache"),
			},
			steps: []step{
				{want: miss}, {want: hit}, {wait: 10 * time.Second, want: revalidated, head: []string{"Cache-Control: no-cache"}},
				{want: revalidated, body: "#1"},
			},
		}, {
			name: "one of several lines",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10", "Cache-Control: stale-if-error=1000"),
				status(304, `ETag: "a"`, "Cache-Control: max-age=10, must-revalidate"), status(503),
			},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, want: revalidated, head: []string{"Cache-Control: max-age=10, must-revalidate"}},
				{wait: 10 * time.Second, want: miss, status: 503},
			},
		}, {
			name: "leave to store it at all",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10"), status(304, `ETag: "a"`, "Cache-Control: no-store"),
				ok("Cache-Control: max-age=10"),
			},
			steps: []step{{want: miss}, {wait: 10 * time.Second, want: revalidated, body: "#1"}, {want: miss, body: "#3", sent: []string{"If-None-Match:"}}},
		},
	})
}

// If the entry is deleted during its validation, a 304 is still answered with the response that was read before.
func TestEntryDeletedDuringItsValidation(t *testing.T) {
	for name, store := range allStores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(t, func(n int, req *http.Request) *http.Response {
					if req.Header.Get("If-None-Match") == "" {
						return respond(200, strings.Repeat("body", 50000), `ETag: "a"`)
					}
					if err := store.Delete(t.Context(), "http://example.com/"); err != nil {
						t.Error(err)
					}
					return respond(304, "", `ETag: "a"`)
				})
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				do(t, tr, "/")
				a := do(t, tr, "/")
				if a.StatusCode != 200 || a.body != strings.Repeat("body", 50000) || a.outcome != revalidated {
					t.Errorf("%d, %d bytes, %v, want 200, 200000 bytes, %v", a.StatusCode, len(a.body), a.outcome, revalidated)
				}
				if a = do(t, tr, "/"); a.outcome != miss || o.last().Header.Get("If-None-Match") != "" {
					t.Errorf("afterwards: %v %q, want %v %q", a.outcome, o.last().Header.Get("If-None-Match"), miss, "")
				}
			})
		})
	}
}

// The cache reads and closes the body of a 304 that the caller does not get, so that its connection can be used again.
func TestBodyOfA304IsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("If-None-Match") == "" {
				return respond(200, "body", `ETag: "a"`)
			}
			return respond(304, "a body that should not be there", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		resp := open(t, tr, request(t, "/"))
		if b := o.bodies[1]; !b.eof || b.closed == 0 {
			t.Errorf("read to its end: %v, closed: %d times, want true, some", b.eof, b.closed)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "body" {
			t.Errorf("%q, want %q", string(b), "body")
		}
		resp.Body.Close()
	})
}

// The header and body after a validation belong to the caller, also while other requests validate the same response.
func TestValidatedResponseIsNotShared(t *testing.T) {
	for name, store := range allStores(t) {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(n int, req *http.Request) *http.Response {
				tag := `"` + req.URL.Path + `"`
				fields := []string{"Cache-Control: no-cache", "ETag: " + tag, "X-Answer: " + strconv.Itoa(n)}
				if req.Header.Get("If-None-Match") == tag {
					return respond(304, "", fields...)
				}
				return respond(200, req.URL.Path, append(fields, "X-Kept: "+req.URL.Path)...)
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			for i := range 4 {
				do(t, tr, fmt.Sprintf("/%d", i))
			}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					check := func(path string, resp *http.Response) {
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						h := resp.Header
						if err != nil || string(body) != path || h.Get("Etag") != `"`+path+`"` || h.Get("X-Kept") != path {
							t.Errorf("%s: %v %q %q %q, want %v %q %q %q; %v", path, err, string(body), h.Get("Etag"), h.Get("X-Kept"), nil, path, `"`+path+`"`, path, h)
						}
						if s := cachecontrol.StatusOf(resp); s.Outcome != revalidated {
							t.Errorf("%s: %v, want %v", path, s.Outcome, revalidated)
						}
						for _, lines := range h {
							lines[0] = "changed"
						}
						clear(h)
					}
					var lastPath string
					var last *http.Response
					for i := range 100 {
						path := fmt.Sprintf("/%d", i%4)
						resp := open(t, tr, request(t, path))
						if last != nil {
							check(lastPath, last)
						}
						lastPath, last = path, resp
					}
					check(lastPath, last)
				})
			}
			all.Wait()
		})
	}
}

// A validation does not change a stored response that a program has been given.
func TestValidationChangesNothingSeen(t *testing.T) {
	var seen []http.Header
	tr := &cachecontrol.Transport{
		Base: replies(t, ok("Cache-Control: no-cache", `ETag: "1"`, "X-Kept: 1", "X-New: 1"),
			status(304, "Cache-Control: no-cache", `ETag: "1"`, "X-New: 2", "X-New: 3"), status(304, `ETag: "1"`, "X-New: 4")),
		BeforeReuse: func(_ *http.Request, stored cachecontrol.StoredResponse) cachecontrol.ReuseDecision {
			seen = append(seen, stored.Header)
			return cachecontrol.ReuseDecision{}
		},
	}
	defer tr.Close()
	for range 4 {
		do(t, tr, "/")
	}
	for i, want := range [][]string{{"1"}, {"2", "3"}, {"4"}} {
		if h := seen[i]; !slices.Equal(h["X-New"], want) || h.Get("X-Kept") != "1" || h.Get("Etag") != `"1"` {
			t.Errorf("at request %d what was stored said %q, and now %v", i+2, want, h)
		}
	}
}

// A response with Last-Modified is stored for validation, as one with an ETag is. TimePriority turns both off.
func TestValidatorAlone(t *testing.T) {
	const modified = "Fri, 31 Dec 1999 14:00:00 GMT"
	dated, tagged := "Last-Modified: "+modified, `ETag: W/"a"`
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		priority := func() *cachecontrol.Transport {
			t := tr()
			t.TimePriority = true
			return t
		}
		var all []scenario
		for _, fields := range [][]string{{dated}, {tagged}, {dated, tagged}} {
			name := strings.Join(fields, ", ")
			all = append(all,
				scenario{name, tr(), []reply{ok(fields...), status(304)}, []step{
					{want: miss, storing: "validator"}, {want: revalidated, body: "#1"}, {wait: 13 * 24 * time.Hour, want: revalidated, body: "#1"},
				}},
				scenario{name + ", TimePriority", priority(), []reply{ok(fields...)}, []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss, body: "#2"}}},
				scenario{name + ", TimePriority and a lifetime", priority(), []reply{ok(append(fields, "Cache-Control: max-age=1")...), status(304)}, []step{
					{want: miss, storing: "max-age"}, {wait: time.Minute, want: revalidated, body: "#1"},
				}},
				scenario{name + ", 404", tr(), []reply{status(404, fields...), status(304)}, []step{{want: miss, storing: "validator"}, {want: revalidated, status: 404, body: "#1"}}},
				scenario{name + ", 302", tr(), []reply{status(302, fields...)}, []step{{want: miss, storing: "not-cacheable"}, {want: miss}}},
				scenario{name + ", no-store", tr(), []reply{ok(append(fields, "Cache-Control: no-store")...)}, []step{{want: miss, storing: "no-store"}, {want: miss}}},
			)
		}
		return append(all,
			scenario{"the request says since when", tr(), []reply{ok(dated), status(304)}, []step{
				{want: miss}, {want: revalidated, sent: []string{"If-Modified-Since: " + modified, "If-None-Match:"}},
			}},
			scenario{"modified", tr(), []reply{ok(dated), ok("Last-Modified: {0s}"), status(304)}, []step{
				{want: miss}, {want: miss, body: "#2"}, {want: revalidated, body: "#2"},
			}},
			scenario{"a date that is none", tr(), []reply{ok("Last-Modified: yesterday")}, []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss}}},
			scenario{"a part", tr(), []reply{{status: 206, body: "ab", fields: []string{dated, "Content-Range: bytes 0-1/9"}}}, []step{
				{with: []string{"Range: bytes=0-1"}, want: miss, status: 206, storing: "validator"},
			}},
		)
	})
}

// Files of http.FileServer are sent once, because their Last-Modified is validated.
func TestFileServer(t *testing.T) {
	var sent atomic.Int64
	files := http.FileServerFS(fstest.MapFS{"file": {Data: make([]byte, 1<<20), ModTime: time.Now().Add(-time.Hour)}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(&countingResponse{w, &sent}, r)
	}))
	defer server.Close()
	for name, store := range allStores(t) {
		sent.Store(0)
		base := server.Client().Transport
		tr := &cachecontrol.Transport{Base: base, Store: store}
		for range 5 {
			resp, err := tr.Client().Get(server.URL + "/file")
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != 1<<20 || err != nil {
				t.Fatalf("%s: %d bytes, %v, want %d", name, n, err, 1<<20)
			}
		}
		if got := sent.Load(); got != 1<<20 {
			t.Errorf("%s: %d bytes were sent for five requests, want %d", name, got, 1<<20)
		}
		tr.Close()
	}
}

type countingResponse struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w *countingResponse) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

func TestETags(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "equal priority: an ETag alone is reason enough to store, and to ask each time",
			origin: []reply{ok(`ETag: "a"`, "X-Of: 1"), status(304, `ETag: "a"`, "X-Of: 2")},
			steps: []step{
				{want: miss, storing: "validator", sent: []string{"If-None-Match:"}},
				{want: revalidated, body: "#1", status: 200, sent: []string{`If-None-Match: "a"`},
					head: []string{"X-Of: 2", "X-From-Cache: 1"}},
				{want: revalidated, body: "#1"},
			},
		}, {
			name:      "time priority: an ETag alone is none",
			transport: &cachecontrol.Transport{TimePriority: true},
			origin:    []reply{ok(`ETag: "a"`)},
			steps:     []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss, body: "#2", sent: []string{"If-None-Match:"}}},
		}, {
			name:      "time priority: an ETag beside a lifetime is asked about when that is over",
			transport: &cachecontrol.Transport{TimePriority: true},
			origin:    []reply{ok(`ETag: "a"`, "Cache-Control: max-age=10"), status(304, "Cache-Control: max-age=20")},
			steps: []step{
				{want: miss}, {want: hit},
				{wait: 10 * time.Second, want: revalidated, body: "#1", sent: []string{`If-None-Match: "a"`}},
				{wait: 19 * time.Second, want: hit, body: "#1"},
			},
		}, {
			name:   "a changed ETag replaces what is stored",
			origin: []reply{ok(`ETag: "a"`), ok(`ETag: "b"`), status(304)},
			steps: []step{
				{want: miss}, {want: miss, body: "#2", sent: []string{`If-None-Match: "a"`}},
				{want: revalidated, body: "#2", sent: []string{`If-None-Match: "b"`}},
			},
		}, {
			name:   "an ETag without quotes is sent back as it came",
			origin: []reply{ok("ETag: JAsUYM8K", "Cache-Control: max-age=3000"), status(304, "ETag: JAsUYM8K")},
			steps: []step{
				{want: miss},
				{wait: 3000 * time.Second, want: revalidated, body: "#1", sent: []string{"If-None-Match: JAsUYM8K"}},
			},
		}, {
			name:   "both validators are sent",
			origin: []reply{ok(`ETag: "a"`, "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT"), status(304)},
			steps: []step{
				{want: miss},
				{want: revalidated, sent: []string{`If-None-Match: "a"`, "If-Modified-Since: Tue, 15 Nov 1994 12:45:26 GMT"}},
			},
		}, {
			name:   "a request with no-cache is validated, not sent bare",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=60"), status(304)},
			steps: []step{
				{want: miss},
				{want: revalidated, with: []string{"Cache-Control: no-cache"}, body: "#1", sent: []string{`If-None-Match: "a"`}},
			},
		}, {
			name:   "no-store is above an ETag",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: miss, sent: []string{"If-None-Match:"}}},
		}, {
			name: "a 304 brings new fields and a new lifetime, but no Content-Length",
			origin: []reply{
				ok(`ETag: "a"`, "Cache-Control: max-age=10", "Content-Length: 2", "X-A: old", "X-B: old"),
				status(304, `ETag: "a"`, "Cache-Control: max-age=100", "Content-Length: 0", "X-A: new", "X-C: new"),
			},
			steps: []step{
				{want: miss},
				{wait: 10 * time.Second, want: revalidated, body: "#1", head: []string{"X-A: new", "X-B: old", "X-C: new", "Content-Length: 2", "Age: 0"}},
				{wait: 99 * time.Second, want: hit, body: "#1", head: []string{"X-A: new", "X-B: old", "X-C: new", "Content-Length: 2", "Age: 99"}},
			},
		},
	})
}

// An http.Transport may fail a validation because another request was canceled: a 304 has no body, so its connection
// may belong to another request before the response is returned. The validation is then sent again.
func TestValidationCancelledByAnother(t *testing.T) {
	refused := errors.New("refused")
	for _, test := range []struct {
		name, method string
		errs         []error // of the requests after the first
		cancels      bool    // the caller does
		asked        int     // how many requests there are after the first
		want         error
	}{
		{"once", "GET", []error{context.Canceled, nil}, false, 2, nil},
		{"another error", "GET", []error{refused, nil}, false, 1, refused},
		{"and again", "GET", []error{context.Canceled, context.Canceled, nil}, false, 2, context.Canceled},
		{"the caller's own", "GET", []error{context.Canceled, nil}, true, 1, context.Canceled},
		{"an unsafe method", "POST", []error{context.Canceled, nil}, false, 1, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := -1
			tr := &cachecontrol.Transport{
				CacheableMethods: []string{"GET", "POST"},
				Base: roundTripper(func(req *http.Request) (*http.Response, error) {
					if asked++; asked > 0 && test.errs[asked-1] != nil {
						if test.cancels {
							cancel()
						}
						return nil, test.errs[asked-1]
					}
					if validates := req.Header["If-None-Match"] != nil; validates {
						t.Errorf("request %d has If-None-Match %q, want none", asked, req.Header["If-None-Match"])
					}
					return respond(200, "body", "Cache-Control: no-cache", `ETag: "1"`), nil
				}),
			}
			defer tr.Close()
			do(t, tr, test.method+" /")
			resp, err := tr.RoundTrip(request(t, test.method+" /").WithContext(ctx))
			if !errors.Is(err, test.want) || asked != test.asked {
				t.Errorf("%v after %d requests, want %v after %d", err, asked, test.want, test.asked)
			}
			if err == nil {
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "body" {
					t.Errorf("%v %q, want %v %q", err, string(body), nil, "body")
				}
				resp.Body.Close()
			}
		})
	}
}

// A 304 updates the header that is returned and stored, also if the tag lacks its quotes.
func TestValidatorsUnquoted(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, v := range []struct{ stored, sent string }{
			{"ETag: ABC", "If-None-Match: ABC"},
			{`ETag: W/"ABC"`, `If-None-Match: W/"ABC"`},
			{"Last-Modified: Fri, 31 Dec 1999 23:00:00 GMT", "If-Modified-Since: Fri, 31 Dec 1999 23:00:00 GMT"},
		} {
			all = append(all, scenario{v.stored, tr(),
				[]reply{
					ok("Expires: {-1h}", v.stored, "X-Test: A"),
					status(304, "Expires: {-1h}", v.stored, "X-Test: B"),
					status(304, "Expires: {1h}", v.stored, "X-Test: C"),
				},
				[]step{
					{want: miss},
					{want: revalidated, body: "#1", sent: []string{v.sent}, head: []string{"X-Test: B"}},
					{want: revalidated, body: "#1", sent: []string{v.sent}, head: []string{"X-Test: C"}},
					{want: hit, body: "#1", head: []string{"X-Test: C"}},
				},
			})
		}
		return all
	})
}

// Entity tags are compared byte by byte, beyond ASCII too (RFC 9110, section 8.8.3).
func TestETagBeyondASCII(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		return []scenario{{"obs-text", tr(), []reply{ok("Cache-Control: max-age=60", "ETag: \"\xfc\"")}, []step{
			{want: miss},
			{with: []string{"If-None-Match: \"\xfc\""}, want: hit, status: 304, head: []string{"ETag: \"\xfc\""}},
			{with: []string{"If-None-Match: \"\xc3\xbc\""}, want: hit, status: 200},
		}}}
	})
}

// A 304 with a body, followed by another response, only updates the stored response.
func TestMalformedValidation(t *testing.T) {
	u := rawServer(t, func(c net.Conn, n int, req *http.Request) bool {
		switch {
		case n == 1:
			io.WriteString(c, "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nETag: \"1\"\r\nContent-Length: 4\r\n\r\nbody")
		case req.Header.Get("If-None-Match") != "":
			io.WriteString(c, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 60\r\n\r\n"+
				"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil")
		}
		return true
	})
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := &cachecontrol.Transport{Base: base}
	defer tr.Close()
	for i := range 5 {
		a := do(t, tr, u)
		if want := []cachecontrol.Outcome{miss, revalidated}[min(i, 1)]; a.body != "body" || a.outcome != want {
			t.Errorf("request %d: %q %v, want %q %v", i+1, a.body, a.outcome, "body", want)
		}
		// It depends on net/http whether the surplus bytes are noticed before the connection is used again.
		base.CloseIdleConnections()
	}
}

// The short body of a failure is read if a stored response is returned in its place, so that its connection can be used
// again.
func TestHiddenFailuresKeepConnections(t *testing.T) {
	var failing atomic.Bool
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("ETag", `"1"`)
		if failing.Load() {
			w.WriteHeader(503)
			io.WriteString(w, strings.Repeat("x", 10_000))
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := &cachecontrol.Transport{Base: base, StaleIfError: time.Hour}
	defer tr.Close()
	do(t, tr, server.URL)
	failing.Store(true)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		send(t, tr, request(t, server.URL).WithContext(ctx))
		cancel()
	}
	if n := conns.Load(); n > 5 {
		t.Errorf("21 requests took %d connections, want few", n)
	}
}

// A Cache-Status of the origin that no-cache names does not take the place of the cache's own.
func TestNoCacheNamesCacheStatus(t *testing.T) {
	runScenarios(t, []scenario{{
		origin: []reply{ok(`Cache-Control: max-age=1, no-cache="cache-status"`, "Cache-Status: other; hit", `ETag: "a"`), status(304)},
		steps:  []step{{want: miss}, {wait: time.Minute, want: revalidated, body: "#1"}},
	}})
}

// A HEAD whose status is that of the stored response leaves it.
func TestHeadWithTheStoredStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &cachecontrol.Transport{Base: replies(t, status(404, "Cache-Control: max-age=60"))}
		defer tr.Close()
		do(t, tr, "/")
		do(t, tr, "HEAD /", "Cache-Control: no-cache")
		if a := do(t, tr, "/"); a.outcome != hit {
			t.Errorf("GET after HEAD: %v, want %v", a.outcome, hit)
		}
	})
}

// A 304 with a longer lifetime makes a store keep the response for longer.
func TestUpdateIsKeptForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storage.NewDictCache()
		o := replies(t, ok("Cache-Control: max-age=10", `ETag: "1"`), status(304, "Cache-Control: max-age=10000000"))
		tr := &cachecontrol.Transport{Base: o, Store: store}
		defer tr.Close()
		do(t, tr, "/")
		before, _ := peek(t, store, wholeKey)
		step{wait: 11 * time.Second, want: revalidated}.run(t, "stale", tr, o)
		if after, _ := peek(t, store, wholeKey); after.Keep < 10000000*time.Second || after.Keep <= before.Keep {
			t.Errorf("it is kept for %v, and after the 304 for %v; want the longer lifetime or more", before.Keep, after.Keep)
		}
	})
}
