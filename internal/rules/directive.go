package rules

import (
	"slices"
	"strings"
	"time"
)

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

// flag reports whether the directive is well formed and has no argument (RFC 9111, section 5.2).
func (d directive) flag() bool { return !d.bad && !d.hasValue }

// seconds parses delta-seconds in either form, token or quoted-string (RFC 9111, section 5.2).
func (d directive) seconds() (time.Duration, bool) {
	if d.bad || !d.hasValue {
		return 0, false
	}
	return ParseSeconds(d.value)
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
		if !IsToken(n) {
			return nil
		}
		names = append(names, canonical(n))
	}
	return names
}

// restrict applies no-cache or private: to the fields that it names, or to the whole response if there are none, or if the
// other fields or the body would have another meaning without one of them.
func (d directive) restrict(whole *bool, fields *[]string) {
	names := d.fieldNames()
	if names == nil || slices.ContainsFunc(names, func(name string) bool {
		return DecidesReuse(name) || name == "Content-Encoding" || name == "Content-Range"
	}) {
		*whole = true
		return
	}
	*fields = append(*fields, names...)
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

// directives calls yield for each member of all lines of a Cache-Control field, in order. A member
// that is not well formed has bad set, so that a restrictive directive still counts. So does a
// member after a stray or unclosed quote, because another recipient may take it for part of a
// quoted string.
func directives(lines []string, yield func(directive)) {
	eachMember(lines, func(member string, doubtful bool) {
		d := parseDirective(member)
		d.bad = d.bad || doubtful
		yield(d)
		eachStray(member, func(stray string) {
			d := parseDirective(stray)
			d.bad = true
			yield(d)
		})
	})
}

// eachStray calls yield for each directive after a semicolon in a member. In "max-age=60; private" the
// semicolon was meant as a comma, so private counts as a restriction.
func eachStray(member string, yield func(string)) {
	for _, after := nextParameter(member); after != ""; {
		var stray string
		if stray, after = nextParameter(after); trimOWS(stray) != "" {
			yield(trimOWS(stray))
		}
	}
}

// A Directive is a directive of a Cache-Control field with what is needed to tell what is wrong with it.
type Directive struct {
	Name      string // in lower case; the token at the start of a malformed member, which may be empty
	Value     string // without quotes and escapes
	HasValue  bool
	Malformed bool   // counts only as a restriction
	Doubtful  bool   // malformed because a quote before it is not closed, or opens no value
	Stray     bool   // malformed because it comes after a semicolon
	Member    string // as it was written
}

// Directives returns the directives of a Cache-Control field in order.
func Directives(lines []string) []Directive {
	var list []Directive
	eachMember(lines, func(member string, doubtful bool) {
		d := parseDirective(member)
		list = append(list, Directive{d.name, d.value, d.hasValue, d.bad || doubtful, doubtful, false, member})
		eachStray(member, func(stray string) {
			d := parseDirective(stray)
			list = append(list, Directive{d.name, d.value, d.hasValue, true, doubtful, true, stray})
		})
	})
	return list
}

func (d Directive) parsed() directive { return directive{d.Name, d.Value, d.HasValue, d.Malformed} }

// Seconds returns the delta-seconds that are the value of d, if they are valid.
func (d Directive) Seconds() (time.Duration, bool) { return d.parsed().seconds() }

// FieldNames returns the field names that are the value of d. It returns nil if the value is not a list of them.
func (d Directive) FieldNames() []string { return d.parsed().fieldNames() }

// EachDirective calls yield for each member of a Cache-Control field, in order, with its name in
// lower case and the whole member as it was written. The name of a member that is not well formed
// is the token at its start, which may be empty.
func EachDirective(lines []string, yield func(name, member string)) {
	eachMember(lines, func(member string, _ bool) { yield(parseDirective(member).name, member) })
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

// setShortest keeps the shortest of several values. An invalid one counts as 0.
func setShortest(p *Delta, d directive) {
	v, _ := d.seconds() // 0 if it is invalid
	if !p.OK || v < p.Value {
		*p = Delta{v, true}
	}
}

// setLongest keeps the longest of several values. An invalid one counts as Infinite.
func setLongest(p *Delta, d directive) {
	v, ok := d.seconds()
	if !ok {
		v = Infinite
	}
	if !p.OK || v > p.Value {
		*p = Delta{v, true}
	}
}

// setLifetime sets a lifetime. An invalid one, or several that differ, count as 0.
func setLifetime(p *Delta, d directive) {
	v, ok := d.seconds()
	if !ok || p.OK && p.Value != v {
		v = 0
	}
	*p = Delta{v, true}
}
