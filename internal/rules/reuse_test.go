package rules

import (
	"net/http"
	"testing"
	"time"
)

// reuseOf asks for a response that was generated at t0, after age, with a request's Cache-Control.
func reuseOf(p *Policy, req string, age time.Duration) Reuse {
	r := Request{}
	if req != "" {
		r = ParseRequest(fields("Cache-Control", req))
	}
	return p.Reuse(&r, t0.Add(age))
}

// RFC 9111, sections 4 and 5.2.1, RFC 5861 and RFC 8246.
func TestReuse(t *testing.T) {
	const (
		s  = time.Second
		ns = time.Nanosecond
	)
	for _, tt := range []struct {
		name   string
		rules  Options
		resp   string // its Cache-Control
		req    string
		age    time.Duration
		action Action
		reason Reason
	}{
		{"fresh", private, "max-age=60", "", 0, Serve, Fresh},
		{"fresh to the end", private, "max-age=60", "", 60*s - ns, Serve, Fresh},
		{"lifetime == age is stale (section 4.2)", private, "max-age=60", "", 60 * s, Validate, Expired},
		{"no lifetime", private, "max-age=0", "", 0, Validate, Expired},
		{"nothing said", private, "x", "", 0, Validate, Expired},
		{"for ever", private, "max-age=2147483648", "", Infinite - s, Serve, Fresh},
		{"not quite", private, "max-age=2147483648", "", forever, Validate, Expired},

		{"no-cache", private, "no-cache, max-age=60", "", 0, Validate, NoCacheResponse},
		{"no-cache with names", private, `no-cache="a", max-age=60`, "", 0, Serve, Fresh},
		{"must-revalidate while fresh", private, "must-revalidate, max-age=60", "", s, Serve, Fresh},
		{"private while fresh", private, "private, max-age=60", "", s, Serve, Fresh},

		{"the request's no-cache", private, "max-age=60", "no-cache", 0, Validate, NoCacheRequest},
		{"the request's no-store is no matter (section 5.2.1.5)", private, "max-age=60", "no-store", 0, Serve, Fresh},

		{"max-age, younger", private, "max-age=60", "max-age=10", 9 * s, Serve, Fresh},
		{"max-age, as old", private, "max-age=60", "max-age=10", 10 * s, Serve, Fresh},
		{"max-age, older", private, "max-age=60", "max-age=10", 10*s + ns, Validate, RequestMaxAge},
		{"max-age=0", private, "max-age=60", "max-age=0", 0, Validate, RequestMaxAge},
		{"max-age makes nothing fresh", private, "max-age=60", "max-age=3600", 60 * s, Validate, Expired},
		{"max-age, broken", private, "max-age=60", "max-age=x", 0, Validate, RequestMaxAge},

		{"max-stale, broken", private, "max-age=60", "max-stale=x", 60 * s, Validate, Expired},
		{"stale-while-revalidate, broken", private, "max-age=60, stale-while-revalidate=x", "", 60 * s, Validate, Expired},
		{"min-fresh, longer", private, "max-age=60", "min-fresh=10", 49 * s, Serve, Fresh},
		{"min-fresh, exactly", private, "max-age=60", "min-fresh=10", 50 * s, Serve, Fresh},
		{"min-fresh, shorter", private, "max-age=60", "min-fresh=10", 50*s + ns, Validate, RequestMinFresh},
		{"min-fresh above max-stale", private, "max-age=60", "min-fresh=10, max-stale", 55 * s, Validate, RequestMinFresh},

		{"max-stale while fresh", private, "max-age=60", "max-stale=10", s, Serve, Fresh},
		{"max-stale", private, "max-age=60", "max-stale=10", 61 * s, Serve, MaxStale},
		{"max-stale, exactly", private, "max-age=60", "max-stale=10", 70 * s, Serve, MaxStale},
		{"max-stale, over", private, "max-age=60", "max-stale=10", 70*s + ns, Validate, Expired},
		{"max-stale without a limit", private, "max-age=60", "max-stale", Infinite - s, Serve, MaxStale},
		{"max-stale and nothing said", private, "x", "max-stale=10", 5 * s, Serve, MaxStale},
		{"max-stale and max-age, both kept", private, "max-age=60", "max-stale=10, max-age=100", 65 * s, Serve, MaxStale},
		{"max-stale and max-age, older", private, "max-age=60", "max-stale=10, max-age=62", 65 * s, Validate, RequestMaxAge},
		{"max-stale, no-cache", private, "max-age=60, no-cache", "max-stale=10", 61 * s, Validate, NoCacheResponse},
		{"max-stale, must-revalidate", private, "max-age=60, must-revalidate", "max-stale=10", 61 * s, Validate, Expired},
		{"max-stale, malformed must-revalidate", private, "max-age=60, must-revalidate=x", "max-stale=10", 61 * s, Validate, Expired},
		{"max-stale, proxy-revalidate, private", private, "max-age=60, proxy-revalidate", "max-stale=10", 61 * s, Serve, MaxStale},
		{"max-stale, proxy-revalidate, shared", shared, "max-age=60, proxy-revalidate", "max-stale=10", 61 * s, Validate, Expired},
		{"max-stale, s-maxage, private", private, "max-age=60, s-maxage=60", "max-stale=10", 61 * s, Serve, MaxStale},
		{"max-stale, s-maxage, shared", shared, "s-maxage=60", "max-stale=10", 61 * s, Validate, Expired},

		{"stale-while-revalidate while fresh", private, "max-age=60, stale-while-revalidate=10", "", s, Serve, Fresh},
		{"stale-while-revalidate", private, "max-age=60, stale-while-revalidate=10", "", 60 * s, ServeAndValidate, WhileRevalidating},
		{"stale-while-revalidate, exactly", private, "max-age=60, stale-while-revalidate=10", "", 70 * s, ServeAndValidate, WhileRevalidating},
		{"stale-while-revalidate, over", private, "max-age=60, stale-while-revalidate=10", "", 70*s + ns, Validate, Expired},
		{"stale-while-revalidate, no-cache", private, "no-cache, max-age=60, stale-while-revalidate=10", "", 61 * s, Validate, NoCacheResponse},
		{"stale-while-revalidate, must-revalidate", private, "must-revalidate, max-age=60, stale-while-revalidate=10", "", 61 * s, Validate, Expired},
		{"stale-while-revalidate, proxy-revalidate, private", private, "proxy-revalidate, max-age=60, stale-while-revalidate=10", "", 61 * s, ServeAndValidate, WhileRevalidating},
		{"stale-while-revalidate, proxy-revalidate, shared", shared, "proxy-revalidate, max-age=60, stale-while-revalidate=10", "", 61 * s, Validate, Expired},
		{"stale-while-revalidate, s-maxage, shared", shared, "s-maxage=60, stale-while-revalidate=10", "", 61 * s, Validate, Expired},
		{"stale-while-revalidate, the request's no-cache", private, "max-age=60, stale-while-revalidate=10", "no-cache", 61 * s, Validate, NoCacheRequest},
		// Without max-stale a request with max-age wants nothing stale (section 5.2.1.1), nor with one anything staler.
		{"stale-while-revalidate, max-age", private, "max-age=60, stale-while-revalidate=10", "max-age=100", 61 * s, Validate, Expired},
		{"stale-while-revalidate, max-stale", private, "max-age=60, stale-while-revalidate=10", "max-stale=3", 62 * s, Serve, MaxStale},
		{"stale-while-revalidate beyond max-stale", private, "max-age=60, stale-while-revalidate=10", "max-stale=3", 65 * s, Validate, Expired},
		{"stale-while-revalidate, min-fresh", private, "max-age=60, stale-while-revalidate=10", "min-fresh=0", 61 * s, Validate, RequestMinFresh},

		{"stale-if-error is for errors", private, "max-age=60, stale-if-error=10", "", 61 * s, Validate, Expired},

		{"immutable, a reload", private, "max-age=60, immutable", "max-age=0", s, Serve, ImmutableReload},
		{"immutable, a forced reload", private, "max-age=60, immutable", "no-cache", s, Validate, NoCacheRequest},
		{"immutable, a reload when stale", private, "max-age=60, immutable", "max-age=0", 60 * s, Validate, RequestMaxAge},
		{"immutable, another max-age", private, "max-age=60, immutable", "max-age=1", 2 * s, Validate, RequestMaxAge},
		{"immutable and no-cache", private, "max-age=60, immutable, no-cache", "", s, Validate, NoCacheResponse},
		{"immutable when stale", private, "max-age=60, immutable", "", 60 * s, Validate, Expired},

		{"only-if-cached, fresh", private, "max-age=60", "only-if-cached", s, Serve, Fresh},
		{"only-if-cached, stale", private, "max-age=60", "only-if-cached", 60 * s, Refuse, OnlyIfCached},
		{"only-if-cached, max-stale", private, "max-age=60", "only-if-cached, max-stale", 60 * s, Serve, MaxStale},
		{"only-if-cached, stale-while-revalidate", private, "max-age=60, stale-while-revalidate=10", "only-if-cached", 60 * s, ServeAndValidate, WhileRevalidating},
		{"only-if-cached, no-cache", private, "max-age=60", "only-if-cached, no-cache", s, Refuse, OnlyIfCached},
		{"only-if-cached, max-age", private, "max-age=60", "only-if-cached, max-age=1", 2 * s, Refuse, OnlyIfCached},
		{"only-if-cached, the response's no-cache", private, "max-age=60, no-cache", "only-if-cached", s, Refuse, OnlyIfCached},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(tt.rules, 200, "Cache-Control", tt.resp)
			got := reuseOf(p, tt.req, tt.age)
			if got.Action != tt.action || got.Reason != tt.reason {
				t.Errorf("%v %v, want %v %v", got.Action, got.Reason, tt.action, tt.reason)
			}
			if stale := tt.reason == MaxStale || tt.reason == WhileRevalidating; got.Stale() != (stale || got.Action != Serve && tt.age >= p.Lifetime) {
				t.Errorf("stale %v, want %v", got.Stale(), stale)
			}
			if age := min(tt.age, Infinite); got.Age != age || got.TTL != p.Lifetime-age {
				t.Errorf("age %v, TTL %v; want %v, %v", got.Age, got.TTL, age, p.Lifetime-age)
			}
		})
	}
}

func TestReusePragma(t *testing.T) {
	p := policyOf(private, 200, "Cache-Control", "max-age=60")
	req := ParseRequest(fields("Pragma", "no-cache"))
	if got := p.Reuse(&req, t0); got.Action != Validate || got.Reason != PragmaNoCache {
		t.Errorf("%v %v", got.Action, got.Reason)
	}
}

// What came with Age is that much older: a common bug is to look at it only when answering.
func TestReuseAged(t *testing.T) {
	if got := reuseOf(policyOf(private, 200, "Cache-Control", "max-age=60", "Age", "100"), "", 0); got.Action != Validate || got.TTL != -40*time.Second {
		t.Errorf("Age: 100, max-age=60: %+v", got)
	}
	if got := reuseOf(policyOf(private, 200, "Cache-Control", "max-age=60", "Age", "50"), "", 9*time.Second); got.Action != Serve || got.Age != 59*time.Second {
		t.Errorf("Age: 50, max-age=60, nine seconds later: %+v", got)
	}
}

// A permanent redirect without directives is served for ever, but not past a directive (CacheControl does both).
func TestReusePermanent(t *testing.T) {
	p := policyOf(private, 301)
	if got := reuseOf(p, "", 50*365*24*time.Hour); got.Action != Serve || got.Reason != Fresh {
		t.Errorf("after 50 years: %+v", got)
	}
	if got := reuseOf(p, "no-cache", 0); got.Action != Validate {
		t.Errorf("no-cache: %+v", got)
	}
	if got := reuseOf(policyOf(private, 301, "Cache-Control", "max-age=60"), "", time.Minute); got.Action != Validate {
		t.Errorf("max-age=60, a minute later: %+v", got)
	}
}

// RFC 9111, section 4.2.4, and RFC 5861, section 4.
func TestReuseOnError(t *testing.T) {
	const (
		s  = time.Second
		ns = time.Nanosecond
	)
	hour := Options{StaleIfError: time.Hour}
	for _, tt := range []struct {
		name  string
		rules Options
		resp  string
		req   string
		age   time.Duration
		serve bool
	}{
		{"nothing allows it", private, "max-age=60", "", 61 * s, false},
		{"nothing allows it, stale since now", private, "max-age=60", "", 60 * s, false},
		{"stale-if-error", private, "max-age=60, stale-if-error=10", "", 61 * s, true},
		{"exactly", private, "max-age=60, stale-if-error=10", "", 70 * s, true},
		{"over", private, "max-age=60, stale-if-error=10", "", 70*s + ns, false},
		{"broken", private, "max-age=60, stale-if-error=x", "", 61 * s, false},
		{"broken, stale since now", private, "max-age=60, stale-if-error=x", "", 60 * s, false},
		{"no time at all", private, "max-age=60, stale-if-error=0", "", 60 * s, false},
		{"the request's, broken", private, "max-age=60", "stale-if-error=x", 60 * s, false},
		{"still fresh", private, "max-age=60, stale-if-error=10", "", s, true},
		{"stale-while-revalidate is no error's", private, "max-age=60, stale-while-revalidate=10", "", 61 * s, false},
		{"the request's", private, "max-age=60", "stale-if-error=10", 70 * s, true},
		{"the request's, over", private, "max-age=60", "stale-if-error=10", 70*s + ns, false},
		{"the longer of both", private, "max-age=60, stale-if-error=10", "stale-if-error=20", 80 * s, true},
		{"the cache's own", hour, "max-age=60", "", 61 * s, true},
		{"the cache's own, over", hour, "max-age=60", "", time.Hour + 60*s + ns, false},
		{"the cache's own, for what is never fresh", hour, "max-age=0", "", s, true},
		{"must-revalidate", hour, "max-age=60, stale-if-error=10, must-revalidate", "stale-if-error=10", 61 * s, false},
		{"no-cache", hour, "max-age=60, stale-if-error=10, no-cache", "", 61 * s, false},
		{"proxy-revalidate, private", private, "max-age=60, stale-if-error=10, proxy-revalidate", "", 61 * s, true},
		{"proxy-revalidate, shared", shared, "max-age=60, stale-if-error=10, proxy-revalidate", "", 61 * s, false},
		{"s-maxage, shared", shared, "s-maxage=60, stale-if-error=10", "", 61 * s, false},
		// A reload wants the origin's word, unless it says otherwise itself.
		{"the request's no-cache", hour, "max-age=60, stale-if-error=10", "no-cache", 61 * s, false},
		{"the request's max-age=0", hour, "max-age=60, stale-if-error=10", "max-age=0", 61 * s, false},
		{"the request's no-cache and stale-if-error", private, "max-age=60", "no-cache, stale-if-error=10", 61 * s, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(tt.rules, 200, "Cache-Control", tt.resp)
			req := ParseRequest(fields("Cache-Control", tt.req))
			got := p.ReuseOnError(&req, t0.Add(tt.age))
			want := Reuse{Action: Validate, Reason: Expired, Age: tt.age, TTL: p.Lifetime - tt.age}
			if tt.serve {
				want.Action, want.Reason = Serve, OnError
			}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestServerFailed(t *testing.T) {
	failed := map[int]bool{500: true, 502: true, 503: true, 504: true} // RFC 5861, section 4
	for status := range 600 {
		if got := ServerFailed(status); got != failed[status] {
			t.Errorf("%d: %v", status, got)
		}
	}
}

func TestSetPreconditions(t *testing.T) {
	modified := httpDate(t0.Add(-time.Hour))
	for _, tt := range []struct {
		resp []string
		want http.Header
	}{
		{nil, fields("X", "1")},
		{[]string{"Etag", `W/"a"`}, fields("X", "1", "If-None-Match", `W/"a"`)},
		{[]string{"Last-Modified", modified}, fields("X", "1", "If-Modified-Since", modified)},
		{[]string{"Etag", `"a"`, "Last-Modified", modified}, fields("X", "1", "If-None-Match", `"a"`, "If-Modified-Since", modified)},
		{[]string{"Last-Modified", "0"}, fields("X", "1")},
		{[]string{"Last-Modified", "Thu Jan  1 11:00:00 2026"}, fields("X", "1", "If-Modified-Since", "Thu Jan  1 11:00:00 2026")}, // as received
	} {
		h := fields("X", "1")
		policyOf(private, 200, tt.resp...).SetPreconditions(h)
		if !equal(h, tt.want) {
			t.Errorf("%q: %v, want %v", tt.resp, h, tt.want)
		}
	}
}

// Each of the two fields can be appended to without changing the other.
func TestSetPreconditionsApart(t *testing.T) {
	h := http.Header{}
	modified := httpDate(t0.Add(-time.Hour))
	policyOf(private, 200, "Etag", `"a"`, "Last-Modified", modified).SetPreconditions(h)
	h.Add("If-None-Match", `"b"`)
	h.Add("If-Modified-Since", "x")
	if got := h["If-Modified-Since"]; len(got) != 2 || got[0] != modified {
		t.Errorf("If-Modified-Since is %q after another If-None-Match was added, want %q and x", got, modified)
	}
	if got := h["If-None-Match"]; len(got) != 2 || got[0] != `"a"` || got[1] != `"b"` {
		t.Errorf("If-None-Match is %q, want both tags", got)
	}
}
