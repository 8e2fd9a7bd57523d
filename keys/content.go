package keys

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// NormalizeContent returns one form for contents of a media type that differ only in what the type makes insignificant. It is
// for Transport.NormalizeContent. It returns nil if it does not know the media type, or if the content is not certainly valid.
//
// In JSON (application/json and all types with the suffix +json) it removes white space between tokens and sorts the members
// of objects by name. Numbers, strings and the order in arrays are left as they are. An object with two members of one name is left
// as it is, and so is all of the content.
//
// In application/x-www-form-urlencoded it sorts the fields by name. Fields whose names are equal, or differ only in case,
// punctuation and what follows a "[", stay in their order.
//
// Do not use it for an origin that gives these orders a meaning, for example because it sorts its results by the members of
// an object in their order.
func NormalizeContent(contentType string, content []byte) []byte {
	kind, params, err := mime.ParseMediaType(contentType)
	charset, hasCharset := params["charset"]
	switch {
	case err != nil, hasCharset && !strings.EqualFold(charset, "utf-8"):
		return nil
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return normalJSON(content)
	case kind == "application/x-www-form-urlencoded":
		return normalForm(content)
	}
	return nil
}

// normalJSON returns the normal form of a JSON text, or nil if it is not valid or if an object in it has two members of one name.
func normalJSON(content []byte) []byte {
	var compact bytes.Buffer
	if json.Compact(&compact, content) != nil {
		return nil
	}
	rest := compact.Bytes()
	v, ok := parseValue(&rest)
	if !ok {
		return nil
	}
	return v.append(make([]byte, 0, len(content)))
}

// value is a value of a JSON text.
type value struct {
	text     []byte  // of a string, number or literal; nil of an array or object
	elements []value // of an array
	members  []member
	isObject bool
}

type member struct {
	name  string
	token []byte // the name as it is written
	value value
}

// parseValue takes a value from the beginning of rest, which is valid JSON without white space. It reports false if an object
// has a name twice.
func parseValue(rest *[]byte) (v value, ok bool) {
	switch (*rest)[0] {
	case '{':
		return parseObject(rest)
	case '[':
		take(rest, 1)
		for (*rest)[0] != ']' {
			element, ok := parseValue(rest)
			if !ok {
				return v, false
			}
			v.elements = append(v.elements, element)
			takeComma(rest)
		}
		take(rest, 1)
	case '"':
		v.text = take(rest, stringLength(*rest))
	default: // a number, true, false or null
		end := bytes.IndexAny(*rest, ",]}")
		if end < 0 {
			end = len(*rest)
		}
		v.text = take(rest, end)
	}
	return v, true
}

// parseObject is parseValue for an object. It sorts the members by name.
func parseObject(rest *[]byte) (v value, ok bool) {
	take(rest, 1)
	v.isObject = true
	for (*rest)[0] != '}' {
		m := member{token: take(rest, stringLength(*rest))}
		json.Unmarshal(m.token, &m.name)
		take(rest, 1) // the colon
		if m.value, ok = parseValue(rest); !ok {
			return v, false
		}
		v.members = append(v.members, m)
		takeComma(rest)
	}
	take(rest, 1)
	slices.SortFunc(v.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(v.members); i++ {
		if v.members[i].name == v.members[i-1].name {
			return v, false
		}
	}
	return v, true
}

// append appends the text of v to b.
func (v *value) append(b []byte) []byte {
	switch {
	case v.text != nil:
		return append(b, v.text...)
	case v.isObject:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, m.token...), ':')
			b = m.value.append(b)
		}
		return append(b, '}')
	}
	b = append(b, '[')
	for i, element := range v.elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = element.append(b)
	}
	return append(b, ']')
}

// take cuts the first n bytes off rest.
func take(rest *[]byte, n int) []byte {
	taken := (*rest)[:n]
	*rest = (*rest)[n:]
	return taken
}

func takeComma(rest *[]byte) {
	if (*rest)[0] == ',' {
		take(rest, 1)
	}
}

// stringLength returns the length of the string token that s begins with.
func stringLength(s []byte) int {
	for i := 1; ; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// normalForm returns the normal form of a form, or nil if it is not certainly valid. A semicolon separates fields for some
// origins, and not for others.
func normalForm(content []byte) []byte {
	if bytes.IndexByte(content, ';') >= 0 {
		return nil
	}
	type field struct{ name, text string }
	var fields []field
	for text := range strings.SplitSeq(string(content), "&") {
		name, value, _ := strings.Cut(text, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			_, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil
		}
		fields = append(fields, field{looseName(name), text})
	}
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	out := make([]byte, 0, len(content))
	for i, f := range fields {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(out, f.text...)
	}
	return out
}

// looseName returns the letters and digits of the name of a form's field, in lower case and without what follows a "[". Some
// origins treat names with the same loose form as one.
func looseName(name string) string {
	name, _, _ = strings.Cut(name, "[")
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
