package rfc9111

import (
	"strings"
	"time"
)

// Infinite is the longest time that delta-seconds can say: 2^31 seconds, over 68 years. Longer ones are cut to
// it (RFC 9111, section 1.2.2).
const Infinite = (1 << 31) * time.Second

// Delta is the value of a directive that takes delta-seconds.
type Delta struct {
	Value time.Duration // 0 to Infinite
	OK    bool          // the directive is there
}

// A directive is one member of a Cache-Control field.
//
//	Cache-Control   = #cache-directive
//	cache-directive = token [ "=" ( token / quoted-string ) ]
type directive struct {
	name     string // lower case
	value    string // quotes and escapes removed
	hasValue bool
	bad      bool // not what the grammar allows: the name is what a token could be made of, at its start
}

// directives calls yield for each member of all lines of a Cache-Control field, in order. Members that are not
// well formed are yielded as bad, so that a restrictive directive still counts. So are members that a stray or open
// quote makes doubtful: another recipient may take them for a part of a quoted string.
func directives(lines []string, yield func(directive)) {
	eachMember(lines, func(member string, doubtful bool) {
		d := parseDirective(member)
		d.bad = d.bad || doubtful
		yield(d)
		// "max-age=60; private": a semicolon was meant for a comma, so what follows it may restrict.
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

// eachMember calls yield for each member of all lines of a Cache-Control field, in order, without the empty ones, and reports
// whether quotes make it doubtful.
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

// quotes keeps track of the quotes in a Cache-Control field that begin no value, or have no end. A member that begins
// behind an open quote, or between two that begin no value, is doubtful.
type quotes struct {
	open  bool // a quote without an end has come, perhaps on an earlier line
	until int  // how much of the line is between two quotes that begin no value
}

// next cuts the first member off a line. A comma in a quoted string does not end a member if the string is a value and has an
// end, so that no directive hides behind any other quote.
func (q *quotes) next(line string) (member, rest string, doubtful bool) {
	doubtful = q.open || q.until > 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ',':
			q.until = max(0, q.until-i-1)
			return line[:i], line[i+1:], doubtful
		case '"':
			value := opensValue(line[:i])
			if !value && (q.open || i < q.until) {
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

// opensValue reports whether a quote begins the value of a directive, by what is before it in the line.
func opensValue(before string) bool {
	i := len(before)
	for i > 0 && isOWS(before[i-1]) {
		i--
	}
	return i > 0 && before[i-1] == '='
}

// nextMember cuts the first member off a comma-separated list. A comma in a quoted string does not end a member;
// in a quoted string without end it does.
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

// opensAnywhere is for lists whose syntax is not known. A quote that is escaped outside of a quoted string opens
// none: otherwise each of many would be searched for its end in vain, in quadratic time.
func opensAnywhere(before string) bool {
	return before == "" || before[len(before)-1] != '\\'
}

// endOfQuoted returns the length of the quoted-string that s begins with, or 0 if it has no end.
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
		return d // "no-store; max-age=60": the value is not its own
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

// unquote returns what a well-formed quoted-string stands for.
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

// flag says whether the directive is there as one that takes no argument (RFC 9111, section 5.2).
func (d directive) flag() bool { return !d.bad && !d.hasValue }

// seconds parses delta-seconds. Both forms, token and quoted-string, are taken (RFC 9111, section 5.2).
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

// fieldNames parses the value of no-cache or private. What is not a list of field names is read as none at
// all: then the directive holds for the whole response.
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
