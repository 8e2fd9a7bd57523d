package serialize

import (
	"net/textproto"
	"unicode/utf8"
)

// toLatin1 returns the text that a document holds for the bytes of s: each byte is the character of its value.
func toLatin1(s string) string {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	if i == len(s) {
		return s
	}
	b := make([]byte, 0, len(s)+(len(s)-i))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return string(b)
}

// fromLatin1 is the inverse of toLatin1. A character that Latin-1 does not have stands for its UTF-8 bytes:
// Python has such text where somebody set it, never from the wire. It reports whether s is valid UTF-8.
func fromLatin1(s string) (string, bool) {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	if i == len(s) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return "", false
		case r < 0x100:
			b = append(b, byte(r))
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b), true
}

// A field name's bytes (RFC 9110, section 5.6.2) by what canonical form makes of them.
const (
	notToken = iota
	other    // a digit or a sign
	upper
	lower
)

var nameBytes = func() (t [256]uint8) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789" {
		t[c] = other
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c], t[c+'a'-'A'] = upper, lower
	}
	return t
}()

// canonicalName returns the canonical form of a field name, and whether it is one.
func canonicalName(s string) (string, bool) {
	canonical := true
	start := true
	for i := 0; i < len(s); i++ {
		switch nameBytes[s[i]] {
		case notToken:
			return "", false
		case upper:
			canonical = canonical && start
		case lower:
			canonical = canonical && !start
		}
		start = s[i] == '-'
	}
	if !canonical {
		s = textproto.CanonicalMIMEHeaderKey(s)
	}
	return s, s != ""
}

// validValue reports whether s can be the value of a field: no control characters but HTAB
// (RFC 9110, section 5.5).
func validValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
