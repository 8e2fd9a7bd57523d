package cachetest

import (
	"html"
	"net/url"
	"regexp"
	"strings"
)

// flat redacts a text that is neither JSON nor markup as a whole, such as a stream of events, YAML, a GraphQL query, a
// program, or a sentence.
func (r *redaction) flat(s string, depth int) string {
	if len(s) < 4 {
		return s
	}
	if out, ok := r.entities(s, depth); ok {
		return out
	}
	s = r.quoted(r.embedded(s, depth), depth)
	s = r.userinfo(r.assignments(s, depth))
	return r.percent(r.base64(s, depth), depth)
}

// entities redacts a text whose quotation marks are written as HTML entities.
func (r *redaction) entities(s string, depth int) (string, bool) {
	if !strings.Contains(s, "&quot;") && !strings.Contains(s, "&#34;") && !strings.Contains(s, "&#x22;") {
		return s, false
	}
	plain := html.UnescapeString(s)
	if out := r.once(plain, depth+1); out != plain {
		return html.EscapeString(out), true
	}
	return s, false
}

// embedded redacts JSON within other text, such as JSONP, and JSON within a line, as in a stream of events.
func (r *redaction) embedded(s string, depth int) string {
	if out, ok := r.embeddedIn(s, depth); ok {
		return out
	}
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	lines := strings.SplitAfter(s, "\n")
	for i, line := range lines {
		lines[i], _ = r.embeddedIn(line, depth)
	}
	return strings.Join(lines, "")
}

func (r *redaction) embeddedIn(s string, depth int) (string, bool) {
	start := strings.IndexAny(s, "{[")
	if start < 0 {
		return s, false
	}
	end := strings.LastIndexAny(s, "}]")
	if end < start {
		return s, false
	}
	out, ok := r.json(s[start:end+1], false, depth+1)
	return s[:start] + out + s[end+1:], ok
}

var escapedString = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*?\\(?:[^"\\\n]|\\.)*"`)

// quoted redacts strings with escapes, as in JSON and in programs.
func (r *redaction) quoted(s string, depth int) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return escapedString.ReplaceAllStringFunc(s, func(m string) string {
		plain := unquoteJSON(m)
		if plain == m {
			return m
		}
		if out := r.once(plain, depth+1); out != plain {
			return quoteJSON(out, m)
		}
		return m
	})
}

var percentRun = regexp.MustCompile("[^\\s\"'<>&?=/#;,(){}`]*%[0-9A-Fa-f]{2}[^\\s\"'<>&?=/#;,(){}`]*")

// percent redacts the percent-encoded parts of a text.
func (r *redaction) percent(s string, depth int) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	return percentRun.ReplaceAllStringFunc(s, func(m string) string {
		// A plus sign is a space in forms and queries, but not in paths.
		plain, err := url.QueryUnescape(m)
		if err != nil {
			return m
		}
		out := r.once(plain, depth+1)
		if out == plain && strings.IndexByte(m, '+') >= 0 {
			plain, _ = url.PathUnescape(m) // as valid as before
			out = r.once(plain, depth+1)
		}
		if out != plain {
			return escapeQuery(out, m+"%20")
		}
		return m
	})
}

// assignment matches a name and the separator before its value, as in name=value, "name": "value", name => 'value' and
// name: value.
var assignment = regexp.MustCompile(`((?:[A-Za-z0-9_$.%\[\]-]|\\u[0-9A-Fa-f]{4})+)(?:(\\*["'])\s*(=>|:)\s*|[ \t]*(=>|:=|==?|:)[ \t]*)`)

// assignments redacts the values of secret names in a text.
func (r *redaction) assignments(s string, depth int) string {
	if !strings.ContainsAny(s, "=:") {
		return s
	}
	var out strings.Builder
	last := 0
	for at := 0; at < len(s); {
		m := assignment.FindStringSubmatchIndex(s[at:])
		if m == nil {
			break
		}
		a := assigned{s: s, start: at + m[2], value: at + m[1], prose: depth > 0, quotedName: m[4] >= 0}
		a.colon = m[6] >= 0 || m[8] >= 0 && s[at+m[8]] == ':' && m[9]-m[8] == 1
		name := a.name(s[at+m[2] : at+m[3]])
		at = a.value
		start, end, replacement := a.find(r, name)
		if start < 0 {
			at += a.skip
			continue
		}
		out.WriteString(s[last:start] + replacement)
		last, at = end, end
	}
	if last == 0 {
		return s
	}
	return out.String() + s[last:]
}

// assigned is a name with its value in a text.
type assigned struct {
	s          string
	start      int  // start of the name
	value      int  // start of the value
	colon      bool // the separator is a colon, not an equals sign
	quotedName bool
	parameter  bool // a parameter of a URL
	skip       int  // the length of a value without a secret
	prose      bool // the text may be a sentence
}

// name returns the decoded name and sets parameter.
func (a *assigned) name(s string) string {
	if strings.Contains(s, `\u`) {
		s = unquoteJSON(`"` + s + `"`)
	}
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	before := a.s[max(0, a.start-5):a.start]
	if i := strings.LastIndexAny(s, "&?#;"); i >= 0 {
		before, s = s[:i+1], s[i+1:]
	}
	a.parameter = !a.colon && (strings.HasSuffix(before, "?") || strings.HasSuffix(before, "&") || strings.HasSuffix(before, "#") || strings.HasSuffix(before, "&amp;"))
	return s
}

// find returns the position of a secret value in the text, and its replacement. It returns -1 if there is none.
func (a *assigned) find(r *redaction, name string) (start, end int, replacement string) {
	at := inText
	if a.parameter {
		at = inQuery
	}
	named := r.secret(name, at)
	sure := named && (at == inText || r.secret(name, inText))
	if !named && !a.maybe(name) || a.value >= len(a.s) {
		return -1, -1, ""
	}
	rest := a.s[a.value:]
	quote := openingQuote(rest)
	switch {
	case quote != "":
		value, plain := quotedValue(rest[len(quote):], quote)
		if !named && !r.secretMember(name, plain) {
			return -1, -1, ""
		}
		r.found(plain, sure)
		start = a.value + len(quote)
		return start, start + len(value), redacted
	case !named:
		return -1, -1, ""
	case rest[0] == '{' || rest[0] == '[':
		return a.bracketed(r, rest)
	case a.colon:
		return a.afterColon(r, name, rest)
	}
	return a.unquoted(r, rest, sure)
}

// quotedValue returns the value that s begins with, up to the quote or to the end of s, and what it is without escapes.
func quotedValue(s, quote string) (value, plain string) {
	value, ok := untilQuote(s, quote)
	if !ok {
		value = s
	}
	if strings.Contains(value, `\`) {
		return value, unquoteJSON(`"` + value + `"`)
	}
	return value, value
}

// unquoted redacts a value without quotes. sure is whether its name makes it a secret wherever else it occurs.
func (a *assigned) unquoted(r *redaction, rest string, sure bool) (start, end int, replacement string) {
	value := bare(rest, "&;,# \t\r\n\"'<>\\")
	if value == "" || !a.parameter && isTypeOrVariable(value) {
		return -1, -1, ""
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		plain = value
	}
	r.found(plain, sure && (a.parameter || looksRandom(plain)))
	return a.value, a.value + len(value), redacted
}

// maybe reports whether a value of that name is a secret if it looks like one.
func (a *assigned) maybe(name string) bool {
	switch looseName(name) {
	case "auth", "sig", "credential", "session", "sid", "key", "code":
		return true
	}
	return false
}

// bracketed redacts an object or an array that is a secret as a whole.
func (a *assigned) bracketed(r *redaction, rest string) (start, end int, replacement string) {
	if r.work < 0 {
		return -1, -1, ""
	}
	end = matchingBracket(rest)
	r.work -= end
	out, ok := r.json(rest[:end], true, 1)
	if !ok {
		// The strings of a similar syntax are secrets.
		out = anyString.ReplaceAllStringFunc(rest[:end], func(m string) string {
			r.found(m[1:len(m)-1], false)
			return m[:1] + redacted + m[:1]
		})
	}
	if out == rest[:end] {
		return -1, -1, ""
	}
	return a.value, a.value + end, out
}

var anyString = regexp.MustCompile(`"[^"\n]+"|'[^'\n]+'`)

// maxBracketed limits the search for the end of an object that may not be JSON.
const maxBracketed = 8 << 10

// matchingBracket returns the end of the object or array at the start of a text.
func matchingBracket(s string) int {
	depth := 0
	for i := 0; i < len(s) && i < maxBracketed; i++ {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(s) && s[i] != '"' && s[i] != '\n'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		}
	}
	return min(len(s), maxBracketed)
}

// afterColon redacts a value without quotation marks. It is the rest of the line in YAML and in a header, or a word.
func (a *assigned) afterColon(r *redaction, name, rest string) (start, end int, replacement string) {
	first := a.firstOfLine()
	line, _, more := strings.Cut(rest, "\n")
	line = strings.TrimRight(line, "\r")
	if first && more && beginsBlock(line) {
		return a.block(r, len(rest)-len(strings.TrimPrefix(rest[len(line):], "\r"))+1)
	}
	value := bare(rest, ",; \t\r\n\"'<>\\)}]&")
	switch loose := looseName(name); {
	case holdsCredentials(loose):
		value = bare(rest, "\r\n\"'<>\\")
		r.credentials(value)
		r.cookies(value)
	case a.quotedName:
		if isNumber(value) {
			return a.value, a.value + len(value), "0"
		}
	case first && (!a.prose || strings.Contains(a.s, "\n")):
		value = strings.TrimRight(line, " \t,")
	case !looksRandom(value) && (len(value) < 3 || !a.inBraces()): // a word of a sentence
		a.skip = len(value)
		return -1, -1, ""
	}
	if isTypeOrVariable(value) || strings.HasPrefix(value, "//") {
		return -1, -1, ""
	}
	r.found(value, false)
	return a.value, a.value + len(value), redacted
}

// holdsCredentials reports whether a header field of this name, as returned by looseName, holds credentials or cookies.
func holdsCredentials(loose string) bool {
	return strings.HasSuffix(loose, "authorization") || strings.HasSuffix(loose, "cookie")
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789.eE+-") == "" }

// beginsBlock reports whether the value of a YAML key with this rest of its line is in the following lines.
func beginsBlock(line string) bool {
	text := strings.TrimSpace(line)
	return text == "" || strings.IndexByte("|>", line[0]) >= 0 && len(text) <= 3
}

// inBraces reports whether the name is in braces, as in YAML and in programs.
func (a *assigned) inBraces() bool {
	before := a.s[max(0, a.start-500):a.start]
	i := strings.LastIndexAny(before, "{}\n")
	return i >= 0 && before[i] == '{'
}

// firstOfLine reports whether the name begins its line, after indentation and marks such as ">".
func (a *assigned) firstOfLine() bool {
	before := strings.TrimRight(a.s[max(0, a.start-100):a.start], " \t-\"'<>*")
	return before == "" || strings.HasSuffix(before, "\n")
}

// block redacts the indented lines or the list below a secret name in YAML.
func (a *assigned) block(r *redaction, first int) (start, end int, replacement string) {
	lineStart := strings.LastIndexByte(a.s[:a.start], '\n') + 1
	own := indentation(a.s[lineStart:])
	start = a.value + first
	var out strings.Builder
	end = start
	for line := range strings.SplitAfterSeq(a.s[min(start, len(a.s)):], "\n") {
		trimmed := strings.TrimSpace(line)
		if n := indentation(line); trimmed != "" && (n < own || n == own && !strings.HasPrefix(trimmed, "- ")) {
			break
		}
		end += len(line)
		m := blockLine.FindStringSubmatchIndex(line)
		if value := strings.TrimSpace(line[m[2]:m[3]]); value != "" {
			r.found(strings.Trim(value, `"'`), false)
			line = line[:m[2]] + redacted + line[m[3]:]
		}
		out.WriteString(line)
	}
	if out.String() == a.s[min(start, len(a.s)):end] {
		return -1, -1, ""
	}
	return start, end, out.String()
}

var blockLine = regexp.MustCompile(`^\s*(?:- +)*(?:[A-Za-z0-9_.-]+:(?:\s+|$))?([^\r\n]*?)\s*$`)

func indentation(s string) int {
	return len(s) - len(strings.TrimLeft(s, " \t"))
}

// openingQuote returns the quotation mark at the start of a value, with the backslashes before it, or "".
func openingQuote(s string) string {
	i := 0
	for i < len(s) && s[i] == '\\' {
		i++
	}
	switch {
	case i >= len(s) || strings.IndexByte("\"'`", s[i]) < 0:
		return ""
	case strings.HasPrefix(s, `"""`) || strings.HasPrefix(s, "'''"):
		return s[:3]
	}
	return s[:i+1]
}

// untilQuote returns the text before a quotation mark that is not escaped.
func untilQuote(s, quote string) (string, bool) {
	for i := 0; ; {
		j := strings.Index(s[i:], quote)
		if j < 0 {
			return "", false
		}
		i += j
		backslashes := 0
		for k := i - 1; k >= 0 && s[k] == '\\'; k-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return s[:i], true
		}
		i++
	}
}

// bare returns the text before the first byte of end.
func bare(s, end string) string {
	if i := strings.IndexAny(s, end); i >= 0 {
		return s[:i]
	}
	return s
}

var typeOrVariable = regexp.MustCompile(`^(?:\$[A-Za-z_{(].*|\{\{.*|(?i:string|int|id|boolean|bool|number|any|null|nil|none|true|false|undefined|~)[!?;,\[\]]*)$`)

// isTypeOrVariable reports whether a value is only a type, a variable, or empty.
func isTypeOrVariable(s string) bool {
	return s == "" || typeOrVariable.MatchString(s)
}
