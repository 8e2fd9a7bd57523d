package rules

import (
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

func TestAgeValue(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  time.Duration
	}{
		{nil, 0},
		{[]string{""}, 0},
		{[]string{"0"}, 0},
		{[]string{"7200"}, 7200 * time.Second},
		{[]string{" 7200 "}, 7200 * time.Second},
		{[]string{"007200"}, 7200 * time.Second},
		{[]string{"2147483647"}, (1<<31 - 1) * time.Second},
		{[]string{"2147483648"}, Infinite},
		{[]string{"2147483649"}, Infinite},
		{[]string{"99999999999999999999"}, Infinite},
		// The first of several (RFC 9111, section 5.1).
		{[]string{"7200, 0"}, 7200 * time.Second},
		{[]string{"0, 7200"}, 0},
		{[]string{"7200", "0"}, 7200 * time.Second},
		{[]string{"0", "7200"}, 0},
		{[]string{"0, 0"}, 0},
		{[]string{"0", "0"}, 0},
		{[]string{"3600", "3600"}, 3600 * time.Second},
		// What is not valid is ignored (RFC 9111, section 5.1).
		{[]string{"abc"}, 0},
		{[]string{"-7200"}, 0},
		{[]string{"+7200"}, 0},
		{[]string{"7200.0"}, 0},
		{[]string{`"7200"`}, 0},
		{[]string{"7200;foo=bar"}, 0},
		{[]string{"7200;foo=111"}, 0},
		{[]string{"abc, 7200"}, 0},
		{[]string{", 7200"}, 0},
	} {
		if got := ageValue(tt.lines); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.lines, got, tt.want)
		}
	}
}

// RFC 9111, section 4.2.3.
func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name              string
		date              time.Duration // of Date, relative to t0
		age               string
		request, response time.Duration // relative to t0
		now               time.Duration
		want              time.Duration
	}{
		{"new", 0, "", 0, 0, 0, 0},
		{"resident time", 0, "", 0, 0, 90 * time.Second, 90 * time.Second},
		{"parts of a second count", 0, "", 0, 0, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"Age", 0, "100", 0, 0, time.Second, 101 * time.Second},
		{"response delay", 0, "", -3 * time.Second, 0, 0, 3 * time.Second},
		{"response delay on top of Age", 0, "100", -3 * time.Second, 0, time.Second, 104 * time.Second},
		{"apparent age", -time.Minute, "", 0, 0, time.Second, 61 * time.Second},
		{"apparent age above Age", -time.Minute, "5", 0, 0, 0, time.Minute},
		{"Age above apparent age", -time.Minute, "100", 0, 0, 0, 100 * time.Second},
		{"apparent age and delay are not added", -5 * time.Second, "", -5 * time.Second, 0, 0, 5 * time.Second},
		{"the origin's clock is ahead", time.Hour, "", 0, 0, time.Second, time.Second},
		{"the origin's clock is ahead, with Age", time.Hour, "7", 0, 0, time.Second, 8 * time.Second},
		{"our clock is ahead", -time.Hour, "", 0, 0, 0, time.Hour},
		{"our clock went back while waiting", 0, "", 5 * time.Second, 0, 0, 0},
		{"our clock went back since", 0, "10", 0, 0, -time.Hour, 10 * time.Second},
		{"Age of 2^31", 0, "2147483648", 0, 0, 0, Infinite},
		{"Age of 2^31 and more", 0, "2147483648", -time.Hour, 0, time.Hour, Infinite},
		{"Date long ago", -250 * 365 * 24 * time.Hour, "", 0, 0, 0, Infinite},
		{"no end of waiting", 0, "100", -forever, 0, 0, Infinite},
		{"no end of residence", 0, "100", 0, 0, forever, Infinite},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fields("Date", httpDate(t0.Add(tt.date)))
			if tt.age != "" {
				h.Set("Age", tt.age)
			}
			p := NewPolicy(private, 200, h, t0.Add(tt.request), t0.Add(tt.response))
			if got := p.Age(t0.Add(tt.now)); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}

	// The age of a response that was received in the future is not known.
	for _, tt := range []struct {
		cacheControl string
		ahead, want  time.Duration
	}{
		{"max-age=60", time.Second, 10 * time.Second},
		{"max-age=60", time.Second + 1, time.Minute},
		{"max-age=60", forever, time.Minute},
		{"max-age=5", time.Hour, 10 * time.Second},
		{"max-age=2147483648", time.Hour, 10 * time.Second},
	} {
		p := NewPolicy(private, 200, fields("Age", "10", "Cache-Control", tt.cacheControl), t0.Add(tt.ahead), t0.Add(tt.ahead))
		if got := p.Age(t0); got != tt.want {
			t.Errorf("%s, received in %v: Age() = %v, want %v", tt.cacheControl, tt.ahead, got, tt.want)
		}
	}

	// A request whose time is not known at all is one that was sent very long ago.
	p := NewPolicy(private, 200, fields("Age", "5"), time.Time{}, t0)
	if got := p.Age(t0); got != Infinite {
		t.Errorf("no request time: %v, want Infinite", got)
	}
}

// The monotonic clock stops while the machine sleeps.
func TestAgeAfterSleep(t *testing.T) {
	before := time.Now()
	slept := before.Add(time.Hour)
	(*struct { // as package time has it
		wall uint64
		ext  int64
	})(unsafe.Pointer(&slept)).ext -= int64(time.Hour)
	if monotonic, wall := slept.Sub(before), slept.Round(0).Sub(before); monotonic != 0 || wall != time.Hour {
		t.Fatalf("the clocks differ by %v and %v, want 0s and 1h", monotonic, wall)
	}
	for _, tt := range []struct {
		name                   string
		request, response, now time.Time
		want                   time.Duration
	}{
		{"since the response came", before, before, slept, time.Hour},
		{"while it was under way", before, slept, slept, time.Hour},
		{"and the wall clock went back", slept, slept, before.Add(time.Minute), time.Minute},
	} {
		if got := NewPolicy(private, 200, fields(), tt.request, tt.response).Age(tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A Date that is missing or broken is the time of receipt (RFC 9110, section 6.6.1).
func TestNoDate(t *testing.T) {
	for _, nv := range [][]string{nil, {"Date", ""}, {"Date", "0"}, {"Date", "yesterday"}} {
		p := NewPolicy(private, 200, fields(append(nv, "Expires", httpDate(t0.Add(time.Minute)))...), t0, t0)
		if !p.Date.Equal(t0) || p.Age(t0) != 0 || p.Lifetime != time.Minute {
			t.Errorf("%q: date %v, age %v, lifetime %v, want %v, 0s, 1m", nv, p.Date, p.Age(t0), p.Lifetime, t0)
		}
	}
}

// RFC 9111, section 4.2.1, and 5.3.
func TestLifetime(t *testing.T) {
	in := func(d time.Duration) string { return httpDate(t0.Add(d)) }
	for _, tt := range []struct {
		name     string
		rules    Options
		status   int
		h        []string
		lifetime time.Duration
		source   Reason
	}{
		{"nothing", private, 200, nil, 0, NoFreshness},
		{"max-age", private, 200, []string{"Cache-Control", "max-age=60"}, time.Minute, MaxAge},
		{"max-age=0", private, 200, []string{"Cache-Control", "max-age=0"}, 0, MaxAge},
		{"broken max-age", private, 200, []string{"Cache-Control", "max-age=x"}, 0, MaxAge},
		{"max-age of 2^31 - 1", private, 200, []string{"Cache-Control", "max-age=2147483647"}, Infinite - time.Second, MaxAge},
		{"max-age beyond", private, 200, []string{"Cache-Control", "max-age=99999999999"}, Infinite, MaxAge},
		{"Expires", private, 200, []string{"Expires", in(time.Minute)}, time.Minute, Expires},
		{"Expires from Date, not from now", private, 200, []string{"Expires", in(time.Minute), "Date", in(-time.Minute)}, 2 * time.Minute, Expires},
		{"Expires, both clocks wrong alike", private, 200, []string{"Expires", in(2 * time.Hour), "Date", in(time.Hour)}, time.Hour, Expires},
		{"Expires at Date", private, 200, []string{"Expires", in(0)}, 0, Expires},
		{"Expires before Date", private, 200, []string{"Expires", in(-time.Minute)}, 0, Expires},
		{"Expires: 0", private, 200, []string{"Expires", "0"}, 0, Expires},
		{"Expires: -1", private, 200, []string{"Expires", "-1"}, 0, Expires},
		{"Expires empty", private, 200, []string{"Expires", ""}, 0, Expires},
		{"Expires far away", private, 200, []string{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT"}, Infinite, Expires},
		{"Expires twice, the same", private, 200, []string{"Expires", in(time.Minute), "Expires", in(time.Minute)}, time.Minute, Expires},
		{"Expires twice", private, 200, []string{"Expires", in(time.Minute), "Expires", in(time.Hour)}, 0, Expires},
		{"Expires twice, joined", private, 200, []string{"Expires", in(time.Minute) + ", " + in(time.Minute)}, 0, Expires},
		{"max-age above Expires", private, 200, []string{"Cache-Control", "max-age=60", "Expires", in(time.Hour)}, time.Minute, MaxAge},
		{"max-age=0 above Expires", private, 200, []string{"Cache-Control", "max-age=0", "Expires", in(time.Hour)}, 0, MaxAge},
		{"broken max-age above Expires", private, 200, []string{"Cache-Control", "max-age=x", "Expires", in(time.Hour)}, 0, MaxAge},
		{"max-age above a broken Expires", private, 200, []string{"Cache-Control", "max-age=60", "Expires", "0"}, time.Minute, MaxAge},

		{"s-maxage, private", private, 200, []string{"Cache-Control", "s-maxage=60"}, 0, NoFreshness},
		{"s-maxage and max-age, private", private, 200, []string{"Cache-Control", "s-maxage=60, max-age=5"}, 5 * time.Second, MaxAge},
		{"s-maxage and Expires, private", private, 200, []string{"Cache-Control", "s-maxage=60", "Expires", in(time.Hour)}, time.Hour, Expires},
		{"s-maxage, shared", shared, 200, []string{"Cache-Control", "s-maxage=60"}, time.Minute, SMaxAge},
		{"s-maxage and max-age, shared", shared, 200, []string{"Cache-Control", "max-age=5, s-maxage=60", "Expires", in(time.Hour)}, time.Minute, SMaxAge},
		{"s-maxage=0 and max-age, shared", shared, 200, []string{"Cache-Control", "max-age=5, s-maxage=0"}, 0, SMaxAge},
		{"max-age, shared", shared, 200, []string{"Cache-Control", "max-age=5"}, 5 * time.Second, MaxAge},

		// RFC 9213, section 2.2: the others do not count.
		{"CDN-Cache-Control", shared, 200, []string{"Cdn-Cache-Control", "max-age=60", "Cache-Control", "max-age=5, s-maxage=6", "Expires", in(time.Hour)}, time.Minute, MaxAge},
		{"CDN-Cache-Control without a lifetime", shared, 200, []string{"Cdn-Cache-Control", "public", "Cache-Control", "max-age=5", "Expires", in(time.Hour)}, 0, NoFreshness},
		{"broken CDN-Cache-Control", shared, 200, []string{"Cdn-Cache-Control", "max-age=", "Cache-Control", "max-age=5"}, 5 * time.Second, MaxAge},
		{"CDN-Cache-Control, private", private, 200, []string{"Cdn-Cache-Control", "max-age=60", "Expires", in(time.Hour)}, time.Hour, Expires},

		// Permanent redirects.
		{"301", private, 301, nil, Infinite, Permanent},
		{"308", shared, 308, nil, Infinite, Permanent},
		{"302", private, 302, nil, 0, NoFreshness},
		{"307", private, 307, nil, 0, NoFreshness},
		{"301 with max-age", private, 301, []string{"Cache-Control", "max-age=60"}, time.Minute, MaxAge},
		{"301 with max-age=0", private, 301, []string{"Cache-Control", "max-age=0"}, 0, MaxAge},
		{"308 with Expires", private, 308, []string{"Expires", "0"}, 0, Expires},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(tt.rules, tt.status, tt.h...)
			if p.Lifetime != tt.lifetime || p.Source() != tt.source {
				t.Errorf("%v from %v, want %v from %v", p.Lifetime, p.Source(), tt.lifetime, tt.source)
			}
			if want := tt.source == SMaxAge || tt.source == MaxAge || tt.source == Expires; p.Explicit() != want {
				t.Errorf("explicit %v, want %v", p.Explicit(), want)
			}
		})
	}
}

// RFC 9111, section 3.
func TestStore(t *testing.T) {
	timePriority := Options{TimePriority: true}
	for _, tt := range []struct {
		name   string
		rules  Options
		status int
		h      []string
		req    string // the request's Cache-Control
		auth   bool
		want   Reason // SMaxAge to Replayed: stored
	}{
		{"max-age", private, 200, []string{"Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"Expires", private, 200, []string{"Expires", httpDate(t0.Add(time.Minute))}, "", false, Expires},
		{"s-maxage", shared, 200, []string{"Cache-Control", "s-maxage=60"}, "", false, SMaxAge},
		{"s-maxage in a private cache", private, 200, []string{"Cache-Control", "s-maxage=60"}, "", false, NothingToReuse},
		{"301", private, 301, nil, "", false, Permanent},

		// no-store, and the request's.
		{"no-store", private, 200, []string{"Cache-Control", "no-store, max-age=60"}, "", false, NoStoreResponse},
		{"no-store on another line", private, 200, []string{"Cache-Control", "max-age=60", "Cache-Control", "no-store"}, "", false, NoStoreResponse},
		{"no-store of the request", private, 200, []string{"Cache-Control", "max-age=60"}, "no-store", false, NoStoreRequest},
		{"no-cache of the request is no matter", private, 200, []string{"Cache-Control", "max-age=60"}, "no-cache, max-age=0", false, MaxAge},

		// Status codes.
		{"101", private, 101, []string{"Cache-Control", "max-age=60"}, "", false, StatusNotFinal},
		{"status 0", private, 0, []string{"Cache-Control", "max-age=60"}, "", false, StatusNotFinal},
		{"304", private, 304, []string{"Cache-Control", "max-age=60", "Etag", `"a"`}, "", false, NotModifiedForCaller},
		{"500 with max-age", private, 500, []string{"Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"599 with max-age", private, 599, []string{"Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"599 with s-maxage in a private cache", private, 599, []string{"Cache-Control", "s-maxage=60", "Etag", `"a"`}, "", false, NotCacheable},
		{"599 with ETag only", private, 599, []string{"Etag", `"a"`}, "", false, NotCacheable},
		{"599 with ETag and public", private, 599, []string{"Etag", `"a"`, "Cache-Control", "public"}, "", false, Validator},
		{"599 with ETag and private", private, 599, []string{"Etag", `"a"`, "Cache-Control", "private"}, "", false, Validator},
		{"302 with ETag only", private, 302, []string{"Etag", `"a"`}, "", false, NotCacheable},
		{"206 with max-age", private, 206, []string{"Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"in the set", Options{Statuses: []int{200, 404}}, 404, []string{"Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"not in the set", Options{Statuses: []int{200}}, 404, []string{"Cache-Control", "max-age=60"}, "", false, StatusExcluded},
		{"an empty set", Options{Statuses: []int{}}, 200, []string{"Cache-Control", "max-age=60"}, "", false, StatusExcluded},

		// must-understand (section 5.2.2.3).
		{"understood", private, 200, []string{"Cache-Control", "must-understand, max-age=60"}, "", false, MaxAge},
		{"understood, above no-store", private, 200, []string{"Cache-Control", "no-store, must-understand, max-age=60"}, "", false, MaxAge},
		{"understood, and said again", private, 200, []string{"Cache-Control", "no-store, must-understand, must-understand=x, max-age=60"}, "", false, MaxAge},
		{"not understood", private, 599, []string{"Cache-Control", "must-understand, max-age=60"}, "", false, StatusNotUnderstood},
		{"not understood, with no-store", private, 599, []string{"Cache-Control", "must-understand, no-store, max-age=60"}, "", false, StatusNotUnderstood},
		{"malformed: it restricts", private, 599, []string{"Cache-Control", "must-understand =1, max-age=60"}, "", false, StatusNotUnderstood},
		{"malformed: it permits nothing", private, 200, []string{"Cache-Control", "no-store, must-understand=1, max-age=60"}, "", false, NoStoreResponse},
		{"understood, above no-store, not above the request's", private, 200, []string{"Cache-Control", "no-store, must-understand, max-age=60"}, "no-store", false, NoStoreRequest},

		// private (section 5.2.2.7).
		{"private, private", private, 200, []string{"Cache-Control", "private, max-age=60"}, "", false, MaxAge},
		{"private, shared", shared, 200, []string{"Cache-Control", "private, max-age=60"}, "", false, PrivateInShared},
		{"private with names, shared", shared, 200, []string{"Cache-Control", `private="a", max-age=60`}, "", false, MaxAge},
		{"malformed private, shared", shared, 200, []string{"Cache-Control", `private="a b", max-age=60`}, "", false, PrivateInShared},
		{"private and public, shared", shared, 200, []string{"Cache-Control", "public, private, max-age=60"}, "", false, PrivateInShared},

		// Set-Cookie (section 7.3).
		{"Set-Cookie, by the letter", shared, 200, []string{"Cache-Control", "max-age=60", "Set-Cookie", "a"}, "", false, MaxAge},
		{"Set-Cookie withheld, private", withholding(private), 200, []string{"Cache-Control", "max-age=60", "Set-Cookie", "a"}, "", false, MaxAge},
		{"Set-Cookie withheld, shared", withholding(shared), 200, []string{"Cache-Control", "max-age=60", "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie2 withheld, shared", withholding(shared), 200, []string{"Cache-Control", "max-age=60", "Set-Cookie2", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, public", withholding(shared), 200, []string{"Cache-Control", "max-age=60, public", "Set-Cookie", "a"}, "", false, MaxAge},
		{"Set-Cookie withheld, s-maxage", withholding(shared), 200, []string{"Cache-Control", "s-maxage=60", "Set-Cookie", "a"}, "", false, SMaxAge},
		{"Set-Cookie withheld, must-revalidate", withholding(shared), 200, []string{"Cache-Control", "max-age=60, must-revalidate", "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, malformed public", withholding(shared), 200, []string{"Cache-Control", "max-age=60, public=x", "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, public and malformed s-maxage", withholding(shared), 200, []string{"Cache-Control", "public, s-maxage=x", "Etag", `"a"`, "Set-Cookie", "a"}, "", false, Validator},
		{"Set-Cookie withheld, malformed s-maxage", withholding(shared), 200, []string{"Cache-Control", "s-maxage=x", "Etag", `"a"`, "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, private names it", withholding(shared), 200, []string{"Cache-Control", `max-age=60, private="set-cookie"`, "Set-Cookie", "a"}, "", false, MaxAge},
		{"Set-Cookie withheld, private names another", withholding(shared), 200, []string{"Cache-Control", `max-age=60, private="x"`, "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, no-cache names it", withholding(shared), 200, []string{"Cache-Control", `max-age=60, no-cache="set-cookie"`, "Set-Cookie", "a"}, "", false, SetCookieInShared},
		{"Set-Cookie withheld, targeted", withholding(shared), 200, []string{"Cache-Control", "public", "Cdn-Cache-Control", "max-age=60", "Set-Cookie", "a"}, "", false, SetCookieInShared},

		// Statuses that speak of one client (RFC 6585), and of its credentials.
		{"428", private, 428, []string{"Cache-Control", "max-age=60, public"}, "", false, NeverStored},
		{"429", private, 429, []string{"Cache-Control", "max-age=60, public"}, "", false, NeverStored},
		{"431", private, 431, []string{"Cache-Control", "max-age=60, public"}, "", false, NeverStored},
		{"511", private, 511, []string{"Cache-Control", "max-age=60, public"}, "", false, NeverStored},
		{"428 in the set", Options{Statuses: []int{428}}, 428, []string{"Cache-Control", "max-age=60"}, "", false, NeverStored},
		{"429 in the set", Options{Statuses: []int{429}}, 429, []string{"Cache-Control", "max-age=60"}, "", false, NeverStored},
		{"429 replayed", Options{Statuses: []int{429}, Replay: true}, 429, []string{"Cache-Control", "max-age=60"}, "", false, NeverStored},
		{"401", private, 401, []string{"Cache-Control", "max-age=60"}, "", true, CredentialsRefused},
		{"401 without credentials", private, 401, []string{"Cache-Control", "max-age=60"}, "", false, CredentialsRefused},
		{"401, public, shared", shared, 401, []string{"Cache-Control", "max-age=60, public"}, "", true, CredentialsRefused},
		{"401, Vary: Cookie", private, 401, []string{"Cache-Control", "max-age=60", "Vary", "Cookie"}, "", true, CredentialsRefused},
		{"401, Vary: Proxy-Authorization", private, 401, []string{"Cache-Control", "max-age=60", "Vary", "Proxy-Authorization"}, "", true, CredentialsRefused},
		{"401, Vary: Authorization", private, 401, []string{"Cache-Control", "max-age=60", "Vary", "Accept, authorization"}, "", true, MaxAge},
		{"401, Vary: *", private, 401, []string{"Cache-Control", "max-age=60", "Vary", "Authorization, *"}, "", true, VaryAny},
		{"401, Vary, without freshness", private, 401, []string{"Etag", `"a"`, "Vary", "Authorization"}, "", true, NotCacheable},
		{"407", private, 407, []string{"Cache-Control", "max-age=60"}, "", false, CredentialsRefused},
		{"407, Vary: Authorization", private, 407, []string{"Cache-Control", "max-age=60", "Vary", "Authorization"}, "", false, CredentialsRefused},
		{"407, Vary: Proxy-Authorization", private, 407, []string{"Cache-Control", "max-age=60", "Vary", "Proxy-Authorization"}, "", false, MaxAge},
		{"403", private, 403, []string{"Cache-Control", "max-age=60"}, "", true, MaxAge},
		{"302 in the set, replayed", Options{Statuses: []int{302}, Replay: true}, 302, nil, "", false, Replayed},
		{"302 in the set", Options{Statuses: []int{302}}, 302, []string{"Etag", `"a"`}, "", false, NotCacheable},
		{"302 replayed", Options{Replay: true}, 302, nil, "", false, NotCacheable},
		{"302 in the set, replayed, no-store", Options{Statuses: []int{302}, Replay: true}, 302, []string{"Cache-Control", "no-store"}, "", false, NoStoreResponse},

		// Authorization (section 3.5).
		{"Authorization, private", private, 200, []string{"Cache-Control", "max-age=60"}, "", true, MaxAge},
		{"Authorization, shared", shared, 200, []string{"Cache-Control", "max-age=60"}, "", true, AuthorizationInShared},
		{"Authorization, ETag", shared, 200, []string{"Etag", `"a"`}, "", true, AuthorizationInShared},
		{"Authorization, public", shared, 200, []string{"Cache-Control", "max-age=60, public"}, "", true, MaxAge},
		{"Authorization, must-revalidate", shared, 200, []string{"Cache-Control", "max-age=60, must-revalidate"}, "", true, MaxAge},
		{"Authorization, s-maxage", shared, 200, []string{"Cache-Control", "s-maxage=60"}, "", true, SMaxAge},
		{"Authorization, proxy-revalidate", shared, 200, []string{"Cache-Control", "max-age=60, proxy-revalidate"}, "", true, AuthorizationInShared},
		{"Authorization, immutable", shared, 200, []string{"Cache-Control", "max-age=60, immutable"}, "", true, AuthorizationInShared},
		{"Authorization, public and private", shared, 200, []string{"Cache-Control", "max-age=60, public, private"}, "", true, PrivateInShared},
		{"Authorization, malformed must-revalidate", shared, 200, []string{"Cache-Control", "max-age=60, must-revalidate=x"}, "", true, AuthorizationInShared},
		{"Authorization, malformed public", shared, 200, []string{"Cache-Control", "max-age=60, public=x"}, "", true, AuthorizationInShared},
		{"Authorization, malformed s-maxage", shared, 200, []string{"Cache-Control", "s-maxage=x", "Etag", `"a"`}, "", true, AuthorizationInShared},
		{"Authorization, targeted", shared, 200, []string{"Cache-Control", "public", "Cdn-Cache-Control", "max-age=60"}, "", true, AuthorizationInShared},
		{"Authorization, targeted and public", shared, 200, []string{"Cdn-Cache-Control", "max-age=60, public"}, "", true, MaxAge},

		// Vary (section 4.1).
		{"Vary", private, 200, []string{"Cache-Control", "max-age=60", "Vary", "Accept"}, "", false, MaxAge},
		{"Vary: *", private, 200, []string{"Cache-Control", "max-age=60", "Vary", "Accept, *"}, "", false, VaryAny},

		// What it is stored for.
		{"nothing", private, 200, nil, "", false, NothingToReuse},
		{"public only", private, 200, []string{"Cache-Control", "public"}, "", false, NothingToReuse},
		{"ETag only", private, 200, []string{"Etag", `"a"`}, "", false, Validator},
		{"weak ETag only", shared, 200, []string{"Etag", `W/"a"`}, "", false, Validator},
		{"Last-Modified only", private, 200, []string{"Last-Modified", httpDate(t0)}, "", false, Validator},
		{"Last-Modified only, shared", shared, 200, []string{"Last-Modified", httpDate(t0)}, "", false, Validator},
		{"Last-Modified only, not cacheable by default", private, 302, []string{"Last-Modified", httpDate(t0)}, "", false, NotCacheable},
		{"broken Last-Modified only", private, 200, []string{"Last-Modified", "yesterday"}, "", false, NothingToReuse},
		{"Last-Modified and no-cache", private, 200, []string{"Last-Modified", httpDate(t0), "Cache-Control", "no-cache"}, "", false, Validator},
		{"Last-Modified and max-age=0", private, 200, []string{"Last-Modified", httpDate(t0), "Cache-Control", "max-age=0"}, "", false, Validator},
		{"Last-Modified and Expires: 0", private, 200, []string{"Last-Modified", httpDate(t0), "Expires", "0"}, "", false, Validator},
		{"broken Last-Modified and no-cache", private, 200, []string{"Last-Modified", "0", "Cache-Control", "no-cache"}, "", false, NothingToReuse},
		{"max-age=0 without a validator", private, 200, []string{"Cache-Control", "max-age=0"}, "", false, NothingToReuse},
		{"max-age=0 with ETag", private, 200, []string{"Cache-Control", "max-age=0", "Etag", `"a"`}, "", false, Validator},
		{"no-cache without a validator", private, 200, []string{"Cache-Control", "no-cache, max-age=60"}, "", false, NothingToReuse},
		{"no-cache with ETag", private, 200, []string{"Cache-Control", "no-cache, max-age=60", "Etag", `"a"`}, "", false, Validator},
		{"no-cache with names", private, 200, []string{"Cache-Control", `no-cache="a", max-age=60`}, "", false, MaxAge},
		{"stale-while-revalidate only", private, 200, []string{"Cache-Control", "stale-while-revalidate=60"}, "", false, StaleAllowed},
		{"stale-if-error only", private, 200, []string{"Cache-Control", "max-age=0, stale-if-error=60"}, "", false, StaleAllowed},
		{"stale-if-error=0", private, 200, []string{"Cache-Control", "max-age=0, stale-if-error=0"}, "", false, NothingToReuse},
		{"stale-while-revalidate, must-revalidate", private, 200, []string{"Cache-Control", "max-age=0, stale-while-revalidate=60, must-revalidate"}, "", false, NothingToReuse},
		{"stale-while-revalidate, no-cache", private, 200, []string{"Cache-Control", "no-cache, stale-while-revalidate=60"}, "", false, NothingToReuse},
		{"stale-while-revalidate, proxy-revalidate, private", private, 200, []string{"Cache-Control", "stale-while-revalidate=60, proxy-revalidate"}, "", false, StaleAllowed},
		{"stale-while-revalidate, proxy-revalidate, shared", shared, 200, []string{"Cache-Control", "stale-while-revalidate=60, proxy-revalidate"}, "", false, NothingToReuse},

		// CacheControl(cache_etags=False).
		{"time priority, ETag only", timePriority, 200, []string{"Etag", `"a"`}, "", false, NothingToReuse},
		{"time priority, ETag and max-age", timePriority, 200, []string{"Etag", `"a"`, "Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"time priority, ETag and max-age=0", timePriority, 200, []string{"Etag", `"a"`, "Cache-Control", "max-age=0"}, "", false, NothingToReuse},
		{"time priority, Last-Modified only", timePriority, 200, []string{"Last-Modified", httpDate(t0)}, "", false, NothingToReuse},
		{"time priority, Last-Modified and max-age", timePriority, 200, []string{"Last-Modified", httpDate(t0), "Cache-Control", "max-age=60"}, "", false, MaxAge},
		{"time priority, 301", timePriority, 301, nil, "", false, Permanent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(tt.rules, tt.status, tt.h...)
			req := Request{}
			if tt.req != "" {
				req = ParseRequest(fields("Cache-Control", tt.req))
			}
			got := p.Store(req, tt.auth)
			if want := (StoreDecision{slices.Contains(reasonsToStore, tt.want), tt.want}); got != want {
				t.Errorf("%v %v, want %v %v", got.OK, got.Reason, want.OK, want.Reason)
			}
		})
	}
}

// RFC 9110, section 15.1. A status that is not in the list and has no explicit permission is not stored.
func TestStatuses(t *testing.T) {
	heuristic := map[int]bool{200: true, 203: true, 204: true, 206: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true}
	known := map[int]bool{421: true, 422: true, 426: true, 307: true, 308: true}
	for _, r := range [][2]int{{200, 206}, {300, 305}, {400, 417}, {500, 505}} {
		for s := r[0]; s <= r[1]; s++ {
			known[s] = true
		}
	}
	for status := 200; status < 600; status++ {
		if status == 304 {
			continue
		}
		if got := policyOf(private, status, "Etag", `"a"`).Store(Request{}, false).OK; got != heuristic[status] {
			t.Errorf("%d with only a validator is stored: %v, want %v", status, got, heuristic[status])
		}
		if got := HeuristicallyCacheable(status); got != heuristic[status] {
			t.Errorf("HeuristicallyCacheable(%d) = %v, want %v", status, got, heuristic[status])
		}
		vary := "Authorization, Proxy-Authorization" // or 401 and 407 are refused
		if got := policyOf(private, status, "Cache-Control", "max-age=60, must-understand", "Vary", vary).Store(Request{}, false).OK; got != known[status] {
			t.Errorf("%d with must-understand is stored: %v, want %v", status, got, known[status])
		}
	}
}

// A lifetime that the program sets makes a response storable only if the program names its status.
func TestStoreChosen(t *testing.T) {
	for _, tt := range []struct {
		status int
		rules  Options
		named  bool
		own    time.Duration
		want   Reason
	}{
		{302, Options{}, false, time.Hour, NotCacheable},
		{302, Options{}, true, time.Hour, OwnLifetime},
		{302, Options{}, true, 1, OwnLifetime},
		{302, Options{}, true, 0, NotCacheable},
		{302, Options{Statuses: []int{302}}, false, time.Hour, OwnLifetime},
		{302, Options{Statuses: []int{302}}, false, -1, NotCacheable},
		{302, Options{Statuses: []int{200}}, true, time.Hour, StatusExcluded},
		{429, Options{}, true, time.Hour, NeverStored},
		{429, Options{Statuses: []int{429}}, false, time.Hour, OwnLifetime},
		{429, Options{Statuses: []int{429}}, true, 0, NeverStored},
		{428, Options{Statuses: []int{428}}, true, time.Hour, NeverStored},
		{431, Options{Statuses: []int{431}}, true, time.Hour, NeverStored},
		{511, Options{Statuses: []int{511}}, true, time.Hour, NeverStored},
		{401, Options{Statuses: []int{401}}, true, time.Hour, CredentialsRefused},
	} {
		p := policyOf(tt.rules, tt.status).WithLifetime(tt.own)
		p.Named = tt.named
		if got := p.Store(Request{}, false); got.Reason != tt.want || got.OK != (tt.want == OwnLifetime) {
			t.Errorf("%d, statuses %v, named %v, lifetime %v: %+v, want %v", tt.status, tt.rules.Statuses, tt.named, tt.own, got, tt.want)
		}
		if tt.want == NeverStored != p.neverStored() || p.neverStored() && !p.Unusable() {
			t.Errorf("%d, statuses %v, lifetime %v: Unusable is %v, want %v", tt.status, tt.rules.Statuses, tt.own, p.Unusable(), tt.want == NeverStored)
		}
	}
}

// A cache does not use a response that it would not have stored itself.
func TestUnusable(t *testing.T) {
	for _, tt := range []struct {
		rules  Options
		status int
		h      []string
		want   bool
	}{
		{private, 200, []string{"Cache-Control", "private", "Set-Cookie", "a"}, false},
		{shared, 200, []string{"Cache-Control", "private"}, true},
		{shared, 200, []string{"Cache-Control", `private="x"`}, false},
		{shared, 200, []string{"Set-Cookie", "a"}, false},
		{withholding(shared), 200, []string{"Set-Cookie", "a"}, true},
		{withholding(shared), 200, []string{"Set-Cookie", "a", "Cache-Control", "public"}, false},
		{withholding(private), 200, []string{"Set-Cookie", "a"}, false},
		{private, 401, nil, true},
		{private, 401, []string{"Vary", "Authorization"}, false},
		{private, 403, nil, false},
		{private, 429, nil, true},
		{private, 404, nil, false},
	} {
		if got := policyOf(tt.rules, tt.status, tt.h...).Unusable(); got != tt.want {
			t.Errorf("%d %q, shared %v: Unusable() = %v, want %v", tt.status, tt.h, tt.rules.Shared, got, tt.want)
		}
	}
}

func TestConfirmedBy(t *testing.T) {
	for _, tt := range []struct {
		rules   Options
		cc      string
		confirm []string
		want    Reason
	}{
		{private, "max-age=60", []string{"Set-Cookie", "a"}, MaxAge},
		{withholding(private), "max-age=60", []string{"Set-Cookie", "a"}, MaxAge},
		{shared, "max-age=60", []string{"Set-Cookie", "a"}, MaxAge},
		{withholding(shared), "max-age=60", []string{"Set-Cookie", "a"}, SetCookieInShared},
		{withholding(shared), "max-age=60, public", []string{"Set-Cookie", "a"}, MaxAge},
		{withholding(shared), "max-age=60", []string{"X", "a"}, MaxAge},
	} {
		p := policyOf(tt.rules, 200, "Cache-Control", tt.cc)
		p.ConfirmedBy(fields(tt.confirm...))
		if got := p.Store(Request{}, false).Reason; got != tt.want {
			t.Errorf("%+v %q confirmed by %q: %v, want %v", tt.rules, tt.cc, tt.confirm, got, tt.want)
		}
	}
}

func TestSupersedes(t *testing.T) {
	for status := 100; status < 700; status++ {
		want := status >= 200 && status < 300 && status != 206 || status == 404 || status == 410
		if got := Supersedes(status); got != want {
			t.Errorf("Supersedes(%d) = %v, want %v", status, got, want)
		}
	}
}

func TestHasValidator(t *testing.T) {
	for _, tt := range []struct {
		h    []string
		want bool
	}{
		{nil, false},
		{[]string{"Etag", `"a"`}, true},
		{[]string{"Last-Modified", httpDate(t0)}, true},
		{[]string{"Last-Modified", "0"}, false},
	} {
		if got := policyOf(private, 200, tt.h...).HasValidator(); got != tt.want {
			t.Errorf("%q: HasValidator() = %v, want %v", tt.h, got, tt.want)
		}
	}
}

func TestRetention(t *testing.T) {
	const fortnight = 14 * 24 * time.Hour
	for _, tt := range []struct {
		rules Options
		h     []string
		want  time.Duration
	}{
		{private, nil, time.Second},
		{private, []string{"Cache-Control", "max-age=60"}, time.Minute},
		{private, []string{"Cache-Control", "max-age=60, stale-while-revalidate=30, stale-if-error=40"}, 100 * time.Second},
		{Options{StaleIfError: time.Hour}, []string{"Cache-Control", "max-age=60, stale-if-error=40"}, time.Hour + time.Minute},
		{Options{StaleWhileRevalidate: time.Hour}, []string{"Cache-Control", "max-age=60"}, time.Hour + time.Minute},
		{Options{StaleWhileRevalidate: time.Hour}, []string{"Cache-Control", "max-age=60, stale-while-revalidate=30"}, 90 * time.Second},
		{Options{StaleWhileRevalidate: forever}, []string{"Cache-Control", "max-age=60"}, 0},
		{private, []string{"Etag", `"a"`}, fortnight},
		{private, []string{"Etag", `"a"`, "Cache-Control", "max-age=" + strconv.Itoa(int(2*fortnight/time.Second))}, 2 * fortnight},
		{private, []string{"Cache-Control", "max-age=2147483648"}, 0},
		{Options{StaleIfError: forever}, []string{"Cache-Control", "max-age=60"}, 0},
		{private, []string{"Cache-Control", "max-age=60, stale-if-error=2147483648"}, 0},
	} {
		if got := policyOf(tt.rules, 200, tt.h...).Retention(); got != tt.want {
			t.Errorf("%+v %q: %v, want %v", tt.rules, tt.h, got, tt.want)
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
		if tt.own <= 0 && q != p {
			t.Errorf("%s: WithLifetime(%v) returned another policy", tt.resp, tt.own)
		}
		r := q.Reuse(&Request{Lifetime: tt.found}, t0)
		if got := r.TTL; got != tt.want || (r.Reason == OwnLifetime) != (tt.source == OwnLifetime) {
			t.Errorf("%s, %v, then %v: TTL %v, %v; want %v, %v", tt.resp, tt.own, tt.found, got, r.Reason, tt.want, tt.source)
		}
		if tt.found == 0 && q.Source() != tt.source {
			t.Errorf("%s, %v: Source() = %v, want %v", tt.resp, tt.own, q.Source(), tt.source)
		}
		if p.Lifetime != 60*s || p.Source() != MaxAge || p.Override != 0 || q.Override != max(tt.own, 0) || !q.Explicit() {
			t.Errorf("%s: WithLifetime(%v) of %+v = %+v, want only the lifetime and Override to differ", tt.resp, tt.own, p, q)
		}
	}
}

// SharesFailure allows what the response may answer at once, if it is a failure and nothing restricts it to its request.
func TestSharesFailure(t *testing.T) {
	for _, tt := range []struct {
		status        int
		cc            string
		req           Request
		authorization bool
		want          bool
	}{
		{500, "", Request{}, false, true},
		{429, "", Request{}, false, true},
		{200, "", Request{}, false, false},
		{404, "max-age=60", Request{}, false, false},
		{503, "no-store", Request{}, false, false},
		{503, "private", Request{}, false, false},
		{503, "", Request{NoStore: true}, false, false},
		{503, "", Request{}, true, false},
		{503, "no-cache", Request{}, false, false},
		{503, "no-cache, max-age=60", Request{}, false, false},
		{503, "must-revalidate", Request{}, false, false},
		{503, "must-revalidate, max-age=60", Request{}, false, true},
		{503, "must-revalidate, max-age=0", Request{}, false, false},
	} {
		if got := policyOf(shared, tt.status, "Cache-Control", tt.cc).SharesFailure(tt.req, tt.authorization, t0); got != tt.want {
			t.Errorf("SharesFailure of a %d with %q to %+v, Authorization %t = %t, want %t", tt.status, tt.cc, tt.req, tt.authorization, got, tt.want)
		}
	}
}
