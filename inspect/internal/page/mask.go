package page

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
)

const (
	hidden   = "xxxxx"
	notShown = "(not shown)"
)

var parameter = regexp.MustCompile(`[?&;]([^=&;?#\s"]+)=`)

// masked returns text with the users of URLs and the values of secret query parameters replaced.
func masked(text string) string {
	text = userinfo.Hide(text)
	if !strings.ContainsAny(text, "?&;") || !strings.Contains(text, "=") {
		return text
	}
	var out strings.Builder
	last := 0 // of text, what follows is not written yet
	for _, m := range parameter.FindAllStringSubmatchIndex(text, -1) {
		if m[0] < last || !isSecret(text[m[2]:m[3]]) {
			continue
		}
		out.WriteString(text[last:m[1]] + hidden)
		last = len(text)
		if n := strings.IndexAny(text[m[1]:], "&;# \t\r\n\"<>"); n >= 0 {
			last = m[1] + n
		}
	}
	return out.String() + text[last:]
}

// short returns text masked and clipped for display. A text that is cut off may no longer show that it is a secret.
func short(text string, n int) string {
	if len(text) > n {
		text = masked(text)
	}
	return masked(clipped(text, n))
}

// isSecret reports whether the value of the query parameter gives access to something.
func isSecret(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	lower := strings.ToLower(name)
	return credential.IsField(name) || lower == "sig" || lower == "code" || lower == "state" || lower == "pass" || lower == "pwd"
}

// field is a header field as it is shown.
type field struct{ Name, Value string }

// shownFields returns the fields of a header in order, without secrets.
func shownFields(h http.Header) (fields []field) {
	for _, name := range sortedKeys(h) {
		for _, value := range h[name] {
			switch {
			case strings.HasPrefix(name, "Access-Control-"):
				value = clipped(value, 2<<10)
			case credential.IsField(name):
				value = notShown
			default:
				value = short(value, 2<<10)
			}
			fields = append(fields, field{name, value})
		}
	}
	return fields
}

// clipped returns text with about at most n bytes, in which other characters than printable ones are replaced.
func clipped(text string, n int) string {
	if len(text) > n {
		text = text[:n] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
