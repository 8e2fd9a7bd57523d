// Package novarysearch implements the No-Vary-Search field, with which a response declares that it is the response to other
// URLs, too, which differ from its own only in their queries (draft-ietf-httpbis-no-vary-search-10).
package novarysearch

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

// Field is the name of the field.
const Field = "No-Vary-Search"

// The limits. A longer field has no effect, and a longer query is equivalent to no other.
const (
	maxField = 4 << 10 // bytes of all lines of a field, and of the String of a Config
	maxQuery = 8 << 10 // bytes of a query, and of its canonical form
)

// Config says which parameters of a query matter. The draft calls it a URL variation config (section 4). There is no Config for
// the default, which is that all of the query matters as it is. A Config does not change.
type Config struct {
	names    []string // of parameters, decoded and sorted
	only     bool     // the parameters with these names matter; if false, all others do
	anyOrder bool     // the order of parameters with different names does not matter
	text     string
}

// Parse returns the Config that the lines of a No-Vary-Search field declare (section 5). It returns nil if that is the default,
// for example because the field is malformed.
func Parse(lines []string) *Config {
	c, _ := ParseField(lines)
	return c
}

// ParseField is like Parse, and returns what is wrong with the field, as a clause, or "".
func ParseField(lines []string) (c *Config, wrong string) {
	if lines == nil {
		return nil, ""
	}
	length := 0
	for _, line := range lines {
		length += len(line)
	}
	if length > maxField {
		return nil, "it is too long"
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil, "it is no dictionary of RFC 9651"
	}
	c = new(Config)
	if m, ok := dict.Get("key-order"); ok {
		item, _ := m.(httpsfv.Item)
		if c.anyOrder, ok = item.Value.(bool); !ok {
			return nil, "key-order is no boolean"
		}
	}
	params, hasParams := dict.Get("params")
	except, hasExcept := dict.Get("except")
	switch {
	case hasParams && hasExcept:
		return nil, "params and except exclude each other"
	case hasParams:
		if !c.setNames(params) {
			return nil, "params is no list of strings (to ignore all parameters, use except)"
		}
	case hasExcept:
		if c.only = true; !c.setNames(except) {
			return nil, "except is no list of strings"
		}
	}
	if c.setText(); len(c.text) > maxField {
		return nil, "it is too long"
	}
	if c.text == "" {
		return nil, ""
	}
	return c, ""
}

// setNames sets the names to those in an inner list. It reports false if m is none, or has other items than strings.
func (c *Config) setNames(m httpsfv.Member) bool {
	list, ok := m.(httpsfv.InnerList)
	if !ok {
		return false
	}
	for _, item := range list.Items {
		name, ok := item.Value.(string)
		if !ok {
			return false
		}
		c.names = append(c.names, decode(name))
	}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
	return true
}

func (c *Config) setText() {
	var members []string
	if c.anyOrder {
		members = append(members, "key-order")
	}
	if c.only || len(c.names) > 0 {
		list := make([]string, len(c.names))
		for i, name := range c.names {
			list[i] = `"` + url.QueryEscape(name) + `"`
		}
		key := "params"
		if c.only {
			key = "except"
		}
		members = append(members, key+"=("+strings.Join(list, " ")+")")
	}
	c.text = strings.Join(members, ", ")
}

// String returns a value of the field that declares c. The strings of equal Configs are equal.
func (c *Config) String() string { return c.text }

// Query returns the canonical form of a raw query. Two queries are equivalent (section 6) if and only if their canonical forms
// are equal. The canonical form is equivalent to the query, and has only letters, digits and "-_.~%+&=". An absent query is the
// same as an empty one. Query reports false if the query is too long.
func (c *Config) Query(raw string) (canonical string, ok bool) {
	if len(raw) > maxQuery {
		return "", false
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name = decode(name)
		if _, named := slices.BinarySearch(c.names, name); named == c.only {
			pairs = append(pairs, pair{name, decode(value)})
		}
	}
	if c.anyOrder {
		// The draft sorts by UTF-16 code units. Any order of the names makes the same queries equivalent.
		slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	}
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	if b.Len() > maxQuery {
		return "", false
	}
	return b.String(), true
}

// decode decodes a name or a value of application/x-www-form-urlencoded as the URL Standard does: a "%" that begins no escape
// stands for itself, and each ill-formed sequence of UTF-8 for U+FFFD.
func decode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return validUTF8(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return validUTF8(string(b))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// validUTF8 replaces each ill-formed sequence of s with U+FFFD. The beginning of a character that is cut off is one such sequence,
// as in the Encoding Standard; in package utf8 each of its bytes is one.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			for n < len(s) && !utf8.FullRuneInString(s[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}
