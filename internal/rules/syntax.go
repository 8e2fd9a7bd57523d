package rules

import (
	"net/textproto"
	"strconv"
	"strings"
)

// trimOWS removes optional white space (RFC 9110, section 5.6.3) from both ends.
func trimOWS(s string) string {
	for s != "" && isOWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isOWS reports whether c is optional white space. This includes CR, LF and NUL, which a program may
// have written into a value. A recipient reads them as spaces (RFC 9110, section 5.5), so that the
// directives next to them count.
func isOWS(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 }

// lower is like strings.ToLower but for ASCII only, because field syntax has no other letters.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// IsToken reports whether s is a token (RFC 9110, section 5.6.2).
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// IsMediaRange reports whether s is a media range without parameters: a media type, "*/*", or a type with
// the subtype "*" (RFC 9110, section 12.5.1).
func IsMediaRange(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	switch {
	case !ok, !IsToken(kind), !IsToken(sub):
		return false
	case sub == "*":
		return kind == "*" || !strings.Contains(kind, "*")
	}
	return !strings.Contains(s, "*")
}

func isTokenByte(c byte) bool { return tokenBytes[c] }

// tokenBytes[c] is true if the byte c may be in a token.
var tokenBytes = func() (table [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		table[c] = strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
	}
	return table
}()

// listMembers calls yield for each non-empty member of all lines of a comma-separated list.
func listMembers(lines []string, yield func(string)) {
	for _, line := range lines {
		for len(line) > 0 {
			var member string
			member, line = nextMember(line)
			if member = trimOWS(member); member != "" {
				yield(member)
			}
		}
	}
}

// nextMember cuts the first member off a comma-separated list. A comma inside a closed quoted
// string does not end a member.
func nextMember(list string) (member, rest string) {
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case ',':
			return list[:i], list[i+1:]
		case '"':
			if opensAnywhere(list[:i]) {
				if end := endOfQuoted(list[i:]); end > 0 {
					i += end - 1
				}
			}
		}
	}
	return list, ""
}

// nextParameter cuts the first parameter off s. A semicolon inside a quoted string does not end it.
func nextParameter(s string) (param, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ';':
			return s[:i], s[i+1:]
		case '"':
			if opensAnywhere(s[:i]) {
				if end := endOfQuoted(s[i:]); end > 0 {
					i += end - 1
				}
			}
		}
	}
	return s, ""
}

// opensAnywhere reports whether a quote after before opens a quoted string, in a list whose syntax
// is not known. An escaped quote does not. Otherwise the end of each of many escaped quotes would
// be searched for in vain, which takes quadratic time.
func opensAnywhere(before string) bool {
	return before == "" || before[len(before)-1] != '\\'
}

// endOfQuoted returns the length of the quoted-string at the beginning of s, or 0 if it is not
// closed.
func endOfQuoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquote returns the value of a well-formed quoted-string.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ParseLength parses a number of bytes in a header field, such as a Content-Length.
func ParseLength(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}
