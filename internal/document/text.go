package document

import (
	"net/textproto"
	"unicode/utf8"
)

// toLatin1 returns the text that represents the bytes of s in a document: each byte is the
// character with its value.
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

// fromLatin1 is the inverse of toLatin1. A character outside Latin-1 represents its UTF-8 bytes:
// Python has such text only if a program set it, never from the network. fromLatin1 reports false
// if s is not valid UTF-8.
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

// Classes of the bytes of a field name (RFC 9110, section 5.6.2), by how canonical form treats
// them.
const (
	notToken = iota
	other    // a digit or a symbol
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

// canonicalName returns the canonical form of a field name. It reports false if s is not a field
// name.
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

// validValue reports whether s can be the value of a field: it has no control character except HTAB
// (RFC 9110, section 5.5).
func validValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
