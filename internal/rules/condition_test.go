package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// RFC 9110, sections 8.8.3 and 13.1.2.
func TestParseETags(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		tags  []string
		star  bool
		ok    bool
	}{
		{nil, nil, false, true},
		{[]string{""}, nil, false, true},
		{[]string{" , ,"}, nil, false, true},
		{[]string{"*"}, nil, true, true},
		{[]string{" * "}, nil, true, true},
		{[]string{`*, "a"`}, nil, false, false},
		{[]string{`"a", *`}, []string{`"a"`}, false, false},
		{[]string{"*", "*"}, nil, false, false},
		{[]string{`"a"`}, []string{`"a"`}, false, true},
		{[]string{`W/"a"`}, []string{`W/"a"`}, false, true},
		{[]string{`w/"a"`}, nil, false, false}, // W is case-sensitive
		{[]string{`W/ "a"`}, nil, false, false},
		{[]string{`""`}, []string{`""`}, false, true},
		{[]string{`W/""`}, []string{`W/""`}, false, true},
		{[]string{`"a", W/"b" ,"c"`}, []string{`"a"`, `W/"b"`, `"c"`}, false, true},
		{[]string{`"a"`, `"b"`}, []string{`"a"`, `"b"`}, false, true},
		{[]string{`,"a",,"b",`}, []string{`"a"`, `"b"`}, false, true},
		{[]string{`"a, b"`}, []string{`"a, b"`}, false, true}, // not a legal octet, but no end of the tag
		{[]string{`"a\"`}, []string{`"a\"`}, false, true},     // a backslash escapes nothing
		{[]string{`"a\", "b"`}, []string{`"a\"`, `"b"`}, false, true},
		{[]string{`"a" "b"`}, []string{`"a"`}, false, false},
		{[]string{`"a"b`}, []string{`"a"`}, false, false},
		{[]string{`"a`}, nil, false, false},
		{[]string{`a`}, nil, false, false},
		{[]string{`"a", b`}, []string{`"a"`}, false, false},
		{[]string{`W/a`}, nil, false, false},
		{[]string{`"`}, nil, false, false},
	} {
		tags, star, ok := ParseETags(tt.lines)
		if ok != tt.ok || star != tt.star || ok && !slices.Equal(tags, tt.tags) {
			t.Errorf("%q: %q, star %v, ok %v; want %q, %v, %v", tt.lines, tags, star, ok, tt.tags, tt.star, tt.ok)
		}
	}
}

// The table of RFC 9110, section 8.8.3.2, and what is no tag.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		a, b         string
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true},
		{`W/"1"`, `W/"2"`, false, false},
		{`W/"1"`, `"1"`, false, true},
		{`"1"`, `"1"`, true, true},
		{`"1"`, `"2"`, false, false},
		{`""`, `""`, true, true},
		{"", "", false, false},
		{`"1"`, "", false, false},
		{"", `"1"`, false, false},
	} {
		for range 2 {
			if s, w := StrongMatch(tt.a, tt.b), WeakMatch(tt.a, tt.b); s != tt.strong || w != tt.weak {
				t.Errorf("%s, %s: strong %v, weak %v", tt.a, tt.b, s, w)
			}
			tt.a, tt.b = tt.b, tt.a
		}
	}
}

func TestHasPreconditions(t *testing.T) {
	for _, tt := range []struct {
		field         string
		cache, origin bool
	}{
		{"X", false, false},
		{"If-None-Match", true, false},
		{"If-Modified-Since", true, false},
		{"If-Match", false, true},
		{"If-Unmodified-Since", false, true},
		{"If-Range", false, false},
	} {
		if cache, origin := HasPreconditions(fields(tt.field, "")); cache != tt.cache || origin != tt.origin {
			t.Errorf("%s: %v, %v", tt.field, cache, origin)
		}
	}
}

// RFC 9111, section 4.3.2, and RFC 9110, section 13.
func TestNotModified(t *testing.T) {
	modified, before, after := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour)), httpDate(t0.Add(-time.Minute))
	both := []string{"Etag", `"a"`, "Last-Modified", modified}
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"no precondition", both, nil, false},
		{"the tag", both, []string{"If-None-Match", `"a"`}, true},
		{"the tag, compared weakly", both, []string{"If-None-Match", `W/"a"`}, true},
		{"a weak tag, compared weakly", []string{"Etag", `W/"a"`}, []string{"If-None-Match", `"a"`}, true},
		{"another", both, []string{"If-None-Match", `"b"`}, false},
		{"one of several", both, []string{"If-None-Match", `"b", W/"c"`, "If-None-Match", `"a"`}, true},
		{"any", both, []string{"If-None-Match", "*"}, true},
		{"any, without a tag", nil, []string{"If-None-Match", "*"}, true},
		{"a tag where none is stored", []string{"Last-Modified", modified}, []string{"If-None-Match", `"a"`}, false},
		{"the empty tag where none is stored", nil, []string{"If-None-Match", `""`}, false},
		{"a list that is not valid", both, []string{"If-None-Match", `"a", b`}, false},
		{"an empty list", both, []string{"If-None-Match", ""}, false},
		{"a tag without quotes", []string{"Etag", "a"}, []string{"If-None-Match", "a"}, false},

		{"If-None-Match before If-Modified-Since: no", both, []string{"If-None-Match", `"b"`, "If-Modified-Since", after}, false},
		{"If-None-Match before If-Modified-Since: yes", both, []string{"If-None-Match", `"a"`, "If-Modified-Since", before}, true},

		{"the date", both, []string{"If-Modified-Since", modified}, true},
		{"the date in another form", both, []string{"If-Modified-Since", t0.Add(-time.Hour).Format(time.ANSIC)}, true},
		{"later", both, []string{"If-Modified-Since", after}, true},
		{"earlier", both, []string{"If-Modified-Since", before}, false},
		{"not valid", both, []string{"If-Modified-Since", "0"}, false},
		{"two of them", both, []string{"If-Modified-Since", after, "If-Modified-Since", after}, false},
		{"no Last-Modified: Date stands in", []string{"Etag", `"a"`}, []string{"If-Modified-Since", httpDate(t0)}, true},
		{"no Last-Modified, before Date", nil, []string{"If-Modified-Since", after}, false},
		{"broken Last-Modified: Date stands in", []string{"Last-Modified", "0"}, []string{"If-Modified-Since", httpDate(t0)}, true},
		{"If-Match is not for a cache", both, []string{"If-Match", `"b"`, "If-Unmodified-Since", before}, false},
	} {
		if got := policyOf(private, 200, tt.resp...).NotModified(fields(tt.req...), t0); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}

	// Without any date the time of receipt stands in, in whole seconds as the field has them.
	p := NewPolicy(private, 200, nil, t0, t0.Add(time.Second/2))
	if !p.NotModified(fields("If-Modified-Since", httpDate(t0)), t0) {
		t.Error("the time of receipt does not stand in for Date")
	}
}

// RFC 9110, sections 13.1.1, 13.1.4 and 13.2.2.
func TestMatches(t *testing.T) {
	modified, before, after := httpDate(t0.Add(-time.Hour)), httpDate(t0.Add(-2*time.Hour)), httpDate(t0.Add(-time.Minute))
	both := []string{"Etag", `"a"`, "Last-Modified", modified}
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"no precondition", both, nil, true},
		{"the tag", both, []string{"If-Match", `"a"`}, true},
		{"one of several", both, []string{"If-Match", `"b", W/"c"`, "If-Match", `"a"`}, true},
		{"another", both, []string{"If-Match", `"b"`}, false},
		{"the tag as a weak one", both, []string{"If-Match", `W/"a"`}, false},
		{"a weak tag", []string{"Etag", `W/"a"`}, []string{"If-Match", `W/"a"`}, false},
		{"a strong tag for a weak one", []string{"Etag", `W/"a"`}, []string{"If-Match", `"a"`}, false},
		{"any", both, []string{"If-Match", "*"}, true},
		{"any, without a tag", nil, []string{"If-Match", "*"}, true},
		{"a tag where none is stored", nil, []string{"If-Match", `"a"`}, false},
		{"what is no tag", []string{"Etag", "a"}, []string{"If-Match", "a"}, false},
		{"a list that is not valid", both, []string{"If-Match", `"a", b`}, false},
		{"an empty list", both, []string{"If-Match", ""}, false},

		{"the date", both, []string{"If-Unmodified-Since", modified}, true},
		{"later", both, []string{"If-Unmodified-Since", after}, true},
		{"earlier", both, []string{"If-Unmodified-Since", before}, false},
		{"not valid", both, []string{"If-Unmodified-Since", "0"}, false},
		{"two of them", both, []string{"If-Unmodified-Since", after, "If-Unmodified-Since", after}, false},
		{"no Last-Modified", []string{"Etag", `"a"`}, []string{"If-Unmodified-Since", after}, false},

		{"If-Match first: yes", both, []string{"If-Match", `"a"`, "If-Unmodified-Since", before}, true},
		{"If-Match first: no", both, []string{"If-Match", `"b"`, "If-Unmodified-Since", after}, false},
		{"If-None-Match comes after", both, []string{"If-Match", `"a"`, "If-None-Match", `"a"`}, true},
	} {
		if got := policyOf(private, 200, tt.resp...).Matches(fields(tt.req...), t0); got != tt.want {
			t.Errorf("%s: Matches = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// RFC 9110, section 15.4.5.
func TestNotModifiedHeader(t *testing.T) {
	stored := fields("Cache-Control", "a", "Cache-Control", "b", "Cdn-Cache-Control", "c", "Content-Location", "/", "Date", "d",
		"Expires", "e", "Vary", "v", "Content-Type", "t", "Content-Length", "5", "Set-Cookie", "x", "Last-Modified", "l")
	want := fields("Cache-Control", "a", "Cache-Control", "b", "Cdn-Cache-Control", "c", "Content-Location", "/", "Date", "d",
		"Expires", "e", "Vary", "v", "Last-Modified", "l")
	got := NotModifiedHeader(stored)
	if !equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	got["Date"][0] = "changed"
	if stored.Get("Date") != "d" {
		t.Error("shares lines with the stored header")
	}
	stored.Set("Etag", `"a"`)
	if got := NotModifiedHeader(stored); got.Get("Etag") != `"a"` || got["Last-Modified"] != nil {
		t.Errorf("with ETag: %v", got)
	}
	if got := NotModifiedHeader(nil); got == nil || len(got) != 0 {
		t.Errorf("nil: %v", got)
	}
}

// RFC 9110, sections 13.1.5 and 8.8.2.2.
func TestIfRange(t *testing.T) {
	modified := httpDate(t0.Add(-time.Hour))
	for _, tt := range []struct {
		name      string
		resp, req []string
		want      bool
	}{
		{"none", nil, nil, true},
		{"the tag", []string{"Etag", `"a"`}, []string{"If-Range", `"a"`}, true},
		{"another", []string{"Etag", `"a"`}, []string{"If-Range", `"b"`}, false},
		{"weak", []string{"Etag", `W/"a"`}, []string{"If-Range", `W/"a"`}, false},
		{"weak for strong", []string{"Etag", `"a"`}, []string{"If-Range", `W/"a"`}, false},
		{"a tag where none is stored", nil, []string{"If-Range", `"a"`}, false},
		{"the date", []string{"Last-Modified", modified}, []string{"If-Range", modified}, true},
		{"the date beside a tag", []string{"Etag", `W/"a"`, "Last-Modified", modified}, []string{"If-Range", modified}, true},
		{"a later date", []string{"Last-Modified", modified}, []string{"If-Range", httpDate(t0)}, false},
		{"a date where none is stored", nil, []string{"If-Range", httpDate(t0)}, false},
		{"a date as new as Date", []string{"Last-Modified", httpDate(t0)}, []string{"If-Range", httpDate(t0)}, false},
		{"a date a second before", []string{"Last-Modified", httpDate(t0.Add(-time.Second))}, []string{"If-Range", httpDate(t0.Add(-time.Second))}, true},
		{"not valid", []string{"Etag", "a"}, []string{"If-Range", "a"}, false},
		{"empty", []string{"Etag", `"a"`}, []string{"If-Range", ""}, false},
		{"two of them", []string{"Etag", `"a"`}, []string{"If-Range", `"a"`, "If-Range", `"a"`}, false},
	} {
		if got := policyOf(private, 200, tt.resp...).IfRange(fields(tt.req...)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestStrongValidator(t *testing.T) {
	for tag, want := range map[string]string{`"a"`: `"a"`, `W/"a"`: "", "": ""} {
		p := NewPolicy(private, 200, http.Header{"Etag": {tag}}, t0, t0)
		if got := p.StrongValidator(); got != want {
			t.Errorf("%s: %q", tag, got)
		}
	}
}
