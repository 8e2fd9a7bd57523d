package rules

import (
	"strings"
)

// ParseETags parses If-None-Match or If-Match: a list of entity tags, or "*" alone (RFC 9110,
// section 13.1.2).
//
//	entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE ; no escapes
//
// If a member is not an entity tag, ok is false and tags are the ones before it.
func ParseETags(lines []string) (tags []string, star, ok bool) {
	s := strings.Join(lines, ",")
	if strings.Trim(s, " \t\r\n") == "*" {
		return nil, true, true
	}
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return tags, false, true
		}
		rest := strings.TrimPrefix(s, "W/")
		if !strings.HasPrefix(rest, `"`) {
			return tags, false, false
		}
		n := strings.IndexByte(rest[1:], '"')
		if n < 0 {
			return tags, false, false
		}
		end := len(s) - len(rest) + n + 2
		tags, s = append(tags, s[:end]), strings.TrimLeft(s[end:], " \t")
		if s != "" && s[0] != ',' {
			return tags, false, false
		}
	}
}

// IsStrongETag reports whether s is a strong entity tag, by the grammar, so that it may be a member of
// a list.
func IsStrongETag(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c <= ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// WeakMatch reports whether two entity tags match by weak comparison: their opaque parts are equal
// (RFC 9110, section 8.8.3.2).
func WeakMatch(a, b string) bool {
	return a != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// StrongMatch reports whether two entity tags match by strong comparison: they are equal and not
// weak (RFC 9110, section 8.8.3.2).
func StrongMatch(a, b string) bool {
	return a != "" && a == b && !strings.HasPrefix(a, "W/")
}
