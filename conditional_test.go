package cachecontrol_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
)

// A downloader requests ranges of one version with If-Match. A fresh response that satisfies the precondition answers
// it, because a cache may ignore the field (RFC 9110, section 13.1.1). Any other request is sent to the origin, and the
// cache never returns a 412 of its own (RFC 9111, section 4.3.2).
func TestIfMatch(t *testing.T) {
	const (
		fresh    = "Cache-Control: max-age=60"
		tag      = `ETag: "1"`
		ranged   = "Range: bytes=2-4"
		modified = "Last-Modified: {-1h}"
	)
	type result struct {
		outcome cachecontrol.Outcome
		status  int
		body    string
	}
	var (
		whole    = result{hit, 200, digits}
		part     = result{hit, 206, "234"}
		confirms = result{hit, 304, ""}
		failed   = result{bypass, 412, "failed"} // as the origin says
	)
	for _, tt := range []struct {
		name   string
		stored []string
		wait   time.Duration
		do     string
		with   []string
		want   result
	}{
		{"the tag", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`}, whole},
		{"the tag, a range", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`, ranged}, part},
		{"the tag in a list", []string{fresh, tag}, 0, "/", []string{`If-Match: "0", "1"`, ranged}, part},
		{"any", []string{fresh, tag}, 0, "/", []string{`If-Match: *`, ranged}, part},
		{"HEAD", []string{fresh, tag}, 0, "HEAD /", []string{`If-Match: "1"`}, result{hit, 200, ""}},
		{"another tag", []string{fresh, tag}, 0, "/", []string{`If-Match: "2"`}, failed},
		{"another tag, a range", []string{fresh, tag}, 0, "/", []string{`If-Match: "2"`, ranged}, failed},
		{"a weak tag", []string{fresh, `ETag: W/"1"`}, 0, "/", []string{`If-Match: W/"1"`}, failed},
		{"stale", []string{fresh, tag}, time.Hour, "/", []string{`If-Match: "1"`}, failed},
		{"stale, max-stale", []string{fresh, tag}, time.Hour, "/", []string{`If-Match: "1"`, "Cache-Control: max-stale"}, failed},
		{"stale-while-revalidate", []string{"Cache-Control: max-age=1, stale-while-revalidate=60", tag}, 10 * time.Second, "/", []string{`If-Match: "1"`}, failed},
		{"no-cache in the request", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`, "Cache-Control: no-cache"}, failed},
		{"the date", []string{fresh, modified}, 0, "/", []string{"If-Unmodified-Since: {-1h}"}, whole},
		{"the date, a range", []string{fresh, modified}, 0, "/", []string{"If-Unmodified-Since: {-1h}", ranged}, part},
		{"a date before", []string{fresh, modified}, 0, "/", []string{"If-Unmodified-Since: {-2h}"}, failed},
		{"a date, of which nothing is known", []string{fresh, tag}, 0, "/", []string{"If-Unmodified-Since: {0s}"}, failed},
		{"the tag before the date", []string{fresh, tag, modified}, 0, "/", []string{`If-Match: "1"`, "If-Unmodified-Since: {-2h}"}, whole},
		{"If-None-Match after it", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`, `If-None-Match: "1"`}, confirms},
		{"If-None-Match after it, another", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`, `If-None-Match: "2"`, ranged}, part},
		{"If-Modified-Since after it", []string{fresh, tag, modified}, 0, "/", []string{`If-Match: "1"`, "If-Modified-Since: {-1h}"}, confirms},
		{"If-Match before If-None-Match", []string{fresh, tag}, 0, "/", []string{`If-Match: "2"`, `If-None-Match: "1"`}, failed},
		{"If-Range after it", []string{fresh, tag}, 0, "/", []string{`If-Match: "1"`, `If-Range: "2"`, ranged}, whole},
		{"no tag", []string{fresh}, 0, "/", []string{`If-Match: "1"`}, failed},
		{"PUT", []string{fresh, tag}, 0, "PUT /", []string{`If-Match: "1"`}, failed},
	} {
		for _, collapse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Collapse %v", tt.name, collapse), func(t *testing.T) {
				eachStore(t, func(t *testing.T, s *watchedStore) {
					// A 412 is for its own request, whatever it says.
					o := replies(t, reply{body: digits, fields: tt.stored}, reply{status: 412, body: "failed", fields: []string{fresh}}, ok())
					tr := &cachecontrol.Transport{Base: o, Store: s, Collapse: collapse}
					defer tr.Close()
					do(t, tr, "/")
					var with []string
					for _, f := range tt.with {
						with = append(with, expandDates(f))
					}
					time.Sleep(tt.wait)
					a := do(t, tr, tt.do, with...)
					if got := (result{a.outcome, a.StatusCode, a.body}); got != tt.want {
						t.Errorf("%v, want %v", got, tt.want)
					}
					asked := 1
					if tt.want == failed {
						asked = 2
						sent := o.last().Header
						for _, f := range with {
							name, value, _ := strings.Cut(f, ": ")
							if sent.Get(name) != value {
								t.Errorf("the origin got %v, want %s", sent, f)
							}
						}
						if len(sent) > len(with)+1 { // and Accept-Encoding
							t.Errorf("the origin got %v, want %v", sent, with)
						}
					}
					wantRequests(t, o, asked)
					if tt.want == failed && tt.wait == 0 {
						if a := do(t, tr, "/"); a.outcome != hit || a.body != digits {
							t.Errorf("after it: %v %q, want a hit", a.outcome, a.body)
						}
					}
				})
			})
		}
	}
}

// Responses to If-Match are stored like others: the ranges of a download become a whole response, which answers the
// ranges of the next one.
func TestIfMatchDownload(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		d := &document{body: digits, etag: `"1"`, fields: []string{"Cache-Control: max-age=60"}}
		o := d.origin(t)
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		for i := range 2 {
			do(t, tr, "/", "Range: bytes=0-3")
			for first := 4; first < 10; first += 2 {
				a := do(t, tr, "/", fmt.Sprintf("Range: bytes=%d-%d", first, first+1), `If-Match: "1"`)
				if a.StatusCode != 206 || a.body != digits[first:first+2] || (a.outcome == hit) != (i == 1) {
					t.Errorf("pass %d, from %d: %d %q %v, want 206 %q, a hit: %v", i, first, a.StatusCode, a.body, a.outcome, digits[first:first+2], i == 1)
				}
			}
		}
		wantRequests(t, o, 4)
		wantStored(t, s, digits, "")
	})
}

// A part answers as a whole response does. If the origin has another version, that replaces the part. If it cannot be
// reached, no stored response is used.
func TestIfMatchOfPart(t *testing.T) {
	eachStore(t, func(t *testing.T, s *watchedStore) {
		const fresh = "Cache-Control: max-age=60, stale-if-error=60"
		o := replies(t, partReply(2, 5, fresh, `ETag: "1"`), down, partReply(2, 3, "Cache-Control: no-store", `ETag: "2"`), status(404))
		tr := &cachecontrol.Transport{Base: o, Store: s}
		defer tr.Close()
		do(t, tr, "/", "Range: bytes=2-5")
		wantPart(t, do(t, tr, "/", "Range: bytes=2-3", `If-Match: "1"`), hit, "bytes 2-3/10", "23")
		if resp, err := tr.RoundTrip(request(t, "/", "Range: bytes=2-3", `If-Match: "2"`)); err == nil {
			resp.Body.Close()
			t.Errorf("status %d, want the error", resp.StatusCode)
		}
		wantStored(t, s, "", "2345")
		wantPart(t, do(t, tr, "/", "Range: bytes=2-3", `If-Match: "2"`), bypass, "bytes 2-3/10", "23")
		wantStored(t, s, "", "")
	})
}

// A validation in the background does not send the precondition of the caller.
func TestIfMatchAndBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := replies(t, ok("Cache-Control: max-age=60", `ETag: "1"`))
		tr := &cachecontrol.Transport{Base: o, RefreshAhead: 50 * time.Second}
		defer tr.Close()
		do(t, tr, "/")
		time.Sleep(20 * time.Second)
		if a := do(t, tr, "/", `If-Match: "1"`); a.outcome != hit {
			t.Errorf("%v, want hit", a.outcome)
		}
		synctest.Wait()
		wantRequests(t, o, 2)
		wantFields(t, "in the background", o.last().Header, []string{"If-Match:", `If-None-Match: "1"`})
	})
}

func TestConditionalRequests(t *testing.T) {
	const modified, later = "Sat, 01 Jan 2000 00:00:00 GMT", "Sun, 02 Jan 2000 00:00:00 GMT"
	ims := func(d string) []string { return []string{"If-Modified-Since: " + d} }
	runScenarios(t, []scenario{
		{
			name:   "If-Modified-Since and a fresh entry",
			origin: []reply{ok("Cache-Control: max-age=60", "Last-Modified: "+modified, "Content-Type: text/plain", "Vary: X")},
			steps: []step{
				{want: miss}, {with: ims(modified), want: hit, status: 304, head: []string{"Content-Type:", "Vary: X", "Cache-Control: max-age=60"}},
				{with: ims(later), want: hit, status: 304}, {with: ims("Fri, 31 Dec 1999 23:59:59 GMT"), want: hit, status: 200},
				{with: ims("garbage"), want: hit, status: 200}, {with: []string{"If-Modified-Since: " + modified, `If-None-Match: "x"`}, want: hit, status: 200},
				{do: "HEAD /", with: ims(modified), want: hit, status: 304},
			},
		}, {
			name:   "a 304 to the caller's own condition freshens the entry that it names",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), status(304, "Cache-Control: max-age=10", `ETag: "a"`)},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, with: []string{`If-None-Match: "a"`}, want: miss, status: 304, storing: "validated"},
				{want: hit, body: "#1"},
			},
		}, {
			name:   "a 304 to a condition of several lines may speak of any",
			origin: []reply{ok("Cache-Control: max-age=10", `ETag: "a"`), status(304, "Cache-Control: max-age=10"), ok()},
			steps: []step{
				{want: miss}, {wait: 10 * time.Second, with: []string{`If-None-Match: "a"`, `If-None-Match: "b"`}, want: miss, status: 304, storing: "not-modified-unasked"},
				{want: miss, body: "#3"},
			},
		}, {
			name:   "If-Match and If-Unmodified-Since are the origin's to evaluate",
			origin: []reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(412)},
			steps: []step{
				{want: miss}, {with: []string{`If-Match: "b"`}, want: bypass, status: 412, sent: []string{`If-Match: "b"`}},
				{with: []string{"If-Unmodified-Since: " + modified}, want: bypass, status: 412}, {want: hit},
			},
		}, {
			name:   "a stored 404 is returned whatever the condition (RFC 9110, section 13.2.1)",
			origin: []reply{status(404, "Cache-Control: max-age=60", `ETag: "a"`, "Last-Modified: "+modified)},
			steps: []step{
				{want: miss, status: 404}, {with: []string{`If-None-Match: "a"`}, want: hit, status: 404}, {with: ims(later), want: hit, status: 404},
			},
		}, {
			name:   "a 304 for another ETag confirms nothing: the request is made again",
			origin: []reply{ok(`ETag: "a"`), status(304, `ETag: "b"`), ok(`ETag: "c"`)},
			steps:  []step{{want: miss}, {want: miss, status: 200, body: "#3", sent: []string{"If-None-Match:"}}},
		},
	})
}

// Preconditions and ranges of methods other than GET and HEAD are passed on. If the tag matches, the origin answers 412
// (RFC 9110, sections 13.1.2 and 14.2).
func TestConditionsOfOtherMethods(t *testing.T) {
	for name, field := range map[string]string{
		"precondition": `If-None-Match: "a"`, "range": "Range: bytes=0-0",
	} {
		runScenarios(t, []scenario{{
			name, &cachecontrol.Transport{CacheableMethods: []string{"POST"}},
			[]reply{ok("Cache-Control: max-age=60", `ETag: "a"`), status(412)},
			[]step{
				{do: "POST /", want: miss}, {do: "POST /", want: hit},
				{do: "POST /", with: []string{field}, want: bypass, status: 412, sent: []string{field}},
				{do: "POST /", want: hit},
			},
		}})
	}
}

// If-None-Match of a caller is answered with 304 if the caller has the current response, and with 200 otherwise.
func TestCallersOwnIfNoneMatch(t *testing.T) {
	inm := func(tag string) []string { return []string{"If-None-Match: " + tag} }
	runScenarios(t, []scenario{
		{
			name:   "nothing stored: the 304 is the caller's",
			origin: []reply{status(304, `ETag: "a"`), ok(`ETag: "a"`, "Cache-Control: max-age=60")},
			steps:  []step{{with: inm(`"a"`), want: miss, status: 304, sent: inm(`"a"`)}, {want: miss, body: "#2"}, {want: hit, status: 200, body: "#2"}},
		}, {
			name:   "fresh",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=60")},
			steps: []step{
				{want: miss}, {with: inm(`"a"`), want: hit, status: 304}, {with: inm(`"x", W/"a"`), want: hit, status: 304},
				{with: inm(`"b"`), want: hit, status: 200, body: "#1"}, {with: inm("*"), want: hit, status: 304},
				{want: hit, status: 200, body: "#1"},
			},
		}, {
			name:   "stale: it goes to the origin as it is",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=10"), status(304, `ETag: "b"`), ok(`ETag: "c"`, "Cache-Control: max-age=10")},
			steps: []step{
				{want: miss},
				{wait: 10 * time.Second, with: inm(`"b"`), want: miss, status: 304, sent: inm(`"b"`), head: []string{`ETag: "b"`}},
				{want: miss, status: 200, body: "#3", sent: inm(`"a"`)},
			},
		}, {
			name:   "stale, and the origin has another: the answer is stored",
			origin: []reply{ok(`ETag: "a"`, "Cache-Control: max-age=10"), ok(`ETag: "b"`, "Cache-Control: max-age=10")},
			steps:  []step{{want: miss}, {wait: 10 * time.Second, with: inm(`"a"`), want: miss, status: 200, body: "#2"}, {want: hit, body: "#2"}},
		},
	})
}
