package cachetest

import (
	"html"
	"regexp"
	"slices"
	"strings"
)

var (
	tag       = regexp.MustCompile(`<(?:(/?)([A-Za-z_][A-Za-z0-9_.:-]*)((?:\s+(?:[^\s=<>"'/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=` + "`" + `]+))?))*)\s*(/?)>|!\[CDATA\[|!--)`)
	attribute = regexp.MustCompile(`([^\s=<>"'/]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=` + "`" + `]+)`)
)

// contentNames are elements whose content is a value, and whose attribute "name" or "key" is the name of it.
var contentNames = nameSet("string property param parameter entry item variable textarea output value setting field arg element attribute data header var")

// A markupReader redacts XML or HTML.
type markupReader struct {
	*redaction
	depth int
	out   strings.Builder

	secret  string          // the open element whose content is a secret, or ""
	nested  int             // the number of open elements with the same name in it
	raw     string          // the open element whose content has no markup, such as a script, or ""
	name    string          // the element that was opened last
	content strings.Builder // its text
	next    bool            // the next element is the value of a secret name
}

// markup redacts XML and HTML. It returns false if the text has no tags.
func (r *redaction) markup(s string, depth int) (string, bool) {
	if strings.IndexByte(s, '<') < 0 {
		return s, false
	}
	tags := tag.FindAllStringSubmatchIndex(s, -1)
	if tags == nil {
		return s, false
	}
	m := markupReader{redaction: r, depth: depth}
	last := 0
	unclosed := map[string]bool{}
	for _, t := range tags {
		if t[0] < last {
			continue // within a comment
		}
		group := func(n int) string {
			if t[2*n] < 0 {
				return ""
			}
			return s[t[2*n]:t[2*n+1]]
		}
		closing, name := group(1) != "", group(2)
		if m.raw != "" && !(closing && strings.EqualFold(name, m.raw)) {
			continue
		}
		if end := sectionEnds[s[t[0]:t[1]]]; end != "" {
			if unclosed[end] {
				continue
			}
			n := strings.Index(s[t[1]:], end)
			if n < 0 {
				unclosed[end] = true // it is plain text
				continue
			}
			m.text(s[last:t[0]])
			last = t[1] + n + len(end)
			m.section(end, s[t[1]:t[1]+n])
			continue
		}
		m.text(s[last:t[0]])
		last = t[1]
		if closing {
			m.end(name)
			m.out.WriteString(s[t[0]:t[1]])
		} else {
			m.start(s[t[0]:t[1]], name, group(3), group(4) != "")
		}
	}
	if last == 0 {
		return s, false
	}
	m.text(s[last:])
	return m.out.String(), true
}

// sectionEnds are the ends of comments and CDATA sections, by their beginnings.
var sectionEnds = map[string]string{"<!--": "-->", "<![CDATA[": "]]>"}

// section redacts the content of a comment or a CDATA section.
func (m *markupReader) section(end, s string) {
	if end == "]]>" {
		m.cdata(s)
		return
	}
	m.out.WriteString("<!--" + m.once(s, m.depth+1) + "-->")
}

// text redacts the text between two tags.
func (m *markupReader) text(s string) {
	trimmed := strings.TrimSpace(s)
	switch {
	case trimmed == "":
		m.out.WriteString(s)
	case m.secret != "":
		m.found(html.UnescapeString(trimmed), true)
		m.out.WriteString(strings.Replace(s, trimmed, redacted, 1))
	case m.raw != "":
		m.out.WriteString(m.once(s, m.depth+1))
	default:
		m.content.WriteString(trimmed)
		m.out.WriteString(m.unescaped(s))
	}
}

// unescaped redacts a text with entities.
func (m *markupReader) unescaped(s string) string {
	plain := s
	if strings.IndexByte(s, '&') >= 0 {
		plain = html.UnescapeString(s)
	}
	if plain == s {
		return m.flatOrJSON(s)
	}
	if out := m.flatOrJSON(plain); out != plain {
		return html.EscapeString(out)
	}
	return s
}

func (m *markupReader) flatOrJSON(s string) string {
	if m.depth >= maxDepth {
		return s
	}
	return m.once(s, m.depth+1)
}

func (m *markupReader) cdata(s string) {
	switch trimmed := strings.TrimSpace(s); {
	case trimmed == "":
	case m.secret != "":
		m.found(trimmed, true)
		s = redacted
	default:
		m.content.WriteString(trimmed)
		s = m.once(s, m.depth+1)
	}
	m.out.WriteString("<![CDATA[" + s + "]]>")
}

// start redacts and writes a tag that opens an element.
func (m *markupReader) start(whole, name, attributes string, empty bool) {
	pair := slices.ContainsFunc(attribute.FindAllStringSubmatch(attributes, -1), m.namesSecret)
	valued := false // a secret was the value of an attribute
	redactedAttributes := attribute.ReplaceAllStringFunc(attributes, func(a string) string {
		name, _, _ := strings.Cut(a, "=")
		name = strings.TrimSpace(name)
		isValue := pairValues[looseName(name)]
		secret := pair && isValue || m.secretAttribute(name)
		valued = valued || secret && isValue
		return m.attribute(a, secret)
	})
	m.out.WriteString(strings.Replace(whole, attributes, redactedAttributes, 1))
	next := m.next
	m.next = false
	m.name = name
	m.content.Reset()
	if empty {
		return
	}
	loose := looseName(name)
	switch {
	case m.secret != "":
		if name == m.secret {
			m.nested++
		}
	case next, m.redaction.secret(name, inText), pair && !valued && contentNames[loose]:
		m.secret, m.nested = name, 0
	case loose == "script" || loose == "style":
		m.raw = name
	}
}

// namesSecret reports whether an attribute, as matched by the expression attribute, is the secret name of another one.
func (m *markupReader) namesSecret(match []string) bool {
	name, value := match[1], attributeValue(match[2])
	return strings.EqualFold(name, "type") && strings.EqualFold(value, "password") || pairNames[looseName(name)] && m.redaction.secret(value, inField)
}

// secretAttribute reports whether the value of an attribute of this name is a secret. The value of authorization is not one
// as a whole.
func (m *markupReader) secretAttribute(name string) bool {
	loose := looseName(name)
	return m.redaction.secret(name, inText) && loose != "authorization" || m.redaction.secret(strings.TrimPrefix(loose, "data"), inText)
}

// attribute redacts an attribute, whose value is a secret if secret is true.
func (m *markupReader) attribute(a string, secret bool) string {
	value := strings.TrimSpace(a[strings.IndexByte(a, '=')+1:])
	plain := attributeValue(value)
	out := redacted
	if secret {
		m.found(plain, true)
	} else {
		out = m.flatOrJSON(plain)
	}
	if out == plain || plain == "" {
		return a
	}
	quote := ""
	if value[0] == '"' || value[0] == '\'' {
		quote = value[:1]
	}
	if strings.IndexByte(value, '&') >= 0 && plain != strings.Trim(value, quote) {
		out = html.EscapeString(out)
	}
	return a[:len(a)-len(value)] + quote + out + quote
}

// end handles a tag that closes an element.
func (m *markupReader) end(name string) {
	if m.raw != "" {
		m.raw = ""
		return
	}
	if m.secret != "" {
		if name == m.secret {
			if m.nested--; m.nested < 0 {
				m.secret = ""
			}
		}
		return
	}
	// <key>token</key><string>...</string>
	local := name[strings.LastIndexByte(name, ':')+1:]
	if loose := looseName(local); name == m.name && pairNames[loose] {
		m.next = m.redaction.secret(m.content.String(), inField)
	}
	m.name = ""
}

func attributeValue(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') {
		s = s[1 : len(s)-1]
	}
	return html.UnescapeString(s)
}
