package rfc9111

import (
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
		if got := isToken("a" + string([]byte{byte(c)})); got != want {
			t.Errorf("isToken of a and %q = %v, want %v", rune(c), got, want)
		}
	}
	if isToken("") {
		t.Error(`isToken("") = true, want false`)
	}
	if names, star := SelectingFields(fields("Vary", "x~y")); star || len(names) != 1 {
		t.Errorf("Vary: x~y selects by %q, %v, want x~y", names, star)
	}
}
