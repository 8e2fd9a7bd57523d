package rules

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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

// A well-formed restrictive directive counts, whatever is on the other lines.
func FuzzParseResponse(f *testing.F) {
	addAll(f, ccSeeds...)
	f.Fuzz(func(t *testing.T, line string) {
		for _, lines := range [][]string{{line}, {line, "no-store, no-cache, private, must-revalidate"}, {"no-store, no-cache, private, must-revalidate", line},
			{"no-store, no-cache, private, must-revalidate, " + line}} {
			h := http.Header{"Cache-Control": lines}
			r := ParseResponse(h, false)
			if len(lines) > 1 || lines[0] != line {
				if !r.NoStore || !r.NoCache || !r.Private || !r.MustRevalidate {
					t.Fatalf("ParseResponse(%q) = %+v, want all four restrictions", lines, r)
				}
				if p := NewPolicy(private, 200, h, t0, t0); p.Store(Request{}, false).OK && !r.overNoStore {
					t.Fatalf("Store of a response with %q = true, want false", lines)
				}
			}
			for _, d := range []Delta{r.MaxAge, r.SMaxAge, r.StaleWhileRevalidate, r.StaleIfError} {
				if d.Value < 0 || d.Value > Infinite || !d.OK && d.Value != 0 {
					t.Fatalf("ParseResponse(%q) = %+v, want 0 to Infinite, and 0 if absent", lines, r)
				}
			}
			if slices.ContainsFunc(append(r.NoCacheFields, r.PrivateFields...), func(s string) bool { return !IsToken(s) }) {
				t.Fatalf("ParseResponse(%q) = %+v, want only tokens as names", lines, r)
			}
		}
		// A second max-age never makes a response fresher than the first.
		one, two := ParseResponse(http.Header{"Cache-Control": {line}}, false), ParseResponse(http.Header{"Cache-Control": {line, "max-age=60"}}, false)
		if one.MaxAge.OK && two.MaxAge.Value > one.MaxAge.Value {
			t.Fatalf("%q and max-age=60: max-age is %v, want at most %v", line, two.MaxAge, one.MaxAge)
		}
	})
}

// Each member that a strict parser accepts is a directive: it is split by commas, and its name is a token.
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
			t.Fatalf("the directives of %q are %q, want %q", line, got, want)
		}
	})
}

func FuzzParseTargeted(f *testing.F) {
	addAll(f, "max-age=60", `no-cache="a"`, "private=(a b)", "no-store=?0", "max-age=1.5;a", "a, b=:YQ==:")
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cache-Control": {"no-store"}, "Cdn-Cache-Control": {line}}
		r := ParseResponse(h, true)
		if !r.Targeted && !r.NoStore {
			t.Fatalf("CDN-Cache-Control: %q and Cache-Control: no-store: %+v, want one of them to count", line, r)
		}
		if v := r.MaxAge.Value; v < 0 || v > Infinite {
			t.Fatalf("CDN-Cache-Control: %q: max-age is %v, want 0 to Infinite", line, v)
		}
		if p := ParseResponse(h, false); p.Targeted || !p.NoStore {
			t.Fatalf("CDN-Cache-Control: %q in a private cache: %+v, want Cache-Control to count", line, p)
		}
		h["Cdn-Cache-Control"] = []string{line, "no-store"}
		if r := ParseResponse(h, true); !r.NoStore {
			t.Fatalf("CDN-Cache-Control: %q and no-store: %+v, want NoStore", line, r)
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
				t.Fatalf("ParseRequest(%q) = %+v, want 0 to Infinite, and 0 if absent", cc, r)
			}
		}
		if r.pragma {
			t.Fatalf("ParseRequest(%q) with Pragma = %+v, want Pragma ignored", cc, r)
		}
		// More directives never make a request less demanding.
		more := ParseRequest(http.Header{"Cache-Control": {cc, "no-cache, no-store, max-age=5, min-fresh=5, max-stale=5"}})
		if !more.NoCache || !more.NoStore || more.MaxAge.Value > 5*time.Second || more.MinFresh.Value < 5*time.Second || more.MaxStale.Value > 5*time.Second {
			t.Fatalf("ParseRequest(%q and more) = %+v, want all five directives", cc, more)
		}
	})
}

// dateForm is a pattern for the three forms of a date.
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
					t.Fatalf("ParseDate(%q) = %v, %v, want %v, true", at.Format(form), got, ok, at)
				}
			}
		}
		got, ok := ParseDate(s, t0)
		if t2, ok2 := parseAnyDate(s, t0); ok2 != ok || t2 != got {
			t.Fatalf("ParseDate(%q) = %v, %v, want %v, %v as parseAnyDate", s, got, ok, t2, ok2)
		}
		if ok && !dateForm.MatchString(s) {
			t.Fatalf("ParseDate(%q) = %v, want false", s, got)
		}
		// What net/http's parser reads as well, it reads alike, but for years of two digits.
		want, err := http.ParseTime(s)
		if ok && err == nil && !strings.Contains(lower(s), "day,") && !got.Equal(want) {
			t.Fatalf("ParseDate(%q) = %v, want %v as http.ParseTime", s, got, want)
		}
		if ok && strings.Contains(lower(s), "day,") && got.After(t0.AddDate(50, 0, 0)) {
			t.Fatalf("ParseDate(%q) = %v, want at most 50 years after %v", s, got, t0)
		}
		if again, ok2 := ParseDate(httpDate(got), t0); ok && (!ok2 || !again.Equal(got)) {
			t.Fatalf("ParseDate(%q) = %v, %v, want %v, true", httpDate(got), again, ok2, got)
		}
	})
}

func FuzzParseETags(f *testing.F) {
	addAll(f, `"a"`, `W/"a", "b"`, "*", `*, "a"`, `"a\"`, `"`, `,"",`, `w/"a"`)
	tag := regexp.MustCompile(`^(W/)?"[^"]*"$`)
	f.Fuzz(func(t *testing.T, line string) {
		tags, star, ok := ParseETags([]string{line})
		if star && (len(tags) > 0 || !ok) {
			t.Fatalf("ParseETags(%q) = %q, %v, %v, want no tags with *", line, tags, star, ok)
		}
		for _, s := range tags {
			if !tag.MatchString(s) || !strings.Contains(line, s) {
				t.Fatalf("ParseETags(%q) has %q, want entity tags of the line", line, s)
			}
		}
		if ok && !star {
			again, _, ok := ParseETags([]string{strings.Join(tags, ", ")})
			if !ok || !slices.Equal(again, tags) {
				t.Fatalf("ParseETags(%q) = %q, want %q", strings.Join(tags, ", "), again, tags)
			}
			split, _, ok := ParseETags(append(slices.Clone(tags), `"end"`))
			if !ok || !slices.Equal(split, append(slices.Clone(tags), `"end"`)) {
				t.Fatalf("ParseETags(%q and \"end\") on lines of their own = %q, want the same", tags, split)
			}
		}
		if IsStrongETag(line) && (!ok || !slices.Equal(tags, []string{line}) || !StrongMatch(line, line)) {
			t.Fatalf("IsStrongETag(%q), but ParseETags returns %q, %v", line, tags, ok)
		}
		p := &Validators{ETag: `"stored"`}
		if p.NotModified(http.Header{"If-None-Match": {line}}, t0) && !(ok && (star || strings.Contains(line, `"stored"`))) {
			t.Fatalf("NotModified for If-None-Match: %q = true, want false", line)
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
				t.Fatalf("%q of %d bytes is %d to %d, want a part of them", line, total, start, end)
			}
			// Each byte is selected as the field says it.
			if ok && r.First >= 0 && (start != r.First || r.Last >= 0 && end-1 > r.Last) || ok && r.First < 0 && end-start > r.Last {
				t.Fatalf("%q of %d bytes is %d to %d, want the range of the field", line, total, start, end)
			}
			if !ok && r.First >= 0 && r.First < total {
				t.Fatalf("%q of %d bytes is empty, want a part", line, total)
			}
		}
		if c, ok := ParseContentRange([]string{line}); ok {
			if c.First < 0 || c.Last < c.First || c.Total >= 0 && c.Last >= c.Total {
				t.Fatalf("ParseContentRange(%q) = %+v, want offsets in order", line, c)
			}
			if again, ok := ParseContentRange([]string{c.String()}); !ok || again != c {
				t.Fatalf("ParseContentRange(%q) = %v, %v, want %v, true", c.String(), again, ok, c)
			}
		}
	})
}

func FuzzNormalizeSelecting(f *testing.F) {
	for _, s := range []string{"gzip, deflate;q=0.5", "a;x=\"b;q=0.5\";q=1", "en , DE;q=0.3,", "a;q=500", `"a, b" , c`, "a;q=0.5;q=0.5", "a,,", `a;x="\"`, `X",0",0"`, "0,;", "0\x00"} {
		for _, name := range []string{"Accept", "Foo", "Cookie"} {
			f.Add(name, s, s+" ")
		}
	}
	f.Fuzz(func(t *testing.T, name, a, b string) {
		x, y := NormalizeSelecting(name, a), NormalizeSelecting(name, b)
		if again := NormalizeSelecting(name, x); again != x {
			t.Fatalf("NormalizeSelecting(%q, %q) = %q, want it unchanged", name, x, again)
		}
		if padded := NormalizeSelecting(name, " "+a+"\t"); padded != x {
			t.Fatalf("NormalizeSelecting(%q, %q) with white space around = %q, want %q", name, a, padded, x)
		}
		// What was made equal holds the same letters and digits but for weights, in this or that case and order.
		if x == y && a != b && !strings.ContainsAny(lower(a+b), "q") {
			if lettersOf(a) != lettersOf(b) {
				t.Fatalf("NormalizeSelecting(%q) of %q and %q = %q for both, want different values", name, a, b, x)
			}
		}
		PrefersLanguage(a, b)
	})
}

// lettersOf returns the octets of s that no normalization drops, each once. CR, LF and NUL count as spaces.
func lettersOf(s string) string {
	b := []byte(lower(s))
	slices.Sort(b)
	b = slices.Compact(b)
	return string(slices.DeleteFunc(b, func(c byte) bool { return strings.IndexByte(" \t\r\n\x00,;", c) >= 0 }))
}

// For any header, times are within their bounds and the decisions agree with each other.
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
			t.Fatalf("Lifetime is %v, Retention() = %v, want 0 to Infinite, and at least 0", p.Lifetime, p.Retention())
		}
		now := t0.Add(time.Duration(after))
		r := p.Reuse(&req, now)
		if r.Age < 0 || r.Age > Infinite || r.TTL != p.Lifetime-r.Age {
			t.Fatalf("Reuse = %+v, want an age of 0 to Infinite and a TTL of %v less the age", r, p.Lifetime)
		}
		d := p.Directives
		switch r.Action {
		case Serve, ServeAndValidate:
			if d.NoCache || req.NoCache || r.Stale() && (d.MustRevalidate || shared && (d.ProxyRevalidate || d.SMaxAge.OK)) {
				t.Fatalf("Reuse of %q for %q = %+v, want validation", cc, reqCC, r)
			}
		case Refuse:
			if !req.OnlyIfCached {
				t.Fatalf("Reuse for %q = %+v, want Refuse only with only-if-cached", reqCC, r)
			}
		case Validate:
			if req.OnlyIfCached {
				t.Fatalf("Reuse for %q = %+v, want no validation with only-if-cached", reqCC, r)
			}
		}
		if e := p.ReuseOnError(&req, now); e.Action == Serve && (d.NoCache || e.Stale() && d.MustRevalidate) {
			t.Fatalf("ReuseOnError of %q = %+v, want no stale use", cc, e)
		}
		for _, authorization := range []bool{false, true} {
			s := p.Store(req, authorization)
			if s.OK && (req.NoStore || shared && d.Private || status < 200 || d.NoStore && !d.MustUnderstand || !slices.Contains(reasonsToStore, s.Reason)) {
				t.Fatalf("Store of a %d with %q for %q = %+v, want it not stored", status, cc, reqCC, s)
			}
			if s.OK && authorization && !p.Store(req, false).OK {
				t.Fatalf("Store of %q = true with Authorization and false without, want true for both", cc)
			}
		}

		// The stored header gives the same policy when it is read again.
		again := NewPolicy(*p.Options, status, StoredHeader(h, p), t0.Add(-time.Duration(after)), t0)
		if again.Lifetime != p.Lifetime || again.Age(now) != p.Age(now) || again.Source() != p.Source() {
			if !slices.ContainsFunc(p.Directives.PrivateFields, func(n string) bool { return h[n] != nil }) {
				t.Fatalf("%q read again: age %v of %v, want %v of %v", cc, again.Age(now), again.Lifetime, p.Age(now), p.Lifetime)
			}
		}
		UpdateHeader(h, h, p, t0)
		p.MatchesNotModified(h)
		p.FreshenedByHead(h, after)
		p.SetPreconditions(http.Header{})
	})
}

func FuzzResolveSameOrigin(f *testing.F) {
	for _, s := range []string{"/y", "//b.example", "http://a.example:80/y", "javascript:x", "http:y", "http://a.example@b.example/", "\\\\b.example", "%zz"} {
		f.Add("http://a.example/x", s)
	}
	f.Fuzz(func(t *testing.T, base, ref string) {
		target, err := url.Parse(base)
		if err != nil || target.Host == "" {
			t.Skip()
		}
		u := ResolveSameOrigin(target, ref)
		if u == nil {
			return
		}
		if lower(u.Scheme) != lower(target.Scheme) || !strings.EqualFold(u.Hostname(), target.Hostname()) {
			t.Fatalf("ResolveSameOrigin(%q, %q) = %v, want the origin of the base", base, ref, u)
		}
		for _, u := range Invalidated("POST", target, 200, http.Header{"Location": {ref}}) {
			if origin(u) != origin(target) {
				t.Fatalf("Invalidated(%q) with Location %q has %v, want the origin of the target", base, ref, u)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "-1", "99999999999999999999", "1.5", "", "Thu, 01 Jan 2026 12:01:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(s, "60", "Thu, 01 Jan 2026 12:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, a, b, date string) {
		pause := func(lines ...string) time.Duration {
			return RetryAfter(503, http.Header{"Retry-After": lines, "Date": {date}}, t0)
		}
		got := pause(a, b)
		if got < 0 || got > MaxRetryAfter {
			t.Fatalf("RetryAfter of %q and %q with Date %q = %v, want 0 to %v", a, b, date, got, MaxRetryAfter)
		}
		if want := max(pause(a), pause(b)); got != want {
			t.Fatalf("RetryAfter of %q and %q with Date %q = %v, want the longer one, %v", a, b, date, got, want)
		}
		if s := strconv.FormatInt(int64(pause(a)/time.Second), 10); pause(s) != pause(a) {
			t.Fatalf("RetryAfter of %q = %v, want %v as for %q", s, pause(s), pause(a), a)
		}
		if r := RetryAfter(500, http.Header{"Retry-After": {a}}, t0); r != 0 {
			t.Fatalf("RetryAfter of a 500 with %q = %v, want 0", a, r)
		}
	})
}
