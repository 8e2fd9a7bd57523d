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
