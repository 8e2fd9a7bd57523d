package rules

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDirectives(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  []directive
	}{
		{"none", nil, nil},
		{"an empty line", []string{""}, nil},
		{"empty members", []string{" , ,\t,", ",no-store,"}, []directive{{name: "no-store"}}},
		{"in order, over lines", []string{"b, a", "c"}, []directive{{name: "b"}, {name: "a"}, {name: "c"}}},
		{"white space", []string{" a\t, b "}, []directive{{name: "a"}, {name: "b"}}},
		{"names in lower case, values as they are", []string{"Max-AGE=Foo"}, []directive{{name: "max-age", value: "Foo", hasValue: true}}},
		{"an empty value", []string{"a="}, []directive{{name: "a", hasValue: true}}},
		{"a value with =", []string{"a=b=c"}, []directive{{name: "a", value: "b=c", hasValue: true}}},
		{"quoted", []string{`a="b"`}, []directive{{name: "a", value: "b", hasValue: true}}},
		{"quoted and empty", []string{`a=""`}, []directive{{name: "a", hasValue: true}}},
		{"a comma in a quoted string", []string{`a="b, c", d`}, []directive{{name: "a", value: "b, c", hasValue: true}, {name: "d"}}},
		{"an escaped quote", []string{`a="b\", c", d`}, []directive{{name: "a", value: `b", c`, hasValue: true}, {name: "d"}}},
		{"an escaped backslash", []string{`a="b\\", d`}, []directive{{name: "a", value: `b\`, hasValue: true}, {name: "d"}}},
		{"a needless escape", []string{`a="\b"`}, []directive{{name: "a", value: `b`, hasValue: true}}},
		{"white space before =", []string{"a =b"}, []directive{{name: "a", value: "b", hasValue: true, bad: true}}},
		{"white space after =", []string{"a= b"}, []directive{{name: "a", value: "b", hasValue: true, bad: true}}},
		{"white space before a quoted string", []string{`a= "b, c", d`}, []directive{{name: "a", value: "b, c", hasValue: true, bad: true}, {name: "d"}}},
		{"octets after a quoted string", []string{`a="b"c`}, []directive{{name: "a", value: `"b"c`, hasValue: true, bad: true}}},

		// A directive does not hide behind a quote that opens nothing.
		{"no end of a quoted string", []string{`a="b, c`}, []directive{{name: "a", value: `"b`, hasValue: true, bad: true}, {name: "c", bad: true}}},
		{"no end, after an escape", []string{`a="b\", c`}, []directive{{name: "a", value: `"b\"`, hasValue: true, bad: true}, {name: "c", bad: true}}},
		{"the end is on the next line", []string{`a="b, c`, `d"`}, []directive{{name: "a", value: `"b`, hasValue: true, bad: true}, {name: "c", bad: true}, {name: "d", bad: true}}},
		{"what is before it counts", []string{"x", `b, a="b, c`}, []directive{{name: "x"}, {name: "b"}, {name: "a", value: `"b`, hasValue: true, bad: true}, {name: "c", bad: true}}},
		{"what is on further lines is doubtful", []string{`a="b`, "c", `d="e, f", g`}, []directive{{name: "a", value: `"b`, hasValue: true, bad: true}, {name: "c", bad: true},
			{name: "d", value: `"e`, hasValue: true, bad: true}, {name: "f", bad: true}, {name: "g", bad: true}}},
		{"quotes inside tokens", []string{`a"b, no-store, c"d, e`}, []directive{{name: "a", bad: true}, {name: "no-store", bad: true}, {name: "c", bad: true}, {name: "e"}}},
		{"a quote inside a token", []string{`a"b, c`, "d"}, []directive{{name: "a", bad: true}, {name: "c", bad: true}, {name: "d", bad: true}}},
		{"a quote for a name", []string{`", c`}, []directive{{bad: true}, {name: "c", bad: true}}},
		{"a quote inside a value", []string{`a=b"c, d`}, []directive{{name: "a", value: `b"c`, hasValue: true}, {name: "d", bad: true}}},
		{"one quote too many", []string{`a="b"", no-store, c="d", e`}, []directive{{name: "a", value: `"b""`, hasValue: true, bad: true},
			{name: "no-store", bad: true}, {name: "c", value: "d", hasValue: true, bad: true}, {name: "e", bad: true}}},
		{"after a semicolon", []string{`a; b="c, d`}, []directive{{name: "a", bad: true}, {name: "b", value: `"c`, hasValue: true, bad: true}, {name: "d", bad: true}}},

		// A name ends where its token does.
		{"a semicolon", []string{"no-store; max-age=60"},
			[]directive{{name: "no-store", bad: true}, {name: "max-age", value: "60", hasValue: true, bad: true}}},
		{"a semicolon after a value", []string{"max-age=60; private"},
			[]directive{{name: "max-age", value: "60; private", hasValue: true}, {name: "private", bad: true}}},
		{"a semicolon in a quoted string", []string{`ext="a; no-store"`},
			[]directive{{name: "ext", value: "a; no-store", hasValue: true}}},
		{"a space", []string{"no-store max-age=60"}, []directive{{name: "no-store", bad: true}}},
		{"no name", []string{"=b", `"a"`}, []directive{{value: "b", hasValue: true, bad: true}, {bad: true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []directive
			directives(tt.lines, func(d directive) { got = append(got, d) })
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(directive{})); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.lines, diff)
			}
		})
	}
}

func TestParseSeconds(t *testing.T) {
	for s, want := range map[string]Delta{
		"0":           seconds(0),
		"00":          seconds(0),
		"003600":      seconds(3600),
		"2147483647":  seconds(1<<31 - 1),
		"2147483648":  {Infinite, true}, // section 1.2.2
		"2147483649":  {Infinite, true},
		"99999999999": {Infinite, true},
		"9999999999999999999999999999999999999999": {Infinite, true},
		"18446744073709551617":                     {Infinite, true}, // 2^64 + 1
		"":                                         {},
		"-1":                                       {},
		"+1":                                       {},
		"3600.0":                                   {},
		"3600.5":                                   {},
		"1e3":                                      {},
		"'3600'":                                   {},
		"a3600":                                    {},
		"3600a":                                    {},
		"0x10":                                     {},
		"1_000":                                    {},
		" 1":                                       {},
		"٣":                                        {}, // a digit, but not an ASCII one
	} {
		if v, ok := ParseSeconds(s); (Delta{v, ok}) != want {
			t.Errorf("ParseSeconds(%q) = %v, %v, want %v", s, v, ok, want)
		}
	}
}

func TestParseResponse(t *testing.T) {
	zero := seconds(0)
	for _, tt := range []struct {
		name  string
		lines []string
		want  Response
	}{
		{"none", nil, Response{}},
		{"unknown ones (section 5.2.3)", []string{`foo, bar="no-store", max-age=60`}, Response{MaxAge: seconds(60)}},
		{"all flags", []string{"no-store, no-cache, private, public, must-revalidate, proxy-revalidate, must-understand, immutable"},
			Response{NoStore: true, NoCache: true, Private: true, Public: true, MustRevalidate: true, ProxyRevalidate: true,
				MustUnderstand: true, Immutable: true}},
		{"semicolons for commas", []string{"max-age=60; private; no-store; public"},
			Response{MaxAge: zero, Private: true, NoStore: true}},
		{"all times", []string{"max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4"},
			Response{MaxAge: seconds(1), SMaxAge: seconds(2), StaleWhileRevalidate: seconds(3), StaleIfError: seconds(4)}},
		{"in any case (section 5.2)", []string{"No-StoRe, MAX-AGE=60"}, Response{NoStore: true, MaxAge: seconds(60)}},
		{"over lines", []string{"max-age=60", "no-cache", "public"}, Response{MaxAge: seconds(60), NoCache: true, Public: true}},

		// Section 4.2.1: invalid freshness information means stale.
		{"max-age, quoted (section 5.2)", []string{`max-age="60"`}, Response{MaxAge: seconds(60)}},
		{"max-age in single quotes", []string{`max-age='60'`}, Response{MaxAge: zero}},
		{"max-age without a value", []string{"max-age"}, Response{MaxAge: zero}},
		{"max-age with an empty one", []string{"max-age="}, Response{MaxAge: zero}},
		{"max-age =60", []string{"max-age =60"}, Response{MaxAge: zero}},
		{"max-age= 60", []string{"max-age= 60"}, Response{MaxAge: zero}},
		{"max-age, negative", []string{"max-age=-60"}, Response{MaxAge: zero}},
		{"max-age with a fraction", []string{"max-age=60.0"}, Response{MaxAge: zero}},
		{"max-age; more", []string{"max-age=60; public"}, Response{MaxAge: zero}},
		{"max-age in another's quoted string", []string{`ext="max-age=60", max-age=1`}, Response{MaxAge: seconds(1)}},
		{"max-age beyond 2^31", []string{"max-age=99999999999"}, Response{MaxAge: Delta{Infinite, true}}},
		{"max-age twice, the same", []string{"max-age=60, max-age=60", "max-age=060"}, Response{MaxAge: seconds(60)}},
		{"max-age twice, falling", []string{"max-age=60, max-age=1"}, Response{MaxAge: zero}},
		{"max-age twice, rising", []string{"max-age=1", "max-age=60"}, Response{MaxAge: zero}},
		{"max-age three times, the last like the first", []string{"max-age=60, max-age=1, max-age=60"}, Response{MaxAge: zero}},
		{"max-age twice, one broken", []string{"max-age=60, max-age=x"}, Response{MaxAge: zero}},
		{"s-maxage, broken", []string{"s-maxage=x, max-age=60"}, Response{SMaxAge: zero, MaxAge: seconds(60)}},

		// Of several permissions the smallest; one that is broken permits nothing.
		{"stale-while-revalidate twice", []string{"stale-while-revalidate=60, stale-while-revalidate=5"}, Response{StaleWhileRevalidate: seconds(5)}},
		{"stale-if-error, broken", []string{"stale-if-error=60, stale-if-error"}, Response{StaleIfError: zero}},

		// Restrictive ones count however badly they are written.
		{"no-store with a value", []string{"no-store=false"}, Response{NoStore: true}},
		{"no-store = x", []string{"no-store = x"}, Response{NoStore: true}},
		{"no-store;", []string{"no-store;"}, Response{NoStore: true}},
		{"no-store with a broken value", []string{`no-store="`}, Response{NoStore: true}},
		{"must-revalidate with a value", []string{"must-revalidate=1"}, Response{MustRevalidate: true}},
		{"proxy-revalidate with a value", []string{"proxy-revalidate=1"}, Response{ProxyRevalidate: true}},
		{"must-understand with a value", []string{"must-understand=1"}, Response{MustUnderstand: true}},
		{"no-cache after a stray quote", []string{`foo", no-cache, bar"`}, Response{NoCache: true}},

		// Nothing permissive is read from behind an open quote: by another reading it is inside a quoted string.
		{"behind an open quote", []string{`max-age=60, ext="x, public`}, Response{MaxAge: seconds(60)}},
		{"everything permissive", []string{`ext="x, public, immutable, max-age=60, s-maxage=60, stale-while-revalidate=60, stale-if-error=60`},
			Response{MaxAge: zero, SMaxAge: zero, StaleWhileRevalidate: zero, StaleIfError: zero}},
		{"everything restrictive", []string{`ext="x, no-store, no-cache, private, must-revalidate, proxy-revalidate, must-understand`},
			Response{NoStore: true, NoCache: true, Private: true, MustRevalidate: true, ProxyRevalidate: true, MustUnderstand: true}},
		{"names that no-cache and private have there", []string{`ext=x"y, no-cache=a, private=b`}, Response{NoCache: true, Private: true}},
		{"on the next line", []string{`max-age=60, ext="x`, "public"}, Response{MaxAge: seconds(60)}},
		{"on the line before", []string{"public", `max-age=60, ext="x`}, Response{MaxAge: seconds(60), Public: true}},
		{"a second lifetime", []string{`max-age=60, ext="x, max-age=3600`}, Response{MaxAge: zero}},
		{"after an escaped quote", []string{`max-age=60, ext="x\", public`}, Response{MaxAge: seconds(60)}},
		{"a quote that opens no value", []string{`max-age=60, "x, public`}, Response{MaxAge: seconds(60)}},
		{"a quote inside a name", []string{`max-age=60, x"y, public`}, Response{MaxAge: seconds(60)}},
		{"a quote inside a value", []string{`max-age=60, x=y"z, public`}, Response{MaxAge: seconds(60)}},
		{"a quote after a quoted string", []string{`max-age=60, x="y"", public`}, Response{MaxAge: seconds(60)}},
		{"between quotes that open no value", []string{`max-age=60, "x, public, no-store"`}, Response{MaxAge: seconds(60), NoStore: true}},
		{"behind quotes that are closed", []string{`max-age=60, "x, y", z"", public`}, Response{MaxAge: seconds(60), Public: true}},
		{"behind a quoted string", []string{`max-age=60, ext="x, y", public`}, Response{MaxAge: seconds(60), Public: true}},
		{"an open value of no-cache", []string{`no-cache="a, public, max-age=60`}, Response{NoCache: true, MaxAge: zero}},

		// Permissive ones only as the grammar has them: no argument is allowed (section 5.2).
		{"public with a value", []string{"public=1"}, Response{}},
		{"public;", []string{"public;"}, Response{}},
		{"immutable with a value", []string{`immutable=""`}, Response{Immutable: true}}, // RFC 8246, section 2
		{"immutable with a token", []string{"immutable=0"}, Response{Immutable: true}},
		{"immutable with a broken value", []string{`immutable="x"y`}, Response{}},

		// Sections 5.2.2.4 and 5.2.2.7.
		{"no-cache with names", []string{`no-cache="a, X-b"`}, Response{NoCacheFields: []string{"A", "X-B"}}},
		{"no-cache with one name", []string{`no-cache="set-cookie", max-age=60`}, Response{NoCacheFields: []string{"Set-Cookie"}, MaxAge: seconds(60)}},
		{"no-cache with a token", []string{`no-cache=set-cookie`}, Response{NoCacheFields: []string{"Set-Cookie"}}},
		{"no-cache with and without names", []string{`no-cache="a", no-cache`}, Response{NoCacheFields: []string{"A"}, NoCache: true}},
		{"no-cache twice with names", []string{`no-cache="a"`, `no-cache="b"`}, Response{NoCacheFields: []string{"A", "B"}}},
		{"no-cache with an empty list", []string{`no-cache=""`}, Response{NoCache: true}},
		{"no-cache with an empty value", []string{`no-cache=`}, Response{NoCache: true}},
		{"no-cache with a list of nothing", []string{`no-cache=" , ,"`}, Response{NoCache: true}},
		{"no-cache with what is no name", []string{`no-cache="a b"`}, Response{NoCache: true}},
		{"no-cache with one name and junk", []string{`no-cache="a, (b)"`}, Response{NoCache: true}},
		{"no-cache without an end", []string{`no-cache="a, b`}, Response{NoCache: true}},
		{"no-cache with octets after the string", []string{`no-cache="a"b`}, Response{NoCache: true}},
		{"no-cache = names", []string{`no-cache = "a"`}, Response{NoCache: true}},
		{"no-cache with a field that decides about reuse", []string{`no-cache="x, vary"`}, Response{NoCache: true}},
		{"no-cache with a field that the body needs", []string{`no-cache="content-encoding"`}, Response{NoCache: true}},
		{"private with a field that decides about reuse", []string{`private="cache-control"`}, Response{Private: true}},
		{"private with a field that the body needs", []string{`private="content-range", private=x`}, Response{Private: true, PrivateFields: []string{"X"}}},
		{"private with names", []string{`private="set-cookie, x"`}, Response{PrivateFields: []string{"Set-Cookie", "X"}}},
		{"private with a token", []string{`private=junk`}, Response{PrivateFields: []string{"Junk"}}},
		{"private with junk", []string{`private={}`}, Response{Private: true}},
		{"private with an empty list", []string{`private=""`}, Response{Private: true}},
		{"private without an end", []string{`private="a, max-age=60`}, Response{Private: true, MaxAge: zero}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fields("Expires", httpDate(t0), "Pragma", "no-cache")
			h["Cache-Control"] = tt.lines
			for _, shared := range []bool{false, true} {
				got := ParseResponse(h, shared)
				if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Response{})); diff != "" {
					t.Errorf("shared %v: %q (-want +got):\n%s", shared, tt.lines, diff)
				}
			}
		})
	}
}

// RFC 9213: a dictionary of structured fields, for shared caches only.
func TestParseTargeted(t *testing.T) {
	fallback := Response{MaxAge: seconds(1), Public: true}
	for _, tt := range []struct {
		name  string
		lines []string
		want  Response
	}{
		{"stands in for Cache-Control", []string{"max-age=60"}, Response{Targeted: true, MaxAge: seconds(60)}},
		{"all of it", []string{"no-store, must-revalidate", `no-cache="a, b", s-maxage=5, stale-if-error=6`},
			Response{Targeted: true, NoStore: true, MustRevalidate: true, NoCacheFields: []string{"A", "B"}, SMaxAge: seconds(5), StaleIfError: seconds(6)}},
		{"private", []string{"private"}, Response{Targeted: true, Private: true}},
		{"private with names", []string{`private="set-cookie"`}, Response{Targeted: true, PrivateFields: []string{"Set-Cookie"}}},
		{"a token for a name", []string{`private=Set-Cookie, no-cache=x`}, Response{Targeted: true, PrivateFields: []string{"Set-Cookie"}, NoCacheFields: []string{"X"}}},
		{"the last of several, as dictionaries have it", []string{"max-age=60", "max-age=30"}, Response{Targeted: true, MaxAge: seconds(30)}},
		{"parameters are ignored (section 2.1)", []string{"max-age=60;a=1;b, public;c"}, Response{Targeted: true, MaxAge: seconds(60), Public: true}},
		{"unknown directives of any type", []string{`foo, bar=(1 2), baz="x", qux=1.5, quux=?0, max-age=60`}, Response{Targeted: true, MaxAge: seconds(60)}},
		{"only unknown ones", []string{"foo"}, Response{Targeted: true}},
		{"overflow", []string{"max-age=99999999999"}, Response{Targeted: true, MaxAge: Delta{Infinite, true}}},
		{"negative", []string{"max-age=-1"}, Response{Targeted: true, MaxAge: seconds(0)}},

		{"empty", []string{""}, fallback},
		{"no structured field", []string{"max-age=60, &&&"}, fallback},
		{"an upper-case key", []string{"Max-Age=60"}, fallback},
		{"white space before =", []string{"max-age =60"}, fallback},
		{"white space after =", []string{"max-age= 60"}, fallback},
		{"a comma at the end", []string{"max-age=60,"}, fallback},
		{"one broken line", []string{"max-age=60", "="}, fallback},
		{"a string for a number", []string{`max-age="60"`}, fallback},
		{"a decimal for a number", []string{"max-age=60.5"}, fallback},
		{"a token for a number", []string{"max-age=abc"}, fallback},
		{"no number", []string{"max-age"}, fallback},
		{"a list for a number", []string{"max-age=(60)"}, fallback},
		{"a number for a flag", []string{"public=1"}, fallback},
		{"a false flag", []string{"immutable=?0"}, fallback},

		// What restricts, restricts.
		{"no-store of the wrong type", []string{"no-store=1"}, Response{Targeted: true, NoStore: true}},
		{"no-store=?0", []string{"no-store=?0"}, Response{Targeted: true, NoStore: true}},
		{"a list for private", []string{`private=("a" "b")`}, Response{Targeted: true, Private: true}},
		{"a number for no-cache", []string{"no-cache=1"}, Response{Targeted: true, NoCache: true}},
		{"junk for no-cache", []string{`no-cache="a b"`}, Response{Targeted: true, NoCache: true}},
		{"must-revalidate of the wrong type", []string{`must-revalidate="x"`}, Response{Targeted: true, MustRevalidate: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fields("Cache-Control", "max-age=1, public")
			h["Cdn-Cache-Control"] = tt.lines
			ignore := cmpopts.IgnoreUnexported(Response{})
			if diff := cmp.Diff(tt.want, ParseResponse(h, true), ignore); diff != "" {
				t.Errorf("shared: %q (-want +got):\n%s", tt.lines, diff)
			}
			if diff := cmp.Diff(fallback, ParseResponse(h, false), ignore); diff != "" {
				t.Errorf("private: %q (-want +got):\n%s", tt.lines, diff)
			}
		})
	}
}

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    []string
		want Request
	}{
		{"nothing", nil, Request{}},
		{"all of it", []string{"Cache-Control", "no-cache, no-store, no-transform, only-if-cached, max-age=1", "Cache-Control", "min-fresh=2, max-stale=3, stale-if-error=4"},
			Request{NoCache: true, NoStore: true, NoTransform: true, OnlyIfCached: true, MaxAge: seconds(1), MinFresh: seconds(2), MaxStale: seconds(3), StaleIfError: seconds(4)}},
		{"in any case", []string{"Cache-Control", "NO-CACHE"}, Request{NoCache: true}},
		{"unknown ones", []string{"Cache-Control", `private, s-maxage=1, ext="no-cache, no-store"`}, Request{}},

		{"Pragma (section 5.4)", []string{"Pragma", "no-cache"}, Request{NoCache: true, pragma: true}},
		{"Pragma among others, in any case", []string{"Pragma", "foo, No-Cache"}, Request{NoCache: true, pragma: true}},
		{"Pragma on the second line", []string{"Pragma", "foo", "Pragma", "no-cache"}, Request{NoCache: true, pragma: true}},
		{"another Pragma", []string{"Pragma", "no-cache2, x=no-cache"}, Request{}},
		{"Pragma beside Cache-Control", []string{"Pragma", "no-cache", "Cache-Control", "max-stale"}, Request{MaxStale: Delta{Infinite, true}}},

		{"max-age, broken: the strictest", []string{"Cache-Control", "max-age=x"}, Request{MaxAge: seconds(0)}},
		{"max-age without a value", []string{"Cache-Control", "max-age"}, Request{MaxAge: seconds(0)}},
		{"max-age twice: the shorter", []string{"Cache-Control", "max-age=5, max-age=3, max-age=4"}, Request{MaxAge: seconds(3)}},
		{"max-age, quoted (section 5.2)", []string{"Cache-Control", `max-age="5"`}, Request{MaxAge: seconds(5)}},
		{"min-fresh, broken: the strictest", []string{"Cache-Control", "min-fresh=-1"}, Request{MinFresh: Delta{Infinite, true}}},
		{"min-fresh twice: the longer", []string{"Cache-Control", "min-fresh=3, min-fresh=5, min-fresh=4"}, Request{MinFresh: seconds(5)}},
		{"max-stale without a value (section 5.2.1.2)", []string{"Cache-Control", "max-stale"}, Request{MaxStale: Delta{Infinite, true}}},
		{"max-stale twice: the shorter", []string{"Cache-Control", "max-stale, max-stale=5"}, Request{MaxStale: seconds(5)}},
		{"max-stale, broken: nothing", []string{"Cache-Control", "max-stale=x"}, Request{MaxStale: seconds(0)}},
		{"max-stale;: nothing", []string{"Cache-Control", "max-stale;"}, Request{MaxStale: seconds(0)}},
		{"stale-if-error without a value: nothing", []string{"Cache-Control", "stale-if-error"}, Request{StaleIfError: seconds(0)}},
		{"no-store with a value", []string{"Cache-Control", "no-store=x"}, Request{NoStore: true}},
		{"behind an open quote", []string{"Cache-Control", `ext="x, max-stale, stale-if-error=60, max-age=60, min-fresh=5, no-store, only-if-cached`},
			Request{MaxStale: seconds(0), StaleIfError: seconds(0), MaxAge: seconds(0), MinFresh: Delta{Infinite, true}, NoStore: true, OnlyIfCached: true}},
		{"max-stale behind an open quote on another line", []string{"Cache-Control", `ext="x`, "Cache-Control", "max-stale=60, no-cache"}, Request{MaxStale: seconds(0), NoCache: true}},
		{"no-cache with a value", []string{"Cache-Control", `no-cache="x"`}, Request{NoCache: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseRequest(fields(tt.h...)), cmp.AllowUnexported(Request{})); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.h, diff)
			}
		})
	}
}

// A permission after an unclosed quote does not count, because another recipient may read it as a part of a string. A
// CDN-Cache-Control with an unclosed quote is not a structured field.
func TestOpenQuotesPermitNothing(t *testing.T) {
	for _, cc := range []string{
		`max-age=60, ext="x, public`, `max-age=60, ext="x, must-revalidate`, `max-age=60, ext="x, s-maxage=60`, `max-age=60, "x, public`, `max-age=60, x"y, public`,
	} {
		p := policyOf(withholding(shared), 200, "Cache-Control", cc, "Etag", `"a"`)
		if got := p.Store(Request{}, true); got != (StoreDecision{Reason: AuthorizationInShared}) {
			t.Errorf("%s: %+v with Authorization, want %v", cc, got, AuthorizationInShared)
		}
		if p.Directives.shareable {
			t.Errorf("%s: shareable = true, want false", cc)
		}
	}
	if got := policyOf(private, 200, "Cache-Control", `no-store, max-age=60, ext="x, must-understand`).Store(Request{}, false); got.OK {
		t.Errorf("no-store and a must-understand after an open quote: Store = %+v, want %v", got, NoStoreResponse)
	}
	if got := ParseResponse(fields("Cdn-Cache-Control", `max-age=60, ext="x, public`, "Cache-Control", "private"), true); got.Targeted || !got.Private {
		t.Errorf("CDN-Cache-Control with an open quote: %+v, want Cache-Control to count", got)
	}
	for _, vary := range []string{`Accept, "x, Cookie`, `"Accept, Cookie"`, `Accept"`} {
		if _, star := SelectingFields(fields("Vary", vary)); !star {
			t.Errorf("Vary: %s selects by names, want none to match", vary)
		}
	}
	if p := policyOf(private, 200, "Expires", `"`+httpDate(t0.Add(time.Hour))); p.Lifetime != 0 {
		t.Errorf("an Expires with an open quote: fresh for %v, want 0", p.Lifetime)
	}
}

// Lines made of quotes and escapes take linear time: an origin could send megabytes of them.
func TestHostileLines(t *testing.T) {
	for _, unit := range []string{`"\`, `\"`, `"\,`, `\",`, `a="\`, `a="\",`, `="`, `= "\`, `a;`, `",`, ","} {
		line := strings.Repeat(unit, 1<<19/len(unit))
		for name, f := range map[string]func(){
			"directives":         func() { directives([]string{line}, func(directive) {}) },
			"listMembers":        func() { listMembers([]string{line}, func(string) {}) },
			"SelectingFields":    func() { SelectingFields(fields("Vary", line)) },
			"NormalizeSelecting": func() { NormalizeSelecting("Accept", line) },
			"ParseETags":         func() { ParseETags([]string{line}) },
		} {
			start := time.Now()
			f()
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("%s of 512 KiB of %q took %v, want at most 3s", name, unit, d)
			}
		}
	}
}

// A permission counts only if it is outside of all quoted strings, also if every quote is read as the beginning or the end of a
// string. A restriction counts if it is outside by either reading.
func TestQuotesByAnotherReading(t *testing.T) {
	pieces := []string{
		"public", "max-age=60", "must-understand", "no-store", "private", "ext", "ext=a", `ext="a"`, `ext="a, b"`, `"`, `"y`, `x="`, `\"`,
		`x="a\"`, `""`, `=""`, ",", ",", ", ", " ", ";",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		var line strings.Builder
		between := []string{"", ",", ", "}[r.IntN(3)]
		for range 1 + r.IntN(8) {
			line.WriteString(pieces[r.IntN(len(pieces))] + between)
		}
		outside, lines := membersOutsideQuotes(line.String()), []string{line.String()}
		if i := strings.LastIndexByte(lines[0], ','); i >= 0 && r.IntN(4) == 0 {
			lines = []string{lines[0][:i], lines[0][i+1:]}
		}
		got := ParseResponse(http.Header{"Cache-Control": lines}, true)
		for name, read := range map[string]bool{"public": got.Public, "max-age=60": got.MaxAge.Value > 0, "must-understand": got.overNoStore} {
			if read && !outside[name] {
				t.Errorf("ParseResponse(%q) has %s, want it ignored within a quoted string", lines, name)
			}
		}
		for name, read := range map[string]bool{"no-store": got.NoStore, "private": got.Private} {
			if !read && outside[name] {
				t.Errorf("ParseResponse(%q) has no %s, want it", lines, name)
			}
		}
	}
}

// membersOutsideQuotes returns the members of a list that are outside of quoted strings if each quote is an end of one.
func membersOutsideQuotes(list string) map[string]bool {
	members, inside, start := make(map[string]bool), false, 0
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == ',' && !inside:
			members[strings.TrimSpace(list[start:i])], start = true, i+1
		}
	}
	if !inside {
		members[strings.TrimSpace(list[start:])] = true
	}
	return members
}

func TestEachDirective(t *testing.T) {
	var got []string
	EachDirective([]string{`Max-Age=60, ,private="a, b"`, "no-store;x, =1"}, func(name, member string) {
		got = append(got, name, member)
	})
	want := []string{"max-age", "Max-Age=60", "private", `private="a, b"`, "no-store", "no-store;x", "", "=1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Directives tells a member, a stray one after a semicolon, and those whose quotes make them doubtful apart.
func TestDirectivesOfField(t *testing.T) {
	got := Directives([]string{`Max-Age=60; ;No-Store, private="a\"b"`, `"x, public`})
	want := []Directive{
		{Name: "max-age", Value: "60; ;No-Store", HasValue: true, Member: "Max-Age=60; ;No-Store"},
		{Name: "no-store", Malformed: true, Stray: true, Member: "No-Store"},
		{Name: "private", Value: `a"b`, HasValue: true, Member: `private="a\"b"`},
		{Malformed: true, Member: `"x`},
		{Name: "public", Malformed: true, Doubtful: true, Member: "public"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
