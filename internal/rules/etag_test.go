package rules

import (
	"slices"
	"testing"
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
		if ok != tt.ok || star != tt.star || !slices.Equal(tags, tt.tags) {
			t.Errorf("%q: %q, star %v, ok %v; want %q, %v, %v", tt.lines, tags, star, ok, tt.tags, tt.star, tt.ok)
		}
	}
}

// The table of RFC 9110, section 8.8.3.2, and values that are not entity tags.
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
				t.Errorf("%s and %s match strongly: %v, weakly: %v, want %v, %v", tt.a, tt.b, s, w, tt.strong, tt.weak)
			}
			tt.a, tt.b = tt.b, tt.a
		}
	}
}

// RFC 9110, section 8.8.3.
func TestIsStrongETag(t *testing.T) {
	for s, want := range map[string]bool{
		`"a"`: true, `""`: true, `"!"`: true, "\"\x80\xff\"": true, `"a,b"`: true,
		"": false, `"`: false, "a": false, `a"`: false, `"a`: false, `W/"a"`: false, `"a"b"`: false, `"a b"`: false, "\"\x7f\"": false, "\"a\tb\"": false,
	} {
		if got := IsStrongETag(s); got != want {
			t.Errorf("IsStrongETag(%q) = %t, want %t", s, got, want)
		}
	}
}
