package rules

import (
	"math"
	"testing"
	"time"
)

// What the program wants, beside what the header says.
func TestReuseAsked(t *testing.T) {
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
		{"refresh", private, "max-age=60", Request{Refresh: true}, 0, Validate, RefreshAsked, 60 * s},
		{"refresh above immutable", private, "max-age=60, immutable", Request{Refresh: true}, 0, Validate, RefreshAsked, 60 * s},
		{"refresh above stale-while-revalidate", private, "max-age=1, stale-while-revalidate=60", Request{Refresh: true}, 2 * s, Validate, RefreshAsked, -s},
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

func TestWithLifetime(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		resp   string
		own    time.Duration
		found  time.Duration // the one that a request brings
		want   time.Duration
		source Reason
	}{
		{"max-age=60", 0, 0, 60 * s, MaxAge},
		{"max-age=60", -s, 0, 60 * s, MaxAge},
		{"max-age=60", 90 * s, 0, 90 * s, OwnLifetime},
		{"max-age=60", 90 * s, 10 * s, 10 * s, OwnLifetime},
		{"max-age=60", 10 * s, 90 * s, 90 * s, OwnLifetime},
		{"max-age=60, must-revalidate", 90 * s, 0, 60 * s, MaxAge},
		{"max-age=60, must-revalidate", 10 * s, 90 * s, 60 * s, MaxAge},
		{"max-age=60, must-revalidate", 10 * s, 30 * s, 30 * s, OwnLifetime},
	} {
		p := policyOf(private, 200, "Cache-Control", tt.resp)
		q := p.WithLifetime(tt.own)
		if got, source := q.within(tt.found); got != tt.want || source != tt.source {
			t.Errorf("%s, %v, then %v: %v, %v; want %v, %v", tt.resp, tt.own, tt.found, got, source, tt.want, tt.source)
		}
		if p.Lifetime != 60*s || p.Source != MaxAge || p.Override != 0 || q.Override != max(tt.own, 0) || !q.Explicit() {
			t.Errorf("%s, %v: %+v, %+v", tt.resp, tt.own, p, q)
		}
	}
}

func TestReuseOnErrorAsked(t *testing.T) {
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
			t.Errorf("%s, %+v: %+v", tt.resp, tt.req, got)
		}
	}
}

// A cache that replays keeps for ever what it has, and has something to keep in every response that may be stored.
func TestReplayRules(t *testing.T) {
	for _, resp := range []string{"max-age=60", "max-age=0", "no-cache", "must-revalidate", "x"} {
		p := policyOf(Options{Replay: true}, 200, "Cache-Control", resp)
		if got := p.Store(Request{}, false); !got.OK || p.Retention() != 0 {
			t.Errorf("%s: %+v, for %v", resp, got, p.Retention())
		}
		for _, req := range []Request{{}, {NoCache: true}, {MaxAge: Delta{0, true}}, {OnlyIfCached: true}} {
			if got := p.Reuse(&req, t0.Add(forever)); got.Action != Serve || got.Reason != Replayed || !got.Stale() {
				t.Errorf("%s, %+v: %+v", resp, req, got)
			}
		}
		if got := p.Reuse(&Request{Refresh: true}, t0); got.Action != Validate {
			t.Errorf("%s, refresh: %+v", resp, got)
		}
	}
	if got := policyOf(Options{Replay: true}, 200, "Cache-Control", "no-store").Store(Request{}, false); got.OK {
		t.Errorf("no-store: %+v", got)
	}
}
