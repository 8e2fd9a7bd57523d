package rules

import (
	"math"
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
		t.Errorf("Reuse for Pragma: no-cache = %v %v, want %v %v", got.Action, got.Reason, Validate, PragmaNoCache)
	}
}

// The Age of a response counts when its freshness is computed, and not only when Age is sent.
func TestReuseAged(t *testing.T) {
	if got := reuseOf(policyOf(private, 200, "Cache-Control", "max-age=60", "Age", "100"), "", 0); got.Action != Validate || got.TTL != -40*time.Second {
		t.Errorf("Age: 100, max-age=60: %+v, want validation and a TTL of -40s", got)
	}
	if got := reuseOf(policyOf(private, 200, "Cache-Control", "max-age=60", "Age", "50"), "", 9*time.Second); got.Action != Serve || got.Age != 59*time.Second {
		t.Errorf("Age: 50, max-age=60, nine seconds later: %+v, want it served with an age of 59s", got)
	}
}

// A permanent redirect without directives never becomes stale, but its directives count.
func TestReusePermanent(t *testing.T) {
	p := policyOf(private, 301)
	if got := reuseOf(p, "", 50*365*24*time.Hour); got.Action != Serve || got.Reason != Fresh {
		t.Errorf("a 301 after 50 years: %+v, want it served as fresh", got)
	}
	if got := reuseOf(p, "no-cache", 0); got.Action != Validate {
		t.Errorf("a 301 for a request with no-cache: %+v, want validation", got)
	}
	if got := reuseOf(policyOf(private, 301, "Cache-Control", "max-age=60"), "", time.Minute); got.Action != Validate {
		t.Errorf("a 301 with max-age=60 after a minute: %+v, want validation", got)
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

// A response may be used because the origin is slow if it may be used when the origin fails, unless the request itself sets
// a limit.
func TestReuseIfSlow(t *testing.T) {
	hour := Options{StaleIfError: time.Hour}
	for _, tt := range []struct {
		rules Options
		resp  string
		req   string
		serve bool
	}{
		{hour, "max-age=60", "", true},
		{private, "max-age=60, stale-if-error=60", "", true},
		{private, "max-age=60", "stale-if-error=60", true},
		{private, "max-age=60", "", false},
		{private, "max-age=60, stale-while-revalidate=60", "", false},
		{hour, "max-age=60, must-revalidate", "", false},
		{hour, "max-age=60, no-cache", "", false},
		{Options{Shared: true, StaleIfError: time.Hour}, "s-maxage=60", "", false},
		{hour, "max-age=60", "no-cache", false},
		{hour, "max-age=60", "no-cache, stale-if-error=60", false},
		{hour, "max-age=60", "max-age=0", false},
		{hour, "max-age=60", "max-age=100", false},
		{hour, "max-age=60", "min-fresh=1", false},
		{hour, "max-age=60", "max-stale=1", false},
		{Options{Replay: true}, "max-age=60", "no-cache", false},
	} {
		p := policyOf(tt.rules, 200, "Cache-Control", tt.resp)
		req := ParseRequest(fields("Cache-Control", tt.req))
		got := p.ReuseIfSlow(&req, t0.Add(62*time.Second))
		if (got.Action == Serve) != tt.serve || tt.serve && got.Reason != OriginSlow {
			t.Errorf("%q for a request with %q: %+v, want served: %v", tt.resp, tt.req, got, tt.serve)
		}
	}
}

// The program requests more than the header of the request does.
func TestReuseAsRequested(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name   string
		rules  Options
		resp   string // its Cache-Control
		req    Request
		age    time.Duration
		action Action
		reason Reason
		ttl    time.Duration
	}{
		{"refresh", private, "max-age=60", Request{Refresh: true}, 0, Validate, RefreshRequested, 60 * s},
		{"refresh above immutable", private, "max-age=60, immutable", Request{Refresh: true}, 0, Validate, RefreshRequested, 60 * s},
		{"refresh above stale-while-revalidate", private, "max-age=1, stale-while-revalidate=60", Request{Refresh: true}, 2 * s, Validate, RefreshRequested, -s},
		{"refresh and only-if-cached", private, "max-age=60", Request{Refresh: true, OnlyIfCached: true}, 0, Refuse, OnlyIfCached, 60 * s},

		{"stale, allowed", private, "max-age=60", Request{AllowStale: 5 * s}, 65 * s, Serve, AllowStale, -5 * s},
		{"too stale", private, "max-age=60", Request{AllowStale: 5 * s}, 65*s + 1, Validate, Expired, -5*s - 1},
		{"any age", private, "max-age=60", Request{AllowStale: -1}, Infinite, Serve, AllowStale, 60*s - Infinite},
		{"fresh", private, "max-age=60", Request{AllowStale: -1}, 0, Serve, Fresh, 60 * s},
		{"must-revalidate", private, "max-age=60, must-revalidate", Request{AllowStale: -1}, 60 * s, Validate, Expired, 0},
		{"proxy-revalidate", shared, "max-age=60, proxy-revalidate", Request{AllowStale: -1}, 60 * s, Validate, Expired, 0},
		{"proxy-revalidate, private", private, "max-age=60, proxy-revalidate", Request{AllowStale: -1}, 60 * s, Serve, AllowStale, 0},
		{"no-cache", private, "max-age=60, no-cache", Request{AllowStale: -1}, 0, Validate, NoCacheResponse, 60 * s},
		{"max-stale is stricter", private, "max-age=60", Request{AllowStale: -1, MaxStale: Delta{s, true}}, 62 * s, Validate, Expired, -2 * s},
		{"max-stale is enough", private, "max-age=60", Request{AllowStale: s, MaxStale: Delta{5 * s, true}}, 62 * s, Serve, MaxStale, -2 * s},
		{"stale-while-revalidate first", private, "max-age=60, stale-while-revalidate=5", Request{AllowStale: -1}, 62 * s, ServeAndValidate, WhileRevalidating, -2 * s},
		{"and then", private, "max-age=60, stale-while-revalidate=1", Request{AllowStale: -1}, 62 * s, Serve, AllowStale, -2 * s},

		{"stale-while-revalidate of the cache", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{}, 65 * s, ServeAndValidate, WhileRevalidating, -5 * s},
		{"too stale for it", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{}, 65*s + 1, Validate, Expired, -5*s - 1},
		{"a response without freshness", Options{StaleWhileRevalidate: 5 * s}, "x", Request{}, 5 * s, ServeAndValidate, WhileRevalidating, -5 * s},
		{"a shorter directive", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, stale-while-revalidate=1", Request{}, 62 * s, Validate, Expired, -2 * s},
		{"a directive of 0", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, stale-while-revalidate=0", Request{}, 60 * s, Validate, Expired, 0},
		{"an invalid directive", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, stale-while-revalidate=x", Request{}, 60 * s, Validate, Expired, 0},
		{"must-revalidate", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, must-revalidate", Request{}, 60 * s, Validate, Expired, 0},
		{"no-cache", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, no-cache", Request{}, 60 * s, Validate, NoCacheResponse, 0},
		{"proxy-revalidate in a shared cache", Options{Shared: true, StaleWhileRevalidate: 5 * s}, "max-age=60, proxy-revalidate", Request{}, 60 * s, Validate, Expired, 0},
		{"proxy-revalidate in a private cache", Options{StaleWhileRevalidate: 5 * s}, "max-age=60, proxy-revalidate", Request{}, 60 * s, ServeAndValidate, WhileRevalidating, 0},
		{"s-maxage in a shared cache", Options{Shared: true, StaleWhileRevalidate: 5 * s}, "s-maxage=60", Request{}, 60 * s, Validate, Expired, 0},
		{"a request that limits staleness", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{MaxStale: Delta{s, true}}, 62 * s, Validate, Expired, -2 * s},
		{"a request that limits the age", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{MaxAge: Delta{100 * s, true}}, 62 * s, Validate, Expired, -2 * s},
		{"a request that asks the origin", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{Refresh: true}, 62 * s, Validate, RefreshRequested, -2 * s},
		{"the program allows more", Options{StaleWhileRevalidate: s}, "max-age=60", Request{StaleWhileRevalidate: 5 * s}, 65 * s, ServeAndValidate, WhileRevalidating, -5 * s},
		{"the program allows less", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{StaleWhileRevalidate: s}, 62 * s, Validate, Expired, -2 * s},
		{"the program allows none", Options{StaleWhileRevalidate: 5 * s}, "max-age=60", Request{StaleWhileRevalidate: -1}, 60 * s, Validate, Expired, 0},
		{"the program allows none, the response does", private, "max-age=60, stale-while-revalidate=5", Request{StaleWhileRevalidate: -1}, 60 * s, Validate, Expired, 0},
		{"the program allows more than the response", private, "max-age=60, stale-while-revalidate=1", Request{StaleWhileRevalidate: 5 * s}, 62 * s, Validate, Expired, -2 * s},

		{"a longer lifetime", private, "max-age=60", Request{Lifetime: 90 * s}, 80 * s, Serve, OwnLifetime, 10 * s},
		{"its end", private, "max-age=60", Request{Lifetime: 90 * s}, 90 * s, Validate, Expired, 0},
		{"a shorter one", private, "max-age=60", Request{Lifetime: 30 * s}, 30 * s, Validate, Expired, 0},
		{"for what says nothing", private, "x", Request{Lifetime: 30 * s}, 29 * s, Serve, OwnLifetime, s},
		{"must-revalidate", private, "max-age=60, must-revalidate", Request{Lifetime: 90 * s}, 60 * s, Validate, Expired, 0},
		{"must-revalidate, shorter", private, "max-age=60, must-revalidate", Request{Lifetime: 30 * s}, 30 * s, Validate, Expired, 0},
		{"must-revalidate alone", private, "must-revalidate", Request{Lifetime: 30 * s}, 29 * s, Serve, OwnLifetime, s},
		{"s-maxage in a shared cache", shared, "s-maxage=60", Request{Lifetime: 90 * s}, 60 * s, Validate, Expired, 0},
		{"no-cache", private, "no-cache", Request{Lifetime: 90 * s}, 0, Validate, NoCacheResponse, 90 * s},
		{"the request's max-age is stricter", private, "max-age=60", Request{Lifetime: 90 * s, MaxAge: Delta{10 * s, true}}, 11 * s, Validate, RequestMaxAge, 79 * s},
		{"beyond the end", private, "max-age=60", Request{Lifetime: math.MaxInt64}, 0, Serve, OwnLifetime, Infinite},
	} {
		p := policyOf(tt.rules, 200, "Cache-Control", tt.resp)
		got := p.Reuse(&tt.req, t0.Add(tt.age))
		if got.Action != tt.action || got.Reason != tt.reason || got.TTL != tt.ttl {
			t.Errorf("%s: action %d, %v, ttl %v; want %d, %v, %v", tt.name, got.Action, got.Reason, got.TTL, tt.action, tt.reason, tt.ttl)
		}
	}
}

func TestReuseOnErrorAsRequested(t *testing.T) {
	for _, tt := range []struct {
		resp string
		req  Request
		want Action
	}{
		{"max-age=60", Request{Refresh: true}, Validate},
		{"max-age=60, stale-if-error=600", Request{Refresh: true}, Validate},
		{"max-age=60", Request{Refresh: true, AllowStale: -1}, Serve},
		{"max-age=60", Request{Refresh: true, AllowStale: 10 * time.Second}, Serve},
		{"max-age=60", Request{Refresh: true, AllowStale: 9 * time.Second}, Validate},
		{"max-age=60", Request{Refresh: true, Lifetime: 61 * time.Second, AllowStale: 9 * time.Second}, Serve},
		{"max-age=60, must-revalidate", Request{AllowStale: -1}, Validate},
	} {
		p := policyOf(private, 200, "Cache-Control", tt.resp)
		if got := p.ReuseOnError(&tt.req, t0.Add(70*time.Second)); got.Action != tt.want {
			t.Errorf("%s, %+v: ReuseOnError = %+v, want action %v", tt.resp, tt.req, got, tt.want)
		}
	}
}

// A cache that replays stores every response that may be stored, and keeps it without a limit.
func TestReplayRules(t *testing.T) {
	for _, resp := range []string{"max-age=60", "max-age=0", "no-cache", "must-revalidate", "x"} {
		p := policyOf(Options{Replay: true}, 200, "Cache-Control", resp)
		if got := p.Store(Request{}, false); !got.OK || p.Retention() != 0 {
			t.Errorf("%s: Store = %+v, Retention() = %v, want it stored without a limit", resp, got, p.Retention())
		}
		for _, req := range []Request{{}, {NoCache: true}, {MaxAge: Delta{0, true}}, {OnlyIfCached: true}} {
			if got := p.Reuse(&req, t0.Add(forever)); got.Action != Serve || got.Reason != Replayed || !got.Stale() {
				t.Errorf("%s, %+v: Reuse = %+v, want it served stale because of %v", resp, req, got, Replayed)
			}
		}
		if got, want := p.ReuseOnError(&Request{Refresh: true}, t0), (Reuse{Action: Serve, Reason: OnError, TTL: p.Lifetime}); got != want {
			t.Errorf("%s, Refresh: ReuseOnError = %+v, want %+v", resp, got, want)
		}
		if got := p.Reuse(&Request{Refresh: true}, t0); got.Action != Validate {
			t.Errorf("%s, Refresh: Reuse = %+v, want validation", resp, got)
		}
	}
	if got := policyOf(Options{Replay: true}, 200, "Cache-Control", "no-store").Store(Request{}, false); got.OK {
		t.Errorf("no-store: Store = %+v, want it not stored", got)
	}
}
