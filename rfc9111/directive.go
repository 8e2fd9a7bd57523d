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
// well formed are yielded as bad, so that a restrictive one still counts.
func directives(lines []string, yield func(directive)) {
	members(lines, opensValue, func(member string) {
		yield(parseDirective(member))
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

// nextMember cuts the first member off a comma-separated list. A comma in a quoted string does not end a member;
// in a quoted string without end it does. opens says whether a quote begins a quoted string, by what is before
// it in the list.
func nextMember(list string, opens func(before string) bool) (member, rest string) {
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case ',':
			return list[:i], list[i+1:]
		case '"':
			if opens(list[:i]) {
				if end := endOfQuoted(list[i:]); end > 0 {
					i += end - 1
				}
			}
		}
	}
	return list, ""
}

// opensValue is for directives: only a value is a quoted string, so that no directive hides behind a stray quote.
func opensValue(before string) bool {
	i := len(before)
	for i > 0 && isOWS(before[i-1]) {
		i--
	}
	return i > 0 && before[i-1] == '='
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
