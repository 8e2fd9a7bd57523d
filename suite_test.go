package cachecontrol_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/heuristics"
)

// What the HTTP working group's cache tests and the http-cache tests of web-platform-tests ask, in stories of our own.

// inBothModes runs scenarios with a private and with a shared cache.
func inBothModes(t *testing.T, scenarios func(tr func() *cachecontrol.Transport) []scenario) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			runScenarios(t, scenarios(func() *cachecontrol.Transport { return &cachecontrol.Transport{Shared: shared} }))
		})
	}
}

// Age counts up to 2^31 seconds and stays there (RFC 9111, section 1.2.2): it never becomes young again.
func TestAgeLimits(t *testing.T) {
	for _, age := range []string{"2147483646", "2147483647", "2147483648", "2147483649", "9223372036854775808", strings.Repeat("9", 99)} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			shown := age
			if age > "2147483648" || len(age) > len("2147483648") {
				shown = "2147483648"
			}
			return []scenario{{
				"Age: " + age, tr(),
				[]reply{ok("Cache-Control: max-age=3600", "Age: "+age, `ETag: "1"`)},
				[]step{
					{want: miss},
					{want: stale, with: []string{"Cache-Control: max-stale"}, body: "#1", head: []string{"Age: " + shown}},
					{want: miss, body: "#2"},
				},
			}}
		})
	}
}

// So does a lifetime. With both at the limit the response is stale: it is the age that may be longer.
func TestLifetimeLimits(t *testing.T) {
	const year = 365 * 24 * time.Hour
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, age := range []string{"2147483647", "2147483648", "2147483649", "99999999999", strings.Repeat("9", 99)} {
			all = append(all, scenario{
				"max-age=" + age, tr(),
				[]reply{ok("Cache-Control: max-age=" + age)},
				[]step{
					{want: miss},
					{wait: 68 * year, want: hit, body: "#1", head: []string{"Age: 2144448000"}},
					{wait: year, want: miss, body: "#2"},
				},
			})
		}
		return all
	})
}

// Fresh ends when the age is the lifetime (RFC 9111, section 4.2).
func TestFreshnessEnds(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		fields := map[string][]string{
			"max-age":          {"Cache-Control: max-age=10"},
			"Expires":          {"Expires: {10s}"},
			"max-age and Age":  {"Cache-Control: max-age=100", "Age: 90"},
			"max-age and Date": {"Cache-Control: max-age=100", "Date: {-90s}"},
			"Expires and Age":  {"Expires: {100s}", "Age: 90"},
			"Expires and Date": {"Expires: {10s}", "Date: {-90s}"},
			"no Date":          {"Cache-Control: max-age=10", "Date:"},
		}
		var all []scenario
		for name, fields := range fields {
			all = append(all, scenario{name, tr(), []reply{ok(fields...)}, []step{
				{want: miss},
				{wait: 10*time.Second - time.Nanosecond, want: hit, body: "#1"},
				{wait: time.Nanosecond, want: miss, body: "#2"},
			}})
		}
		return all
	})
}

// Date and Expires are the origin's, and stay what they were; Age tells how long ago that was.
func TestDateAndExpiresStay(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		return []scenario{{"Expires", tr(), []reply{ok("Expires: {1h}", "Age: 30")}, []step{
			{want: miss, head: []string{"Age: 30"}},
			{wait: 3 * time.Second, want: hit, head: []string{"Date: {-3s}", "Expires: {59m57s}", "Age: 33"}},
		}}}
	})
}

// The time that an answer takes counts as age (RFC 9111, section 4.2.3): nobody knows when in it the origin wrote it.
func TestDelayCounts(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			in(t, func(t *testing.T) {
				fields := []string{"Cache-Control: max-age=20"}
				o := newOrigin(t, func(n int, _ *http.Request) *http.Response {
					time.Sleep(5 * time.Second)
					return respond(200, fmt.Sprintf("#%d", n), fields...)
				})
				tr := &cachecontrol.Transport{Base: o, Shared: shared}
				defer tr.Close()
				if a := do(t, tr, "/"); a.Header["Age"] != nil {
					t.Errorf("Age %q in what the origin has just said without one", a.Header["Age"])
				}
				for _, st := range []step{
					{want: hit, head: []string{"Age: 5"}},
					{wait: 14 * time.Second, want: hit, head: []string{"Age: 19"}},
					{wait: time.Second, want: miss, body: "#2"},
				} {
					st.run(t, "delay", tr, o)
				}
				fields = append(fields, "Age: 3")
				step{do: "/older", want: miss}.run(t, "Age", tr, o)
				step{do: "/older", want: hit, head: []string{"Age: 8"}}.run(t, "Age", tr, o)
				// Written before the delay: both say the same time, and it is counted once.
				fields = []string{"Cache-Control: max-age=20", "Date: " + date(0)}
				step{do: "/early", want: miss}.run(t, "Date", tr, o)
				step{do: "/early", want: hit, head: []string{"Age: 5"}}.run(t, "Date", tr, o)
				fields = []string{"Cache-Control: max-age=5"}
				step{do: "/slow", want: miss}.run(t, "slow", tr, o)
				step{do: "/slow", want: miss}.run(t, "slow", tr, o)
			})
		})
	}
}

// must-understand takes no-store away where the status is understood, and forbids storing where it is not (RFC 9111,
// section 5.2.2.3).
func TestMustUnderstand(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, tt := range []struct {
			status  int
			says    string
			want    cachecontrol.Outcome
			storing string
		}{
			{200, "max-age=60, no-store, must-understand", hit, "max-age"},
			{200, "must-understand, no-store, max-age=60", hit, "max-age"},
			{200, "max-age=60, must-understand", hit, "max-age"},
			{404, "max-age=60, no-store, must-understand", hit, "max-age"},
			{599, "max-age=60, no-store, must-understand", miss, "status-not-understood"},
			{599, "max-age=60, must-understand", miss, "status-not-understood"},
			{299, "max-age=60, must-understand", miss, "status-not-understood"},
			{299, "max-age=60", hit, "max-age"},
			{200, "max-age=60, no-store, must-understand=1", miss, "no-store"},
		} {
			all = append(all, scenario{fmt.Sprintf("%d %s", tt.status, tt.says), tr(),
				[]reply{status(tt.status, "Cache-Control: "+tt.says)},
				[]step{{want: miss, storing: tt.storing}, {want: tt.want, status: tt.status}},
			})
		}
		return all
	})
}

// A later response that must not be stored is not: what was stored before is used while nobody asks for more, and is
// gone once the origin has sent something else.
func TestNoStoreAfterStored(t *testing.T) {
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		var all []scenario
		for _, says := range []string{"no-store", "no-store, max-age=0", "no-store, max-age=1000"} {
			all = append(all, scenario{says, tr(),
				[]reply{ok("Cache-Control: max-age=1000", "Expires: {1h}"), ok("Cache-Control: " + says)},
				[]step{
					{want: miss, body: "#1"},
					{wait: time.Second, want: hit, body: "#1"},
					{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2", storing: "no-store"},
					{want: miss, body: "#3"},
				},
			})
		}
		return append(all, scenario{"but not an error", tr(),
			[]reply{ok("Cache-Control: max-age=1000"), status(503, "Cache-Control: no-store")},
			[]step{
				{want: miss, body: "#1"},
				{with: []string{"Cache-Control: no-cache"}, want: miss, body: "#2", status: 503},
				{want: hit, body: "#1"},
			},
		})
	})
}

// The window of stale-while-revalidate is open while the response has been stale for no longer than it says, to the
// nanosecond (RFC 5861, section 3).
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
				in(t, func(t *testing.T) {
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

// What the validation in the background brings decides about the next request. There is one validation at a time.
func TestStaleWhileRevalidateBrings(t *testing.T) {
	for _, shared := range []bool{true, false} {
		for _, tt := range []struct {
			name  string
			brief reply // what the validation brings
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
				in(t, func(t *testing.T) {
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

// Directives that forbid stale responses go before stale-while-revalidate (RFC 9111, section 4.2.4).
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

// Interim responses go to the caller's trace as they come. They are no part of what is stored (RFC 9111, section 3).
func TestInterimResponses(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(mode(shared), func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.WriteHeader(http.StatusProcessing)
				w.Header().Set("Link", "</a.css>; rel=preload")
				w.Header().Set("X-Early", "1")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				w.Header().Del("X-Early")
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "final")
			}))
			defer server.Close()
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			tr := &cachecontrol.Transport{Base: base, Shared: shared}
			defer tr.Close()
			for n, want := range []string{"102, 103 </a.css>; rel=preload 1", ""} {
				var got []string
				trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %s", code, h.Get("Link"), h.Get("X-Early"))))
					return nil
				}}
				req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				a := send(t, tr, req)
				if a.StatusCode != 200 || a.body != "final" || a.Header["Link"] != nil || a.Header["X-Early"] != nil {
					t.Errorf("answer %d: %d %v %q", n+1, a.StatusCode, a.Header, a.body)
				}
				if s := strings.Join(got, ", "); s != want {
					t.Errorf("interim responses of answer %d: %q, want %q", n+1, s, want)
				}
				if hit := a.outcome == hit; hit != (n == 1) {
					t.Errorf("answer %d: %v", n+1, a.outcome)
				}
			}
			if asked != 1 {
				t.Errorf("%d requests to the origin", asked)
			}
		})
	}
}

// A 304 brings the header up to date, in the answer and in the store, also with a tag that should have been quoted.
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

// An unsafe method that fails leaves what Location and Content-Location name, too; one that succeeds takes them, also
// one that nobody knows (RFC 9111, section 4.4).
func TestInvalidatedLocations(t *testing.T) {
	for _, field := range []string{"Location", "Content-Location"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "FOO"} {
			for code, want := range map[int]cachecontrol.Outcome{200: miss, 303: miss, 500: hit, 404: hit} {
				inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
					return []scenario{{fmt.Sprintf("%s %s %d", field, method, code), tr(),
						[]reply{ok("Cache-Control: max-age=60"), status(code, field+": /other?x=1")},
						[]step{
							{do: "/other?x=1", want: miss},
							{do: method + " /", want: bypass},
							{do: "/other?x=1", want: want},
						},
					}}
				})
			}
		}
	}
}

// With a heuristic, a status that is not cacheable by default is reused only if the response is public (RFC 9111,
// section 4.2.2). In a shared cache that holds for errors, too.
func TestHeuristicStatuses(t *testing.T) {
	statuses := map[int]cachecontrol.Outcome{}
	for _, code := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
		statuses[code] = hit
	}
	for _, code := range []int{201, 202, 299, 302, 303, 307, 400, 403, 499, 500, 502, 503, 504, 599} {
		statuses[code] = miss
	}
	inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
		with := func() *cachecontrol.Transport {
			t := tr()
			t.Heuristic = heuristics.LastModified
			return t
		}
		var all []scenario
		for code, want := range statuses {
			if code >= 400 && tr().Shared {
				want = miss
			}
			all = append(all,
				scenario{fmt.Sprint(code), with(), []reply{status(code, "Last-Modified: {-10h}")},
					[]step{{want: miss}, {wait: time.Minute, want: want, status: code}}},
				scenario{fmt.Sprint(code, " public"), with(), []reply{status(code, "Last-Modified: {-10h}", "Cache-Control: public")},
					[]step{{want: miss}, {wait: time.Minute, want: hit, status: code}}})
		}
		return all
	})
}

// A response to POST or PATCH that says it is what GET would bring answers GET: with explicit freshness, and with a
// Content-Location that is the request's own URL (RFC 9110, section 9.3.3, and RFC 5789, section 2).
func TestContentLocationOfPost(t *testing.T) {
	const own = "Content-Location: http://example.com/"
	for _, method := range []string{"POST", "PATCH"} {
		inBothModes(t, func(tr func() *cachecontrol.Transport) []scenario {
			var all []scenario
			for name, tt := range map[string]struct {
				reply reply
				want  cachecontrol.Outcome
			}{
				"max-age":           {ok("Cache-Control: max-age=60", own), hit},
				"Expires":           {ok("Expires: {1h}", own), hit},
				"relative":          {ok("Cache-Control: max-age=60", "Content-Location: /"), hit},
				"another URL":       {ok("Cache-Control: max-age=60", "Content-Location: /other"), miss},
				"another origin":    {ok("Cache-Control: max-age=60", "Content-Location: http://example.org/"), miss},
				"none":              {ok("Cache-Control: max-age=60"), miss},
				"no freshness":      {ok(own, `ETag: "1"`), miss},
				"no-store":          {ok(own, "Cache-Control: max-age=60, no-store"), miss},
				"another status":    {status(201, own, "Cache-Control: max-age=60"), miss},
				"a failure":         {status(500, own, "Cache-Control: max-age=60"), miss},
				"Vary: *":           {ok(own, "Cache-Control: max-age=60", "Vary: *"), miss},
				"a lifetime of 0":   {ok(own, "Cache-Control: max-age=0"), miss},
				"of another method": {ok(own, "Cache-Control: max-age=60"), miss},
			} {
				first := method + " /"
				if name == "of another method" {
					first = "PUT /"
				}
				all = append(all, scenario{method + " " + name, tr(), []reply{tt.reply, ok()}, []step{
					{do: first, want: bypass}, {want: tt.want},
				}})
			}
			return all
		})
	}
}

// Vary: * matches nothing, not even a request that has such a field.
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
