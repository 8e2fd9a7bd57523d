package rfc9111

import "strings"

// ParseETags parses If-None-Match or If-Match: a list of entity tags, or "*" alone (RFC 9110, section 13.1.2).
//
//	entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE ; no escapes
//
// It reports ok false, and what came before, where a member is not an entity tag.
func ParseETags(lines []string) (tags []string, star, ok bool) {
	s := strings.Join(lines, ",")
	if trimOWS(s) == "*" {
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

// WeakMatch compares two entity tags weakly: their opaque parts are the same (RFC 9110, section 8.8.3.2).
func WeakMatch(a, b string) bool {
	return a != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// StrongMatch compares two entity tags strongly: they are the same, and neither is weak (RFC 9110, section
// 8.8.3.2).
func StrongMatch(a, b string) bool {
	return a != "" && a == b && !strings.HasPrefix(a, "W/")
}
