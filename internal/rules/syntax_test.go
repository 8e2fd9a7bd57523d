package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// RFC 9110, section 5.6.2.
func TestIsToken(t *testing.T) {
	const others = "!#$%&'*+-.^_`|~"
	for c := range 256 {
		want := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c < 128 && strings.ContainsRune(others, rune(c))
		if got := isTokenByte(byte(c)); got != want {
			t.Errorf("isTokenByte(%q) = %v, want %v", rune(c), got, want)
		}
		if got := IsToken("a" + string([]byte{byte(c)})); got != want {
			t.Errorf("IsToken of a and %q = %v, want %v", rune(c), got, want)
		}
	}
	if IsToken("") {
		t.Error(`IsToken("") = true, want false`)
	}
	if names, star := SelectingFields(fields("Vary", "x~y")); star || len(names) != 1 {
		t.Errorf("Vary: x~y selects by %q, %v, want x~y", names, star)
	}
}

// RFC 9110, section 12.5.1.
func TestIsMediaRange(t *testing.T) {
	for s, want := range map[string]bool{
		"a/b": true, "*/*": true, "a/*": true, "*/b": false, "a*/*": false, "a/b*": false, "*": false, "a": false,
		"": false, "/": false, "a/": false, "/b": false, "a/b/c": false, "a/b;c": false, "a /b": false,
	} {
		if got := IsMediaRange(s); got != want {
			t.Errorf("IsMediaRange(%q) = %t, want %t", s, got, want)
		}
	}
}

func TestLower(t *testing.T) {
	for s, want := range map[string]string{"": "", "az09-": "az09-", "AZ": "az", "aZ@[`{": "az@[`{", "\u00c4\u212a": "\u00c4\u212a"} {
		if got := lower(s); got != want {
			t.Errorf("lower(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestUnquote(t *testing.T) {
	for s, want := range map[string]string{`""`: "", `"a"`: "a", `"a\"b"`: `a"b`, `"\\"`: `\`, `"\a\b"`: "ab"} {
		if got := unquote(s); got != want {
			t.Errorf("unquote(%s) = %q, want %q", s, got, want)
		}
	}
}

// A program can write CR, LF or NUL into a value. A recipient reads them as spaces (RFC 9110, section 5.5), and net/http sends CR and
// LF as spaces. They must not hide a directive or a name.
func TestLineBreaksInValues(t *testing.T) {
	for _, space := range []string{"\n", "\r\n ", "\r", "\x00", " \n\t"} {
		h := http.Header{"Cache-Control": {"max-age=60," + space + "private" + space + ", no-cache" + space}, "Vary": {"Accept," + space + "Cookie" + space}}
		d := ParseResponse(h, true)
		if !d.Private || !d.NoCache {
			t.Errorf("ParseResponse(%q) = private %t, no-cache %t, want true, true", h["Cache-Control"], d.Private, d.NoCache)
		}
		names, all := (&Options{Shared: true}).SelectingFields(h)
		if all || !slices.Equal(names, []string{"Accept", "Cookie"}) {
			t.Errorf("SelectingFields(%q) = %q, %t, want Accept and Cookie", h["Vary"], names, all)
		}
		if r := ParseRequest(http.Header{"Cache-Control": {space + "no-store" + space}}); !r.NoStore {
			t.Errorf("ParseRequest of no-store between %q = %+v, want NoStore", space, r)
		}
	}
}

func TestNextParameter(t *testing.T) {
	for _, tt := range []struct{ s, param, rest string }{
		{"", "", ""},
		{"a", "a", ""},
		{"a;b;c", "a", "b;c"},
		{`a="x;y";b`, `a="x;y"`, "b"},
		{`a="x";b="y;z";c`, `a="x"`, `b="y;z";c`},
		{`a="";b=""`, `a=""`, `b=""`},
		{`a="x;y`, `a="x`, "y"},
		{`a=\"x;y"`, `a=\"x`, `y"`},
		{`"x;y";b`, `"x;y"`, "b"},
	} {
		if param, rest := nextParameter(tt.s); param != tt.param || rest != tt.rest {
			t.Errorf("nextParameter(%q) = %q, %q, want %q, %q", tt.s, param, rest, tt.param, tt.rest)
		}
		list := strings.ReplaceAll(tt.s, ";", ",")
		if member, rest := nextMember(list); strings.ReplaceAll(member, ",", ";") != tt.param || strings.ReplaceAll(rest, ",", ";") != tt.rest {
			t.Errorf("nextMember(%q) = %q, %q, want %q, %q with commas", list, member, rest, tt.param, tt.rest)
		}
	}
}
