package rules

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func addAll(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
}

var ccSeeds = []string{
	"", "no-store", "max-age=60, public", `no-cache="a, b", private=x`, `private="`, `a="b\", c", no-store`, "max-age=99999999999",
	"max-age =1", "s-maxage=5;", ",,=,\"", `ext="no-store"`, "max-stale", "min-fresh=1, only-if-cached", "stale-if-error=-1",
}

// What any one line says, no other line takes away: a clean restrictive directive counts whatever surrounds it.
func FuzzParseResponse(f *testing.F) {
	addAll(f, ccSeeds...)
	f.Fuzz(func(t *testing.T, line string) {
		for _, lines := range [][]string{{line}, {line, "no-store, no-cache, private, must-revalidate"}, {"no-store, no-cache, private, must-revalidate", line},
			{"no-store, no-cache, private, must-revalidate, " + line}} {
			h := http.Header{"Cache-Control": lines}
			r := ParseResponse(h, false)
			if len(lines) > 1 || lines[0] != line {
				if !r.NoStore || !r.NoCache || !r.Private || !r.MustRevalidate {
					t.Fatalf("%q: %+v", lines, r)
				}
				if p := NewPolicy(private, 200, h, t0, t0); p.Store(Request{}, false).OK && !r.overNoStore {
					t.Fatalf("%q is stored", lines)
				}
			}
			for _, d := range []Delta{r.MaxAge, r.SMaxAge, r.StaleWhileRevalidate, r.StaleIfError} {
				if d.Value < 0 || d.Value > Infinite || !d.OK && d.Value != 0 {
					t.Fatalf("%q: %+v", lines, r)
				}
			}
			if slices.ContainsFunc(append(r.NoCacheFields, r.PrivateFields...), func(s string) bool { return !IsToken(s) }) {
				t.Fatalf("%q: %+v", lines, r)
			}
		}
		// A second max-age never makes a response fresher than the first.
		one, two := ParseResponse(http.Header{"Cache-Control": {line}}, false), ParseResponse(http.Header{"Cache-Control": {line, "max-age=60"}}, false)
		if one.MaxAge.OK && two.MaxAge.Value > one.MaxAge.Value {
			t.Fatalf("%q: %v, with another %v", line, one.MaxAge, two.MaxAge)
		}
	})
}

// Where strict readers see a directive, so does this one: members split by commas, names that are tokens.
func FuzzDirectivesPlain(f *testing.F) {
	addAll(f, ccSeeds...)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, `"`) {
			t.Skip("quoted strings are for the tables")
		}
		var got []string
		directives([]string{line}, func(d directive) {
			if !d.bad {
				got = append(got, d.name)
			}
		})
		var want []string
		for m := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(trimOWS(m), "=")
			if IsToken(name) && trimOWS(value) == value {
				want = append(want, lower(name))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", line, got, want)
		}
	})
}

func FuzzParseTargeted(f *testing.F) {
	addAll(f, "max-age=60", `no-cache="a"`, "private=(a b)", "no-store=?0", "max-age=1.5;a", "a, b=:YQ==:")
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cache-Control": {"no-store"}, "Cdn-Cache-Control": {line}}
		r := ParseResponse(h, true)
		if !r.Targeted && !r.NoStore {
			t.Fatalf("%q: neither field counts: %+v", line, r)
		}
		if v := r.MaxAge.Value; v < 0 || v > Infinite {
			t.Fatalf("%q: %v", line, v)
		}
		if p := ParseResponse(h, false); p.Targeted || !p.NoStore {
			t.Fatalf("%q: counts in a private cache", line)
		}
		h["Cdn-Cache-Control"] = []string{line, "no-store"}
		if r := ParseResponse(h, true); !r.NoStore {
			t.Fatalf("%q and no-store: %+v", line, r)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range ccSeeds {
		f.Add(s, "no-cache")
	}
	f.Fuzz(func(t *testing.T, cc, pragma string) {
		r := ParseRequest(http.Header{"Cache-Control": {cc}, "Pragma": {pragma}})
		for _, d := range []Delta{r.MaxAge, r.MinFresh, r.MaxStale, r.StaleIfError} {
			if d.Value < 0 || d.Value > Infinite || !d.OK && d.Value != 0 {
				t.Fatalf("%q: %+v", cc, r)
			}
		}
		if r.pragma {
			t.Fatalf("%q: Pragma counts beside Cache-Control", cc)
		}
		// More directives never make a request less demanding.
		more := ParseRequest(http.Header{"Cache-Control": {cc, "no-cache, no-store, max-age=5, min-fresh=5, max-stale=5"}})
		if !more.NoCache || !more.NoStore || more.MaxAge.Value > 5*time.Second || more.MinFresh.Value < 5*time.Second || more.MaxStale.Value > 5*time.Second {
			t.Fatalf("%q and more: %+v", cc, more)
		}
	})
}

// The three forms, as a pattern: independent of the parser.
var dateForm = regexp.MustCompile(`^(?i:(mon|tue|wed|thu|fri|sat|sun), \d\d [a-z]{3} \d{4} \d\d:\d\d:\d\d gmt` +
	`|(mon|tues|wednes|thurs|fri|satur|sun)day, \d\d-[a-z]{3}-\d\d \d\d:\d\d:\d\d gmt` +
	`|(mon|tue|wed|thu|fri|sat|sun) [a-z]{3} [ \d]\d \d\d:\d\d:\d\d \d{4})$`)

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"SundAY, 01-Nov-70 00:00:00 GMT", "Thu, 31 Feb 2050 02:01:18 GMT", "Thu, 18 Aug 50 02:01:18 GMT", "0", "Sat, 31 Dec 2016 23:59:60 GMT"} {
		f.Add(s, int64(784111777))
	}
	f.Fuzz(func(t *testing.T, s string, sec int64) {
		if at := time.Unix(sec, 0).UTC(); at.Year() >= 0 && at.Year() <= 9999 {
			for _, form := range []string{http.TimeFormat, time.ANSIC} {
				if got, ok := ParseDate(at.Format(form), t0); !ok || !got.Equal(at) {
					t.Fatalf("%q: %v, %v", at.Format(form), got, ok)
				}
			}
		}
		got, ok := ParseDate(s, t0)
		if t2, ok2 := parseAnyDate(s, t0); ok2 != ok || t2 != got {
			t.Fatalf("%q: %v, %v, where the grammar has %v, %v", s, got, ok, t2, ok2)
		}
		if ok && !dateForm.MatchString(s) {
			t.Fatalf("%q is taken for %v", s, got)
		}
		// What net/http's parser reads as well, it reads alike, but for years of two digits.
		want, err := http.ParseTime(s)
		if ok && err == nil && !strings.Contains(lower(s), "day,") && !got.Equal(want) {
			t.Fatalf("%q: %v, http.ParseTime %v", s, got, want)
		}
		if ok && strings.Contains(lower(s), "day,") && got.After(t0.AddDate(50, 0, 0)) {
			t.Fatalf("%q: %v is more than 50 years ahead", s, got)
		}
		if again, ok2 := ParseDate(httpDate(got), t0); ok && (!ok2 || !again.Equal(got)) {
			t.Fatalf("%q: %v does not come back", s, got)
		}
	})
}

func FuzzParseETags(f *testing.F) {
	addAll(f, `"a"`, `W/"a", "b"`, "*", `*, "a"`, `"a\"`, `"`, `,"",`, `w/"a"`)
	tag := regexp.MustCompile(`^(W/)?"[^"]*"$`)
	f.Fuzz(func(t *testing.T, line string) {
		tags, star, ok := ParseETags([]string{line})
		if star && (len(tags) > 0 || !ok) {
			t.Fatalf("%q: %q beside *", line, tags)
		}
		for _, s := range tags {
			if !tag.MatchString(s) || !strings.Contains(line, s) {
				t.Fatalf("%q: %q", line, s)
			}
		}
		if ok && !star {
			again, _, ok := ParseETags([]string{strings.Join(tags, ", ")})
			if !ok || !slices.Equal(again, tags) {
				t.Fatalf("%q: %q, then %q", line, tags, again)
			}
			split, _, ok := ParseETags(append(slices.Clone(tags), `"end"`))
			if !ok || !slices.Equal(split, append(slices.Clone(tags), `"end"`)) {
				t.Fatalf("%q on lines: %q", line, split)
			}
		}
		p := &Validators{ETag: `"stored"`}
		if p.NotModified(http.Header{"If-None-Match": {line}}, t0) && !(ok && (star || strings.Contains(line, `"stored"`))) {
			t.Fatalf("%q matches", line)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-99", "bytes=-5", "bytes=5-", "bytes=0-1,3-4", "bytes 0-99/1000", "bytes 0-99/*", "bytes=-0", "bytes=9223372036854775807-"} {
		f.Add(s, int64(100))
	}
	f.Fuzz(func(t *testing.T, line string, total int64) {
		if r, ok := ParseRange([]string{line}); ok && total >= 0 {
			start, end, ok := r.Within(total)
			if ok && (start < 0 || start >= end || end > total) {
				t.Fatalf("%q of %d: %d to %d", line, total, start, end)
			}
			// Each byte is selected as the field says it.
			if ok && r.First >= 0 && (start != r.First || r.Last >= 0 && end-1 > r.Last) || ok && r.First < 0 && end-start > r.Last {
				t.Fatalf("%q of %d: %d to %d", line, total, start, end)
			}
			if !ok && r.First >= 0 && r.First < total {
				t.Fatalf("%q of %d: nothing", line, total)
			}
		}
		if c, ok := ParseContentRange([]string{line}); ok {
			if c.First < 0 || c.Last < c.First || c.Total >= 0 && c.Last >= c.Total {
				t.Fatalf("%q: %+v", line, c)
			}
			if again, ok := ParseContentRange([]string{c.String()}); !ok || again != c {
				t.Fatalf("%q: %v, then %v", line, c, again)
			}
		}
	})
}

func FuzzNormalizeSelecting(f *testing.F) {
	for _, s := range []string{"gzip, deflate;q=0.5", "a;x=\"b;q=0.5\";q=1", "en , DE;q=0.3,", "a;q=500", `"a, b" , c`, "a;q=0.5;q=0.5", "a,,", `a;x="\"`, `X",0",0"`, "0,;"} {
		for _, name := range []string{"Accept", "Foo", "Cookie"} {
			f.Add(name, s, s+" ")
		}
	}
	f.Fuzz(func(t *testing.T, name, a, b string) {
		x, y := NormalizeSelecting(name, a), NormalizeSelecting(name, b)
		if again := NormalizeSelecting(name, x); again != x {
			t.Fatalf("%s: %q becomes %q, then %q", name, a, x, again)
		}
		if padded := NormalizeSelecting(name, " "+a+"\t"); padded != x {
			t.Fatalf("%s: %q becomes %q, padded %q", name, a, x, padded)
		}
		// What was made equal holds the same letters and digits but for weights, in this or that case and order.
		if x == y && a != b && !strings.ContainsAny(lower(a+b), "q") {
			if lettersOf(a) != lettersOf(b) {
				t.Fatalf("%s: %q and %q both become %q", name, a, b, x)
			}
		}
		PrefersLanguage(a, b)
	})
}

// lettersOf returns the octets of s that no normalisation drops, each once.
func lettersOf(s string) string {
	b := []byte(lower(s))
	slices.Sort(b)
	b = slices.Compact(b)
	return string(slices.DeleteFunc(b, func(c byte) bool { return strings.IndexByte(" \t,;", c) >= 0 }))
}

// A policy of any header: nothing panics, times are within their bounds, and the decisions agree with each other.
func FuzzPolicy(f *testing.F) {
	f.Add(200, "max-age=60", "Thu, 01 Jan 2026 12:00:00 GMT", "Thu, 01 Jan 2026 13:00:00 GMT", "5", `"a"`, "Accept", "max-stale", int64(60), true)
	f.Add(301, "", "0", "0", "99999999999", "", "*", "no-cache, only-if-cached", int64(-60), false)
	f.Add(599, `private="`, "", "", "-1", "W/", ",", "max-age=0", int64(1)<<40, true)
	f.Fuzz(func(t *testing.T, status int, cc, date, expires, age, etag, vary, reqCC string, after int64, shared bool) {
		h := http.Header{"Cache-Control": {cc}, "Date": {date}, "Age": {age}, "Etag": {etag}, "Vary": {vary}, "Connection": {cc}, "Last-Modified": {date}}
		if expires != "" {
			h["Expires"] = []string{expires}
		}
		p := NewPolicy(Options{Shared: shared}, status, h, t0.Add(-time.Duration(after)), t0)
		req := ParseRequest(http.Header{"Cache-Control": {reqCC}})
		if p.Lifetime < 0 || p.Lifetime > Infinite || p.Retention() < 0 {
			t.Fatalf("lifetime %v, keep %v", p.Lifetime, p.Retention())
		}
		now := t0.Add(time.Duration(after))
		r := p.Reuse(&req, now)
		if r.Age < 0 || r.Age > Infinite || r.TTL != p.Lifetime-r.Age {
			t.Fatalf("%+v", r)
		}
		d := &p.Directives
		switch r.Action {
		case Serve, ServeAndValidate:
			if d.NoCache || req.NoCache || r.Stale() && (d.MustRevalidate || shared && (d.ProxyRevalidate || d.SMaxAge.OK)) {
				t.Fatalf("%+v of %q for %q", r, cc, reqCC)
			}
		case Refuse:
			if !req.OnlyIfCached {
				t.Fatalf("%+v for %q", r, reqCC)
			}
		case Validate:
			if req.OnlyIfCached {
				t.Fatalf("%+v for %q", r, reqCC)
			}
		}
		if e := p.ReuseOnError(&req, now); e.Action == Serve && (d.NoCache || e.Stale() && d.MustRevalidate) {
			t.Fatalf("%+v of %q", e, cc)
		}
		for _, authorization := range []bool{false, true} {
			s := p.Store(req, authorization)
			if s.OK && (req.NoStore || shared && d.Private || status < 200 || d.NoStore && !d.MustUnderstand || !slices.Contains(reasonsToStore, s.Reason)) {
				t.Fatalf("%+v of %d %q for %q", s, status, cc, reqCC)
			}
			if s.OK && authorization && !p.Store(req, false).OK {
				t.Fatalf("%q is stored only with Authorization", cc)
			}
		}

		// What is stored says the same when it is read again.
		again := NewPolicy(p.Options, status, StoredHeader(h, p), t0.Add(-time.Duration(after)), t0)
		if again.Lifetime != p.Lifetime || again.Age(now) != p.Age(now) || again.Source() != p.Source() {
			if !slices.ContainsFunc(p.Directives.PrivateFields, func(n string) bool { return h[n] != nil }) {
				t.Fatalf("%q: stored as %v of %v, was %v of %v", cc, again.Age(now), again.Lifetime, p.Age(now), p.Lifetime)
			}
		}
		UpdateHeader(h, h, p, t0)
		p.MatchesNotModified(h)
		p.FreshenedByHead(h, after)
		p.SetPreconditions(http.Header{})
	})
}

func FuzzSameOrigin(f *testing.F) {
	for _, s := range []string{"/y", "//b.example", "http://a.example:80/y", "javascript:x", "http:y", "http://a.example@b.example/", "\\\\b.example", "%zz"} {
		f.Add("http://a.example/x", s)
	}
	f.Fuzz(func(t *testing.T, base, ref string) {
		target, err := url.Parse(base)
		if err != nil || target.Host == "" {
			t.Skip()
		}
		u := SameOrigin(target, ref)
		if u == nil {
			return
		}
		if lower(u.Scheme) != lower(target.Scheme) || !strings.EqualFold(u.Hostname(), target.Hostname()) {
			t.Fatalf("%q from %q: %v", ref, base, u)
		}
		for _, u := range Invalidated("POST", target, 200, http.Header{"Location": {ref}}) {
			if origin(u) != origin(target) {
				t.Fatalf("%q from %q invalidates %v", ref, base, u)
			}
		}
	})
}
