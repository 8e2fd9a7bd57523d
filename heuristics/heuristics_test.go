package heuristics

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A synctest bubble starts at midnight on 1 January 2000: "now" in all tables.
const (
	now       = "Sat, 01 Jan 2000 00:00:00 GMT"
	yesterday = "Fri, 31 Dec 1999 00:00:00 GMT"
	tomorrow  = "Sun, 02 Jan 2000 00:00:00 GMT"
)

func response(status int, fields ...string) *http.Response {
	h := make(http.Header)
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return &http.Response{StatusCode: status, Header: h}
}

// check applies h to resp and compares all of its header.
func check(t *testing.T, h Heuristic, resp *http.Response, want http.Header) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		Apply(h, resp, false)
		if diff := cmp.Diff(want, resp.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	})
}

func TestOneDay(t *testing.T) {
	for _, tt := range []struct {
		name string
		resp *http.Response
		want http.Header
	}{
		{"a day from Date, not from now", response(200, "Date", yesterday),
			http.Header{"Date": {yesterday}, "Expires": {now}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"over a month's end", response(200, "Date", "Mon, 28 Feb 2000 23:59:59 GMT"),
			http.Header{"Date": {"Mon, 28 Feb 2000 23:59:59 GMT"}, "Expires": {"Tue, 29 Feb 2000 23:59:59 GMT"},
				"Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"any status", response(500, "Date", now),
			http.Header{"Date": {now}, "Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"Cache-Control is replaced, all lines of it", response(200, "Date", now, "Cache-Control", "no-store", "Cache-Control", "private"),
			http.Header{"Date": {now}, "Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"Expires is left", response(200, "Date", now, "Expires", yesterday),
			http.Header{"Date": {now}, "Expires": {yesterday}}},
		{"even an invalid one", response(200, "Date", now, "Expires", "0", "Cache-Control", "no-cache"),
			http.Header{"Date": {now}, "Expires": {"0"}, "Cache-Control": {"no-cache"}}},
		{"even an empty one", response(200, "Date", now, "Expires", ""),
			http.Header{"Date": {now}, "Expires": {""}}},
		{"without Date: from now", response(200),
			http.Header{"Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"with a broken Date: from now", response(200, "Date", "yesterday"),
			http.Header{"Date": {"yesterday"}, "Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"obsolete form of Date", response(200, "Date", "Friday, 31-Dec-99 00:00:00 GMT"),
			http.Header{"Date": {"Friday, 31-Dec-99 00:00:00 GMT"}, "Expires": {now}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
		{"nil header", &http.Response{StatusCode: 200},
			http.Header{"Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warningStale}}},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, OneDay, tt.resp, tt.want) })
	}
}

func TestExpiresAfter(t *testing.T) {
	const warning = "110 - Automatically cached for 1 day, 0:00:00. Response might be stale"
	for _, tt := range []struct {
		name string
		d    time.Duration
		resp *http.Response
		want http.Header
	}{
		{"from now, not from Date", 24 * time.Hour, response(200, "Date", yesterday),
			http.Header{"Date": {yesterday}, "Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warning}}},
		{"Expires and Cache-Control are replaced", 24 * time.Hour,
			response(200, "Expires", "0", "Expires", yesterday, "Cache-Control", "max-age=0, no-store"),
			http.Header{"Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warning}}},
		{"a Warning is replaced", 24 * time.Hour, response(404, "Warning", `199 - "x"`),
			http.Header{"Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warning}}},
		{"parts of a second are dropped", 1500 * time.Millisecond, response(200),
			http.Header{"Expires": {"Sat, 01 Jan 2000 00:00:01 GMT"}, "Cache-Control": {"public"},
				"Warning": {"110 - Automatically cached for 0:00:01.500000. Response might be stale"}}},
		{"in the past", -time.Second, response(200),
			http.Header{"Expires": {"Fri, 31 Dec 1999 23:59:59 GMT"}, "Cache-Control": {"public"},
				"Warning": {"110 - Automatically cached for -1 day, 23:59:59. Response might be stale"}}},
		{"nil header", 24 * time.Hour, &http.Response{},
			http.Header{"Expires": {tomorrow}, "Cache-Control": {"public"}, "Warning": {warning}}},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, ExpiresAfter(tt.d), tt.resp, tt.want) })
	}
}

// The values on the right are what str(timedelta(...)) gives.
func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0:00:00",
		time.Second:                   "0:00:01",
		time.Minute:                   "0:01:00",
		10 * time.Hour:                "10:00:00",
		24 * time.Hour:                "1 day, 0:00:00",
		36 * time.Hour:                "1 day, 12:00:00",
		48*time.Hour + 3*time.Second:  "2 days, 0:00:03",
		7 * 24 * time.Hour:            "7 days, 0:00:00",
		-time.Second:                  "-1 day, 23:59:59",
		-24 * time.Hour:               "-1 day, 0:00:00",
		-72 * time.Hour:               "-3 days, 0:00:00",
		1500 * time.Microsecond:       "0:00:00.001500",
		time.Nanosecond:               "0:00:00",
		time.Hour + 1*time.Nanosecond: "1:00:00",
	} {
		if got := words(d); got != want {
			t.Errorf("words(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestLastModified(t *testing.T) {
	const (
		tenDaysAgo = "Wed, 22 Dec 1999 00:00:00 GMT"
		fiveDays   = "Mon, 27 Dec 1999 00:00:00 GMT"
		longAgo    = "Tue, 01 Jan 1980 00:00:00 GMT"
		hourAgo    = "Fri, 31 Dec 1999 23:00:00 GMT"
	)
	for _, tt := range []struct {
		name    string
		resp    *http.Response
		expires string // "": nothing is set
	}{
		{"a tenth: 12 of 120 hours", response(200, "Date", now, "Last-Modified", fiveDays), "Sat, 01 Jan 2000 12:00:00 GMT"},
		{"a day exactly", response(200, "Date", now, "Last-Modified", tenDaysAgo), tomorrow},
		{"a day at most", response(200, "Date", now, "Last-Modified", longAgo), tomorrow},
		{"the longest there is", response(200, "Date", now, "Last-Modified", "Mon, 01 Jan 0001 00:00:00 GMT"), tomorrow},
		{"from Date, not from now", response(200, "Date", hourAgo, "Last-Modified", longAgo), "Sat, 01 Jan 2000 23:00:00 GMT"},
		{"Date ahead of the clock", response(200, "Date", tomorrow, "Last-Modified", longAgo), "Mon, 03 Jan 2000 00:00:00 GMT"},
		{"stale already", response(200, "Date", hourAgo, "Last-Modified", "Fri, 31 Dec 1999 22:00:00 GMT"), ""},
		{"stale just now", response(200, "Date", yesterday, "Last-Modified", longAgo), ""},
		{"modified now", response(200, "Date", now, "Last-Modified", now), ""},
		{"modified after Date", response(200, "Date", now, "Last-Modified", tomorrow), ""},
		{"no Last-Modified", response(200, "Date", now), ""},
		{"broken Last-Modified", response(200, "Date", now, "Last-Modified", "long ago"), ""},
		{"no Date: now", response(200, "Last-Modified", longAgo), tomorrow},
		{"broken Date: now", response(200, "Date", "0", "Last-Modified", longAgo), tomorrow},
		{"Expires", response(200, "Date", now, "Last-Modified", longAgo, "Expires", yesterday), ""},
		{"broken Expires", response(200, "Date", now, "Last-Modified", longAgo, "Expires", "-1"), ""},

		{"public", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public"), tomorrow},
		{"Public", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "Public"), tomorrow},
		{"no-store", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "no-store"), ""},
		{"no-cache", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "no-cache"), ""},
		{"private", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "private"), ""},
		{"max-age", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "max-age=1"), ""},
		{"public and more", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public, must-revalidate"), ""},
		{"public, no-store on another line", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public", "Cache-Control", "no-store"), ""},
		{"empty", response(200, "Date", now, "Last-Modified", longAgo, "Cache-Control", ""), ""},

		{"599", response(599, "Date", now, "Last-Modified", longAgo), ""},
		{"599 public", response(599, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public"), tomorrow},
		{"201 public", response(201, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public"), tomorrow},
		{"101 public", response(101, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public"), ""},
		{"no status, public", response(0, "Date", now, "Last-Modified", longAgo, "Cache-Control", "public"), ""},
		{"nil header", &http.Response{StatusCode: 200}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.resp.Header.Clone()
			if tt.expires != "" {
				want["Expires"] = []string{tt.expires}
			}
			check(t, LastModified, tt.resp, want)
		})
	}

	// CacheControl's set, and 308.
	heuristic := map[int]bool{200: true, 203: true, 204: true, 206: true, 300: true, 301: true, 308: true,
		404: true, 405: true, 410: true, 414: true, 501: true}
	for status := range 600 {
		resp := response(status, "Last-Modified", longAgo)
		if got := LastModified.UpdateHeaders(resp) != nil; got != heuristic[status] {
			t.Errorf("LastModified applies to status %d: %v, want %v", status, got, heuristic[status])
		}
	}
}

// A lifetime in parts of a second counts, though the field cannot say them.
func TestLastModifiedBetweenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp := response(200, "Date", now, "Last-Modified", "Fri, 31 Dec 1999 23:59:45 GMT") // 1.5 s
		time.Sleep(1499 * time.Millisecond)
		got := LastModified.UpdateHeaders(resp)
		if want := (http.Header{"Expires": {"Sat, 01 Jan 2000 00:00:01 GMT"}}); !cmp.Equal(got, want) {
			t.Errorf("before 1.5 s: %v, want %v", got, want)
		}
		time.Sleep(time.Millisecond)
		if got := LastModified.UpdateHeaders(resp); got != nil {
			t.Errorf("after 1.5 s: %v, want none", got)
		}
	})
}

type fixed struct {
	fields  http.Header
	warning string
}

func (f fixed) UpdateHeaders(*http.Response) http.Header { return f.fields }
func (f fixed) Warning(*http.Response) string            { return f.warning }

func TestApply(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    Heuristic
		want http.Header
	}{
		{"nil heuristic", nil, http.Header{"A": {"1", "2"}}},
		{"nothing to set, so no Warning", fixed{nil, "110 x"}, http.Header{"A": {"1", "2"}}},
		{"an empty header is nothing to set", fixed{http.Header{}, "110 x"}, http.Header{"A": {"1", "2"}}},
		{"replaces all lines", fixed{http.Header{"A": {"3"}}, ""}, http.Header{"A": {"3"}}},
		{"names in any case", fixed{http.Header{"a": {"3"}}, ""}, http.Header{"A": {"3"}}},
		{"several lines", fixed{http.Header{"B": {"3", "4"}}, ""}, http.Header{"A": {"1", "2"}, "B": {"3", "4"}}},
		{"no values: removed", fixed{http.Header{"A": nil}, "110 x"}, http.Header{"Warning": {"110 x"}}},
		{"Warning", fixed{http.Header{"B": {"3"}}, "110 x"}, http.Header{"A": {"1", "2"}, "B": {"3"}, "Warning": {"110 x"}}},
		{"Func", Func(func(*http.Response) http.Header { return http.Header{"B": {"3"}} }),
			http.Header{"A": {"1", "2"}, "B": {"3"}}},
		{"Func that sets nothing", Func(func(*http.Response) http.Header { return nil }), http.Header{"A": {"1", "2"}}},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.h, response(200, "A", "1", "A", "2"), tt.want) })
	}
}

// Two responses never share a line that their heuristic keeps.
func TestApplyCopies(t *testing.T) {
	f := fixed{http.Header{"B": {"3"}}, ""}
	resp := response(200)
	Apply(f, resp, false)
	resp.Header["B"][0] = "changed"
	if f.fields["B"][0] != "3" {
		t.Error("the response's header shares the heuristic's")
	}
}

func TestNilResponse(t *testing.T) {
	for _, h := range []Heuristic{OneDay, ExpiresAfter(time.Hour), LastModified} {
		Apply(h, nil, true)
		h.UpdateHeaders(nil)
		h.Warning(nil)
	}
}

// In a shared cache the heuristics of this package leave errors alone that do not say public.
func TestApplyInSharedCache(t *testing.T) {
	own := Func(func(*http.Response) http.Header { return http.Header{"X": {"1"}} })
	for name, h := range map[string]Heuristic{"OneDay": OneDay, "ExpiresAfter": ExpiresAfter(time.Hour), "LastModified": LastModified} {
		for _, status := range []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501, 400, 403, 500, 503} {
			for _, cc := range []string{"", "public"} {
				applies := func(h Heuristic, shared bool) bool {
					resp := response(status, "Last-Modified", "Fri, 31 Dec 1999 00:00:00 GMT")
					if cc != "" {
						resp.Header.Set("Cache-Control", cc)
					}
					return Apply(h, resp, shared) != nil
				}
				alone := applies(h, false)
				if got, want := applies(h, true), alone && (status < 400 || cc == "public"); got != want {
					t.Errorf("%s in a shared cache applies to %d %s: %v, want %v", name, status, cc, got, want)
				}
				if got := applies(WithErrors(h), true); got != alone {
					t.Errorf("%s with errors in a shared cache applies to %d %s: %v, want %v", name, status, cc, got, alone)
				}
			}
		}
	}
	if Apply(own, response(404), true) == nil {
		t.Error("a heuristic of the program's own does not apply to 404, want it to")
	}
}
