package cachetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the length in bytes of the shortest secret that is replaced everywhere. A shorter one could be a part of
// unrelated words.
const minSecret = 8

// maxSecret is the length in bytes of the longest secret that is replaced everywhere.
const maxSecret = 64 << 10

// secrets is a set of decoded values that were found by their names or forms.
type secrets map[string]bool

// commonValues are never replaced everywhere, although they are long enough.
var commonValues = nameSet(`
	authorizationcode clientcredentials refreshtoken undefined anonymous xoauthbasic xaccesstoken
	applicationjson localhost redacted unauthorized forbidden
`)

// looksRandom reports whether a value looks like a token and not like a word: without spaces, with letters and digits, or
// with small letters and several capitals.
func looksRandom(s string) bool {
	if len(s) < minSecret {
		return false
	}
	var digits, upper, lower int
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ':
			return false
		case '0' <= c && c <= '9':
			digits++
		case 'A' <= c && c <= 'Z':
			upper++
		case 'a' <= c && c <= 'z':
			lower++
		}
	}
	return digits > 0 && upper+lower > 0 || upper > 1 && lower > 0 || upper >= minSecret
}

// A scrubber replaces known secrets in all their written forms.
type scrubber struct {
	plain *strings.Replacer // as they are, and escaped
	coded *strings.Replacer // in base64 and hexadecimal
}

// newScrubber returns nil if there is nothing to replace.
func newScrubber(known secrets) *scrubber {
	if len(known) == 0 {
		return nil
	}
	// The longest ones come first, because one may be a part of another.
	all := slices.SortedFunc(maps.Keys(known), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var plain, coded []string
	add := func(to []string, forms ...string) []string {
		for _, form := range forms {
			to = append(to, form, redacted)
		}
		return to
	}
	for _, s := range all {
		plain = add(plain, escapedForms(s)...)
		coded = add(coded, codedForms(s)...)
	}
	return &scrubber{strings.NewReplacer(plain...), strings.NewReplacer(coded...)}
}

// escapedForms returns a text as it is and as URLs, JSON and HTML write it.
func escapedForms(s string) []string {
	query, path := url.QueryEscape(s), url.PathEscape(s)
	component := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(query) // encodeURIComponent
	entities := html.EscapeString(s)
	forms := []string{
		url.QueryEscape(query), url.QueryEscape(component), query, path, component, lowerHex(query), lowerHex(path), lowerHex(component),
		entities, strings.NewReplacer("&#34;", "&quot;", "&#39;", "&apos;").Replace(entities),
	}
	quoted := s
	for range 2 { // JSON, and JSON within JSON
		b, err := json.Marshal(quoted)
		if err != nil {
			break
		}
		quoted = string(b[1 : len(b)-1])
		plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(quoted)
		forms = append(forms, quoted, plain, strings.ReplaceAll(plain, "/", `\/`))
	}
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return append(forms, s)
}

// lowerHex writes the digits of percent-encoding in lower case.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// codedForms returns a text in hexadecimal and in base64. In base64, it also returns the characters that are the same in
// all texts that hold the text.
func codedForms(s string) []string {
	var forms []string
	for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			coded := coding.EncodeToString(append(make([]byte, before), s...))
			first := (before*8 + 5) / 6 // earlier characters depend on other bytes too
			last := (before + len(s)) * 8 / 6
			forms = append(forms, coded[first:last])
			if before == 0 {
				forms = append(forms, coding.WithPadding('=').EncodeToString([]byte(s)), coded)
			}
		}
	}
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return append(forms, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
}
