package rules

import (
	"strings"
	"time"
)

// Infinite is the largest value of delta-seconds, 2^31 seconds, which is over 68 years. Larger
// values are reduced to it (RFC 9111, section 1.2.2).
const Infinite = (1 << 31) * time.Second

// Delta is the value of a directive that takes delta-seconds.
type Delta struct {
	Value time.Duration // 0 to Infinite
	OK    bool          // whether the directive is present
}

// permits reports whether d, a permission to use stale responses, applies to a response with the
// remaining freshness ttl. A permission of 0 seconds permits nothing, because an invalid value is
// also read as 0.
func (d Delta) permits(ttl time.Duration) bool { return d.OK && d.Value > 0 && -ttl <= d.Value }

// A directive is one member of a Cache-Control field.
//
//	Cache-Control   = #cache-directive
//	cache-directive = token [ "=" ( token / quoted-string ) ]
type directive struct {
	name     string // lower case
	value    string // quotes and escapes removed
	hasValue bool
	bad      bool // not well formed; name is the longest token at its start, perhaps empty
}

// directives calls yield for each member of all lines of a Cache-Control field, in order. A member
// that is not well formed has bad set, so that a restrictive directive still counts. So does a
// member after a stray or unclosed quote, because another recipient may take it for part of a
// quoted string.
func directives(lines []string, yield func(directive)) {
	eachMember(lines, func(member string, doubtful bool) {
		d := parseDirective(member)
		d.bad = d.bad || doubtful
		yield(d)
		// In "max-age=60; private" the semicolon was meant as a comma, so private counts as a restriction.
		for _, after := nextParameter(member); after != ""; {
			var stray string
			if stray, after = nextParameter(after); trimOWS(stray) != "" {
				d := parseDirective(trimOWS(stray))
				d.bad = true
				yield(d)
			}
		}
	})
}

// eachMember calls yield for each non-empty member of all lines of a Cache-Control field, in order.
// doubtful is true if quotes make it uncertain whether the text is a member.
func eachMember(lines []string, yield func(member string, doubtful bool)) {
	var q quotes
	for _, line := range lines {
		for q.until = 0; len(line) > 0; {
			var member string
			var doubtful bool
			member, line, doubtful = q.next(line)
			if member = trimOWS(member); member != "" {
				yield(member, doubtful)
			}
		}
	}
}

// quotes tracks the quotes in a Cache-Control field that do not begin a value or are never closed.
// A member is doubtful if it begins after an unclosed quote, or between two quotes that do not
// begin a value.
type quotes struct {
	open  bool // there was an unclosed quote, perhaps on an earlier line
	until int  // the number of remaining bytes of the line that are between two quotes which begin no value
}

// next cuts the first member off a line. A comma inside a quoted string does not end a member if
// the string is a value, is closed, and no quote before it is doubtful. Inside any other quotes it
// does, so that they cannot hide a directive.
func (q *quotes) next(line string) (member, rest string, doubtful bool) {
	doubtful = q.open || q.until > 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ',':
			q.until = max(0, q.until-i-1)
			return line[:i], line[i+1:], doubtful
		case '"':
			value := opensValue(line[:i])
			if q.open || i < q.until {
				q.open = q.open || value // it may close the string that the first quote opens, or open a new one
				continue
			}
			switch end := endOfQuoted(line[i:]); {
			case end == 0:
				q.open = true
			case value:
				i += end - 1
			default:
				q.until = i + end
			}
		}
	}
	return line, "", doubtful
}

// opensValue reports whether a quote that follows before begins the value of a directive.
func opensValue(before string) bool {
	i := len(before)
	for i > 0 && isOWS(before[i-1]) {
		i--
	}
	return i > 0 && before[i-1] == '='
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

func parseDirective(member string) directive {
	end := 0
	for end < len(member) && isTokenByte(member[end]) {
		end++
	}
	d := directive{name: lower(member[:end]), bad: end == 0}
	if end == len(member) {
		return d
	}
	between, value, hasValue := strings.Cut(member[end:], "=")
	d.bad = d.bad || between != ""
	if d.hasValue = hasValue && trimOWS(between) == ""; !d.hasValue {
		return d // in "no-store; max-age=60" the value does not belong to no-store
	}
	d.value = trimOWS(value)
	d.bad = d.bad || d.value != value
	if strings.HasPrefix(d.value, `"`) {
		if end := endOfQuoted(d.value); end == len(d.value) {
			d.value = unquote(d.value)
		} else {
			d.bad = true
		}
	}
	return d
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

// flag reports whether the directive is well formed and has no argument (RFC 9111, section 5.2).
func (d directive) flag() bool { return !d.bad && !d.hasValue }

// seconds parses delta-seconds in either form, token or quoted-string (RFC 9111, section 5.2).
func (d directive) seconds() (time.Duration, bool) {
	if d.bad || !d.hasValue {
		return 0, false
	}
	return parseSeconds(d.value)
}

func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < 1<<31 {
			n = n*10 + int64(c-'0')
		}
	}
	return min(time.Duration(min(n, 1<<31))*time.Second, Infinite), true
}

// fieldNames parses the value of no-cache or private. It returns nil if the value is not a list of
// field names; the directive then applies to the whole response.
func (d directive) fieldNames() []string {
	if d.bad || !d.hasValue {
		return nil
	}
	var names []string
	for _, n := range strings.Split(d.value, ",") {
		if n = trimOWS(n); n == "" {
			continue
		}
		if !isToken(n) {
			return nil
		}
		names = append(names, canonical(n))
	}
	return names
}
