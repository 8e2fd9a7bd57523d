package cachetest

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A node is a value in a valid JSON text, by its position.
type node struct {
	start, end int
	kind       byte // '{', '[', '"', or the first byte of a number or a literal
	name       string
	nameAt     [2]int // the position of the name with its quotation marks
	children   []node
	secret     bool // all of it, whatever its name is
}

// documents returns the values of a text that is JSON: one or several in a row. Nil means that it is not JSON.
func documents(s string) []node {
	if trimmed := strings.TrimLeft(s, " \t\r\n"); trimmed == "" || strings.IndexByte(`{["`, trimmed[0]) < 0 {
		return nil
	}
	var all []node
	dec := json.NewDecoder(strings.NewReader(s))
	for {
		var raw json.RawMessage
		switch err := dec.Decode(&raw); {
		case err == io.EOF:
			return all
		case err != nil:
			return nil
		case raw[0] == '"' && len(all) > 0 && all[0].kind == '"':
			return nil // a list of words in quotes
		}
		p := jsonParser{s: s, at: int(dec.InputOffset()) - len(raw)}
		all = append(all, p.value())
	}
}

// A jsonParser reads JSON that is known to be valid.
type jsonParser struct {
	s  string
	at int
}

func (p *jsonParser) space() {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n,:", p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *jsonParser) value() node {
	n := node{start: p.at, kind: p.s[p.at]}
	switch n.kind {
	case '{', '[':
		p.at++
		for p.space(); p.s[p.at] != '}' && p.s[p.at] != ']'; p.space() {
			if n.kind == '[' {
				n.children = append(n.children, p.value())
				continue
			}
			name := [2]int{p.at, 0}
			p.string()
			name[1] = p.at
			p.space()
			child := p.value()
			child.name, child.nameAt = unquoteJSON(p.s[name[0]:name[1]]), name
			n.children = append(n.children, child)
		}
		p.at++
	case '"':
		p.string()
	default:
		for p.at < len(p.s) && strings.IndexByte(" \t\r\n,:]}", p.s[p.at]) < 0 {
			p.at++
		}
	}
	n.end = p.at
	return n
}

func (p *jsonParser) string() {
	for p.at++; p.s[p.at] != '"'; p.at++ {
		if p.s[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
}

func unquoteJSON(s string) string {
	var out string
	if json.Unmarshal([]byte(s), &out) != nil {
		return s
	}
	return out
}

// json redacts a JSON text, or several in a row, and leaves the rest of it as it is written. It reports false if the
// text is not JSON.
func (r *redaction) json(s string, secret bool, depth int) (string, bool) {
	docs := documents(s)
	if docs == nil {
		return s, false
	}
	w := jsonWriter{redaction: r, s: s, depth: depth}
	for _, doc := range docs {
		w.value(doc, secret, true)
	}
	w.out.WriteString(s[w.last:])
	return w.out.String(), true
}

// A jsonWriter writes a text again with some of its values replaced.
type jsonWriter struct {
	*redaction
	s     string
	depth int
	out   bytes.Buffer
	last  int // the end of the text that was written
}

func (w *jsonWriter) replace(start, end int, with string) {
	w.out.WriteString(w.s[w.last:start])
	w.out.WriteString(with)
	w.last = end
}

// value redacts a value. If secret is set, all of it is a secret. If sure is set, strings in it are secrets even if they
// look like words.
func (w *jsonWriter) value(n node, secret, sure bool) {
	secret = secret || n.secret
	switch n.kind {
	case '{':
		w.object(n, secret)
	case '[':
		named := len(n.children) == 2 && n.children[0].kind == '"' && n.children[1].kind == '"' &&
			w.secret(w.decoded(n.children[0]), inField) && looksRandom(w.decoded(n.children[1])) // a name and its value
		for i, child := range n.children {
			w.value(child, secret || named && i == 1, sure)
		}
	case '"':
		text := w.decoded(n)
		out := redacted
		if secret {
			w.found(text, sure)
		} else {
			out = w.once(text, w.depth+1)
		}
		if out != text {
			w.replace(n.start, n.end, quoteJSON(out, w.s[n.start:n.end]))
		}
	default:
		if secret {
			w.replace(n.start, n.end, redactedScalar(w.s[n.start:n.end]))
		}
	}
}

// decoded returns the text of a string.
func (w *jsonWriter) decoded(n node) string { return unquoteJSON(w.s[n.start:n.end]) }

// object redacts the members of an object.
func (w *jsonWriter) object(n node, secret bool) {
	sets := w.secretNames(n)
	for _, m := range n.children {
		loose := looseName(m.name)
		named := w.secret(m.name, inText) || slices.ContainsFunc(sets, func(set map[string]bool) bool { return set[loose] }) ||
			m.kind == '"' && w.secretMember(m.name, w.decoded(m))
		if single, ok := strings.CutSuffix(loose, "s"); ok && w.secret(single, inText) { // a list or a map of secrets
			for i, child := range m.children {
				m.children[i].secret = child.kind == '"' && (!wordLists[single] || looksRandom(w.decoded(child)))
			}
		}
		if out := w.literals(m.name); out != m.name { // a name may be a secret too
			w.replace(m.nameAt[0], m.nameAt[1], quoteJSON(out, w.s[m.nameAt[0]:m.nameAt[1]]))
		}
		w.value(m, secret || named, named || !secret)
	}
}

// secretNames returns sets of names of members that are secrets because of the other members of the object.
func (w *jsonWriter) secretNames(n node) (sets []map[string]bool) {
	for _, m := range n.children {
		text := ""
		if m.kind == '"' {
			text = w.decoded(m)
		}
		switch loose := looseName(m.name); {
		case loose == "type" && looseName(text) == "password", pairNames[loose] && m.kind == '"' && w.secret(text, inField):
			sets = append(sets, pairValues)
		case loose == "kty":
			sets = append(sets, webKeyParameters)
		case loose == "kind" && text == "Secret":
			sets = append(sets, kubernetesData)
		case codeRequest[loose]:
			sets = append(sets, codeName)
		}
	}
	return sets
}

// webKeyParameters are the private parameters of a JSON Web Key (RFC 7518, section 6).
var webKeyParameters = nameSet("d p q dp dq qi k oth")

// kubernetesData are the members of a Secret of Kubernetes that hold the values.
var kubernetesData = nameSet("data stringdata")

// codeRequest are members of an object that exchanges a code for a token.
var (
	codeRequest = nameSet("granttype clientid redirecturi clientsecret codeverifier")
	codeName    = nameSet("code")
)

// wordLists are names of which a list may be one of words.
var wordLists = nameSet("token cookie authorization assertion bearer")

// redactedScalar returns the replacement for a number or a literal of JSON. Its type is the same, so that programs can read it.
func redactedScalar(s string) string {
	switch s[0] {
	case 't', 'f', 'n':
		return s // too short for a secret
	}
	return "0"
}

// jsonEscapes are the short escapes of characters.
var jsonEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '/': `\/`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

// quoteJSON returns a JSON string with the same kinds of escapes as another one.
func quoteJSON(text, like string) string {
	slashes := strings.Contains(like, `\/`)
	lower := strings.ToLower(like)
	markup := strings.Contains(lower, `\u0026`) || strings.Contains(lower, `\u003c`) || strings.Contains(lower, `\u003e`)
	ascii := strings.Contains(like, `\u`) && !strings.ContainsFunc(like, func(c rune) bool { return c >= utf8.RuneSelf })
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch short := jsonEscapes[c]; {
		case short != "" && (c != '/' || slashes):
			b.WriteString(short)
		case c < ' ' || c == 0x7f || markup && strings.ContainsRune("&<>", c):
			writeEscape(&b, c)
		case c >= utf8.RuneSelf && ascii:
			if high, low := utf16.EncodeRune(c); high != utf8.RuneError {
				writeEscape(&b, high)
				c = low
			}
			writeEscape(&b, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func writeEscape(b *strings.Builder, c rune) {
	digits := strconv.FormatInt(int64(c), 16)
	b.WriteString(`\u` + "0000"[len(digits):] + digits)
}
