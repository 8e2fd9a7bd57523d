package cachecontrol_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// What Python's CacheControl 0.14.4 documents and its release notes promise, as stories. Where this cache does
// otherwise, because an RFC says so, the story's name tells.

const (
	unknown     = cachecontrol.Unknown
	miss        = cachecontrol.Miss
	hit         = cachecontrol.Hit
	stale       = cachecontrol.Stale
	revalidated = cachecontrol.Revalidated
	bypass      = cachecontrol.Bypass
)

func TestFreshness(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "nothing said, nothing stored",
			origin: []reply{ok()},
			steps:  []step{{want: miss, body: "#1", storing: "nothing-to-reuse"}, {want: miss, body: "#2"}},
		}, {
			name:   "max-age",
			origin: []reply{ok("Cache-Control: max-age=3600")},
			steps: []step{
				{want: miss, body: "#1", storing: "max-age", head: []string{"X-From-Cache:", "Age:"}},
				{want: hit, body: "#1", head: []string{"X-From-Cache: 1", "Age: 0"}},
				{wait: 3599 * time.Second, want: hit, body: "#1", head: []string{"Age: 3599"}},
				{wait: time.Second, want: miss, body: "#2", sent: []string{"If-None-Match:", "If-Modified-Since:"}},
			},
		}, {
			name:   "max-age that is no number makes stale",
			origin: []reply{ok("Cache-Control: max-age=3600; public")},
			steps:  []step{{want: miss}, {want: miss}},
		}, {
			name:   "max-age of 0 is no reason to store",
			origin: []reply{ok("Cache-Control: max-age=0")},
			steps:  []step{{want: miss, storing: "nothing-to-reuse"}, {want: miss}},
		}, {
			name:   "Expires",
			origin: []reply{ok("Expires: {1h}")},
			steps: []step{
				{want: miss, storing: "expires"},
				{wait: 59 * time.Minute, want: hit},
				{wait: time.Minute, want: miss, body: "#2"},
			},
		}, {
			name:   "max-age goes before Expires",
			origin: []reply{ok("Expires: {1h}", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:   "Expires is counted from Date",
			origin: []reply{ok("Date: {-50m}", "Expires: {10m}")},
			steps:  []step{{want: miss}, {wait: 9 * time.Minute, want: hit, head: []string{"Age: 3540"}}, {wait: time.Minute, want: miss}},
		}, {
			name:   "an age since Date counts",
			origin: []reply{ok("Date: {-59m}", "Cache-Control: max-age=3600")},
			steps:  []step{{want: miss}, {want: hit, head: []string{"Age: 3540"}}, {wait: time.Minute, want: miss}},
		}, {
			name:   "a response older than its max-age",
			origin: []reply{ok("Date: {-2h}", "Cache-Control: max-age=3600")},
			steps:  []step{{want: miss}, {want: miss, body: "#2"}},
		}, {
			name:   "without a Date, unlike in Python, the time of receipt counts",
			origin: []reply{ok("Date:", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit, head: []string{"Date:"}}, {wait: time.Second, want: miss}},
		}, {
			name:   "a Date that is none, the same",
			origin: []reply{ok("Date: garbage", "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 9 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:   "no-store",
			origin: []reply{ok("Cache-Control: no-store, max-age=60", `ETag: "a"`)},
			steps:  []step{{want: miss, storing: "no-store"}, {want: miss, sent: []string{"If-None-Match:"}}},
		}, {
			name:   "no-store from the origin removes what was stored",
			origin: []reply{ok("Cache-Control: max-age=10"), ok("Cache-Control: no-store"), ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {want: miss, with: []string{"Cache-Control: no-cache"}, body: "#2"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "no-store in the request removes what was stored, once the origin answers",
			origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{
				{want: miss}, {want: miss, with: []string{"Cache-Control: no-store, no-cache"}, body: "#2", storing: "request-no-store"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "private is stored: it is a private cache",
			origin: []reply{ok("Cache-Control: private, max-age=60")},
			steps:  []step{{want: miss}, {want: hit}},
		},
	})
}

func TestRequestDirectives(t *testing.T) {
	hour := []reply{ok("Cache-Control: max-age=3600", `ETag: "a"`)}
	runScenarios(t, []scenario{
		{
			name: "no-cache asks the origin, and its answer is stored", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: no-cache"}, body: "#2"}, {want: hit, body: "#2"}},
		}, {
			name: "Pragma: no-cache does too, unlike in Python", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Pragma: no-cache"}, body: "#2"}},
		}, {
			name: "Pragma beside Cache-Control counts for nothing", origin: hour,
			steps: []step{{want: miss}, {want: hit, with: []string{"Pragma: no-cache", "Cache-Control: max-age=60"}}},
		}, {
			name: "max-age=0 asks the origin, and takes nothing away", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: max-age=0"}, body: "#2"}, {want: hit, body: "#2"}},
		}, {
			name: "max-age shortens", origin: hour,
			steps: []step{
				{want: miss},
				{wait: 10 * time.Second, want: hit, with: []string{"Cache-Control: max-age=10"}},
				{wait: time.Second, want: miss, with: []string{"Cache-Control: max-age=10"}, body: "#2"},
			},
		}, {
			name: "max-age does not lengthen, unlike in Python", origin: []reply{ok("Cache-Control: max-age=10")},
			steps: []step{{want: miss}, {wait: 20 * time.Second, want: miss, with: []string{"Cache-Control: max-age=3600"}, body: "#2"}},
		}, {
			name: "min-fresh", origin: hour,
			steps: []step{
				{want: miss},
				{wait: 50 * time.Minute, want: hit, with: []string{"Cache-Control: min-fresh=600"}},
				{wait: time.Second, want: miss, with: []string{"Cache-Control: min-fresh=600"}, body: "#2"},
			},
		}, {
			name: "several directives on several lines", origin: hour,
			steps: []step{{want: miss}, {want: miss, with: []string{"Cache-Control: max-stale", "Cache-Control: no-cache"}}},
		},
	})
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

func TestRedirectsAreKept(t *testing.T) {
	noCache := []string{"Cache-Control: no-cache"}
	var scenarios []scenario
	for _, code := range []int{301, 308} {
		name := fmt.Sprint(code)
		scenarios = append(scenarios, scenario{
			name:   name + " without freshness is kept for ever, whatever its Date",
			origin: []reply{status(code, "Location: /elsewhere", "Date: {-10000h}")},
			steps: []step{
				{want: miss, storing: "permanent"}, {want: hit, status: code, head: []string{"Location: /elsewhere"}},
				{wait: 20000 * time.Hour, want: hit},
				{want: miss, with: noCache, body: "#2"}, {want: hit, body: "#2"},
			},
		}, scenario{
			name:   name + " without a Date is kept too",
			origin: []reply{status(code, "Location: /elsewhere", "Date:")},
			steps:  []step{{want: miss}, {wait: 20000 * time.Hour, want: hit}},
		}, scenario{
			name:   name + " with a lifetime has that, unlike in Python",
			origin: []reply{status(code, "Location: /elsewhere", "Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {wait: 59 * time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, scenario{
			name:   name + " with no-store is not stored",
			origin: []reply{status(code, "Location: /elsewhere", "Cache-Control: no-store")},
			steps:  []step{{want: miss}, {want: miss}},
		})
	}
	runScenarios(t, append(scenarios, scenario{
		name:   "300 with a lifetime",
		origin: []reply{status(300, "Cache-Control: max-age=60")},
		steps:  []step{{want: miss}, {want: hit, status: 300}, {want: miss, with: noCache}},
	}, scenario{
		name:   "300 and 302 without one",
		origin: []reply{status(300), status(302, "Location: /elsewhere")},
		steps:  []step{{want: miss}, {want: miss}, {want: miss}},
	}))
}

func TestStatuses(t *testing.T) {
	stored := map[int]bool{200: true, 203: true, 300: true, 301: true, 308: true}
	var scenarios []scenario
	for _, code := range []int{200, 201, 203, 204, 300, 301, 302, 307, 308, 400, 404, 410, 500, 503} {
		want := miss
		if stored[code] {
			want = hit
		}
		fields := []string{"Cache-Control: max-age=3600", "Location: /elsewhere"}
		scenarios = append(scenarios, scenario{
			name:      fmt.Sprintf("%d, among CacheControl's", code),
			transport: &cachecontrol.Transport{CacheableStatusCodes: cachecontrol.CacheControlStatusCodes},
			origin:    []reply{status(code, fields...)},
			steps:     []step{{want: miss, status: code}, {want: want, status: code}},
		}, scenario{
			name:   fmt.Sprintf("%d, with max-age", code), // RFC 9111, section 3: any final status
			origin: []reply{status(code, fields...)},
			steps:  []step{{want: miss, status: code}, {want: hit, status: code}},
		})
	}
	runScenarios(t, append(scenarios, scenario{
		name:      "a status of one's own choice",
		transport: &cachecontrol.Transport{CacheableStatusCodes: []int{404}},
		origin:    []reply{status(404, "Cache-Control: max-age=60"), ok("Cache-Control: max-age=60")},
		steps: []step{
			{want: miss}, {want: hit, status: 404},
			{do: "/b", want: miss, storing: "status-excluded"}, {do: "/b", want: miss},
		},
	}))
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
			last = step{want: hit, body: "#1"} // who leaves the coding to the cache takes any that it can decode
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

func TestUnsafeMethodsInvalidate(t *testing.T) {
	for _, method := range []string{"PUT", "PATCH", "DELETE", "POST", "BREW"} {
		runScenarios(t, []scenario{{
			name:   method,
			origin: []reply{ok("Cache-Control: max-age=60"), status(204), ok("Cache-Control: max-age=60")},
			steps: []step{
				{want: miss}, {want: hit},
				{do: method + " /#fragment", want: bypass},
				{want: miss, body: "#3"},
			},
		}, {
			name:   method + " that fails",
			origin: []reply{ok("Cache-Control: max-age=60"), status(500)},
			steps:  []step{{want: miss}, {do: method + " /", want: bypass, status: 500}, {want: hit}},
		}, {
			name:   method + " of another URL",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {do: method + " /?x", want: bypass}, {want: hit}},
		}})
	}
	for _, method := range []string{"OPTIONS", "TRACE", "PROPFIND"} {
		runScenarios(t, []scenario{{
			name:   method + " is safe",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{want: miss}, {do: method + " /", want: bypass}, {want: hit}},
		}})
	}
}

func TestFileCacheForgetsAfterPUTAndDELETE(t *testing.T) {
	for _, method := range []string{"PUT", "DELETE"} {
		for name, store := range fileStores(t) {
			t.Run(name+" "+method, func(t *testing.T) {
				o := replies(t, ok("Cache-Control: max-age=3600"))
				tr := &cachecontrol.Transport{Base: o, Store: store}
				defer tr.Close()
				for i, st := range []step{{want: miss}, {want: hit}, {do: method + " /", want: bypass}, {want: miss, body: "#3"}} {
					st.run(t, fmt.Sprint(i), tr, o)
				}
			})
		}
	}
}

func fileStores(t testing.TB) map[string]storage.Store {
	t.Helper()
	file, err := storage.NewFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	separate, err := storage.NewSeparateBodyFileCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]storage.Store{"FileCache": file, "SeparateBodyFileCache": separate}
}

func TestForeverStore(t *testing.T) {
	dir := t.TempDir()
	store, err := storage.NewFileCache(dir, storage.Forever())
	if err != nil {
		t.Fatal(err)
	}
	o := replies(t, ok("Cache-Control: max-age=3600"))
	tr := &cachecontrol.Transport{Base: o, Store: store}
	defer tr.Close()
	for i, st := range []step{
		{want: miss}, {do: "DELETE /", want: bypass}, {want: hit, body: "#1"},
		{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#3"}, {want: hit, body: "#3"},
	} {
		st.run(t, fmt.Sprint(i), tr, o)
	}
}

func TestHeuristics(t *testing.T) {
	const staleWarning = `110 - "Response is Stale"`
	week := heuristics.Func(func(resp *http.Response) http.Header {
		d, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			return nil
		}
		return http.Header{"Expires": {d.AddDate(0, 0, 7).Format(http.TimeFormat)}, "Cache-Control": {"public"}}
	})
	runScenarios(t, []scenario{
		{
			name:      "OneDay",
			transport: &cachecontrol.Transport{Heuristic: heuristics.OneDay},
			origin:    []reply{ok()},
			steps: []step{
				{want: miss, head: []string{"Expires: {24h}", "Cache-Control: public", "Warning: " + staleWarning}},
				{wait: 24*time.Hour - time.Second, want: hit, head: []string{"Warning: " + staleWarning}},
				{wait: time.Second, want: miss, body: "#2"},
			},
		}, {
			name:      "OneDay leaves Expires, and then gives no Warning",
			transport: &cachecontrol.Transport{Heuristic: heuristics.OneDay},
			origin:    []reply{ok("Expires: {1h}")},
			steps: []step{
				{want: miss, head: []string{"Expires: {1h}", "Cache-Control:", "Warning:"}},
				{wait: 59 * time.Minute, want: hit, head: []string{"Warning:"}}, {wait: time.Minute, want: miss},
			},
		}, {
			name:      "ExpiresAfter overrides what the origin says",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(26 * time.Hour)},
			origin:    []reply{ok("Cache-Control: no-store, private", "Expires: -1")},
			steps: []step{
				{want: miss, head: []string{"Expires: {26h}", "Cache-Control: public",
					"Warning: 110 - Automatically cached for 1 day, 2:00:00. Response might be stale"}},
				{wait: 26*time.Hour - time.Second, want: hit},
				{wait: time.Second, want: miss, body: "#2"},
			},
		}, {
			name:      "ExpiresAfter for a 301",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(time.Hour)},
			origin:    []reply{status(301, "Location: /elsewhere")},
			steps: []step{
				{want: miss, head: []string{"Cache-Control: public", "Expires: {1h}"}},
				{want: hit, status: 301}, {wait: time.Hour, want: miss},
			},
		}, {
			name:      "ExpiresAfter for a 304: the entry is fresh anew",
			transport: &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(time.Hour)},
			origin:    []reply{ok(`ETag: "a"`), status(304)},
			steps: []step{
				{want: miss},
				{wait: time.Hour, want: revalidated, body: "#1", head: []string{"Expires: {1h}", "Cache-Control: public"}},
				{wait: 59 * time.Minute, want: hit},
				{wait: time.Minute, want: revalidated},
			},
		}, {
			name:      "LastModified: a tenth of its age",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}")},
			steps: []step{
				{want: miss, head: []string{"Expires: {1h}", "Warning:"}},
				{wait: time.Hour - time.Second, want: hit},
				{wait: time.Second, want: miss},
			},
		}, {
			name:      "LastModified: a day at most",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10000h}")},
			steps:     []step{{want: miss, head: []string{"Expires: {24h}"}}, {wait: 24*time.Hour - time.Second, want: hit}, {wait: time.Second, want: miss}},
		}, {
			name:      "LastModified leaves Expires",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}", "Expires: {10m}")},
			steps:     []step{{want: miss, head: []string{"Expires: {10m}"}}},
		}, {
			name:      "LastModified leaves any Cache-Control but public",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok("Last-Modified: {-10h}", "Cache-Control: private"), ok("Last-Modified: {-10h}", "Cache-Control: public")},
			steps: []step{
				{do: "/a", want: miss, head: []string{"Expires:"}},
				{do: "/b", want: miss, head: []string{"Expires: {1h}"}}, {do: "/b", wait: 59 * time.Minute, want: hit},
			},
		}, {
			name:      "LastModified has nothing to say without one, or for other statuses",
			transport: &cachecontrol.Transport{Heuristic: heuristics.LastModified},
			origin:    []reply{ok(), status(299, "Last-Modified: {-10h}")},
			steps:     []step{{want: miss, head: []string{"Expires:"}}, {want: miss, head: []string{"Expires:"}}},
		}, {
			name:      "one's own",
			transport: &cachecontrol.Transport{Heuristic: week},
			origin:    []reply{ok("Cache-Control: private", "Expires: -1")},
			steps: []step{
				{want: miss, head: []string{"Expires: {168h}", "Cache-Control: public", "Warning: " + staleWarning}},
				{wait: 6 * 24 * time.Hour, want: hit}, {wait: 24 * time.Hour, want: miss},
			},
		}, {
			name:      "one that changes nothing gives no Warning",
			transport: &cachecontrol.Transport{Heuristic: heuristics.Func(func(*http.Response) http.Header { return nil })},
			origin:    []reply{ok("Cache-Control: max-age=60")},
			steps:     []step{{want: miss, head: []string{"Warning:"}}, {want: hit, head: []string{"Warning:"}}},
		},
	})
}

func TestBodyMustBeReadToItsEnd(t *testing.T) {
	const body = "0123456789"
	lines := func(resp *http.Response) *http.Response { return resp }
	inChunks := func(resp *http.Response) *http.Response { return chunked(resp, nil, "01234", "56789") }
	for name, test := range map[string]struct {
		frame func(*http.Response) *http.Response
		use   func(io.Reader) error
		want  cachecontrol.Outcome
	}{
		"nothing read": {lines, func(io.Reader) error { return nil }, miss},
		"half":         {lines, func(r io.Reader) error { _, err := io.CopyN(io.Discard, r, 5); return err }, miss},
		"all":          {lines, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, hit},
		"byte by byte": {lines, func(r io.Reader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 1))
			return err
		}, hit},
		"exactly its length": {lines, func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 10)); return err }, hit},
		"chunked":            {inChunks, func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, hit},
		"chunked, half":      {inChunks, func(r io.Reader) error { _, err := io.CopyN(io.Discard, r, 5); return err }, miss},
		"chunked, no EOF":    {inChunks, func(r io.Reader) error { _, err := io.ReadFull(r, make([]byte, 10)); return err }, miss},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := newOrigin(t, func(int, *http.Request) *http.Response {
					return test.frame(respond(200, body, "Cache-Control: max-age=60"))
				})
				tr := &cachecontrol.Transport{Base: o, DrainBytes: -1}
				defer tr.Close()
				resp, err := tr.RoundTrip(request(t, "/"))
				if err != nil {
					t.Fatal(err)
				}
				if err := test.use(resp.Body); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if a := do(t, tr, "/"); a.outcome != test.want || a.body != body {
					t.Errorf("afterwards: %v %q, want %v", a.outcome, a.body, test.want)
				}
			})
		})
	}
}

func TestIncompleteBodyIsNotStored(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "01234", "Cache-Control: max-age=60")
			if n == 1 {
				resp = chunked(resp, io.ErrUnexpectedEOF, "01", "2")
			}
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		resp, err := tr.RoundTrip(request(t, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || string(got) != "012" {
			t.Errorf("read %q, %v", got, err)
		}
		resp.Body.Close()
		if a := do(t, tr, "/"); a.outcome != miss || a.body != "01234" {
			t.Errorf("afterwards: %v %q", a.outcome, a.body)
		}
	})
}

func TestContentLengthThatIsNotTheBodys(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
			resp := respond(200, "0123456789", "Cache-Control: max-age=60", "Content-Length: 5")
			resp.ContentLength = -1
			return resp
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		if a := do(t, tr, "/"); a.outcome != miss {
			t.Errorf("stored: %v", a.Header)
		}
	})
}

func TestRangeRequestsNeverGetTheWhole(t *testing.T) {
	in(t, func(t *testing.T) {
		o := newOrigin(t, func(n int, req *http.Request) *http.Response {
			if req.Header.Get("Range") == "bytes=90-" {
				return respond(416, "", "Content-Range: bytes */10")
			}
			return respond(200, "0123456789", "Cache-Control: max-age=60", `ETag: "a"`)
		})
		tr := &cachecontrol.Transport{Base: o}
		defer tr.Close()
		do(t, tr, "/")
		a := do(t, tr, "/", "Range: bytes=2-4")
		if a.StatusCode != 206 || a.body != "234" || a.Header.Get("Content-Range") != "bytes 2-4/10" || a.outcome != hit {
			t.Errorf("%d %q %v", a.StatusCode, a.body, a.Header)
		}
		// A unit that the cache does not know goes to the origin as it is: nothing of the entry's is added.
		a = do(t, tr, "/", "Range: 0-10")
		if a.outcome != bypass || o.last().Header.Get("If-None-Match") != "" {
			t.Errorf("%v, asked with %v", a.outcome, o.last().Header)
		}
		if a = do(t, tr, "/"); a.outcome != hit || a.body != "0123456789" {
			t.Errorf("the whole afterwards: %v %q", a.outcome, a.body)
		}
	})
}

func TestHEAD(t *testing.T) {
	runScenarios(t, []scenario{
		{
			name:   "is answered from what GET stored",
			origin: []reply{ok("Cache-Control: max-age=60", "X-A: b", "Content-Length: 2")},
			steps: []step{
				{want: miss}, {do: "HEAD /", want: hit, body: "", head: []string{"X-A: b", "Content-Length: 2"}},
				{want: hit, body: "#1"},
			},
		}, {
			name:   "stores nothing",
			origin: []reply{ok("Cache-Control: max-age=60")},
			steps:  []step{{do: "HEAD /", want: miss}, {do: "HEAD /", want: miss}, {want: miss, body: "#3"}},
		},
	})
}

func TestCacheableMethods(t *testing.T) {
	runScenarios(t, []scenario{{
		name:      "POST and GET apart",
		transport: &cachecontrol.Transport{CacheableMethods: []string{"GET", "POST"}},
		origin:    []reply{ok("Cache-Control: max-age=60")},
		steps: []step{
			{do: "POST /", want: miss, body: "#1"}, {do: "POST /", want: hit, body: "#1"},
			{want: miss, body: "#2"}, {want: hit, body: "#2"},
		},
	}, {
		name:      "POST alone",
		transport: &cachecontrol.Transport{CacheableMethods: []string{"POST"}},
		origin:    []reply{ok("Cache-Control: max-age=60")},
		steps:     []step{{want: bypass}, {want: bypass}, {do: "POST /", want: miss}, {do: "POST /", want: hit}},
	}, {
		name:   "by default only GET",
		origin: []reply{ok("Cache-Control: max-age=60")},
		steps:  []step{{do: "POST /", want: bypass}, {do: "POST /", want: bypass}, {do: "OPTIONS /", want: bypass}, {do: "OPTIONS /", want: bypass}},
	}})
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
			in(t, func(t *testing.T) {
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

// Two responses for one URL that come at the same time: whichever ends last is stored, and whole.
func TestOverwritingAnEntryIsNoRace(t *testing.T) {
	for name, store := range fileStores(t) {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
				return respond(200, strings.Repeat(string(rune('a'+n%26)), 5000), "Cache-Control: max-age=60")
			})
			tr := &cachecontrol.Transport{Base: o, Store: store}
			defer tr.Close()
			done := make(chan string)
			for range 8 {
				go func() {
					var wrong string
					for range 20 {
						req, _ := http.NewRequest("GET", "http://example.com/", nil)
						req.Header.Set("Cache-Control", []string{"no-cache", "max-stale"}[len(wrong)%2])
						resp, err := tr.RoundTrip(req)
						if err != nil {
							wrong = err.Error()
							break
						}
						b, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if err != nil || len(b) != 5000 || strings.Trim(string(b), string(b[:1])) != "" {
							wrong = fmt.Sprintf("%v: %d bytes, %.40q", err, len(b), b)
							break
						}
					}
					done <- wrong
				}()
			}
			for range 8 {
				if wrong := <-done; wrong != "" {
					t.Error(wrong)
				}
			}
			if a := do(t, tr, "/"); a.outcome != hit {
				t.Errorf("afterwards: %v", a.outcome)
			}
		})
	}
}

// A response that nobody reads or closes keeps nothing of the cache's alive: no goroutine, and nothing stored.
func TestForgottenStreamHoldsNothing(t *testing.T) {
	in(t, func(t *testing.T) {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			return respond(200, "body", "Cache-Control: max-age=60"), nil
		})
		tr := &cachecontrol.Transport{Base: base}
		if _, err := tr.RoundTrip(request(t, "/")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a := do(t, tr, "/"); a.outcome != miss {
			t.Errorf("stored: %v", a.outcome)
		}
		tr.Close() // in a bubble, a goroutine that is left fails the test
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestMountsPerSite(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, ok())
		day := &cachecontrol.Transport{Base: o, Heuristic: heuristics.OneDay}
		plain := &cachecontrol.Transport{Base: o}
		defer day.Close()
		defer plain.Close()
		var m cachecontrol.Mounts
		m.Mount("http://", plain)
		m.Mount("http://my.example.com", day)
		for i, st := range []step{
			{do: "http://my.example.com/a", want: miss}, {do: "http://my.example.com/a", want: hit},
			{do: "http://example.com/a", want: miss}, {do: "http://example.com/a", want: miss},
		} {
			st.run(t, fmt.Sprint(i), &m, o)
		}
	})
}

func TestJSONDecoderOnAHit(t *testing.T) {
	in(t, func(t *testing.T) {
		o := replies(t, reply{body: `{"a": 1}`, fields: []string{"Cache-Control: max-age=60"}})
		client := (&cachecontrol.Transport{Base: o}).Client()
		for range 3 {
			resp, err := client.Get("http://example.com/")
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ A int }
			if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.A != 1 {
				t.Errorf("%v %v", v, err)
			}
			resp.Body.Close()
		}
		if o.requests() != 1 {
			t.Errorf("%d requests", o.requests())
		}
	})
}
