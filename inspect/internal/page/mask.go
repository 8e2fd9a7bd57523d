package page

import (
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
)

const (
	hidden   = "xxxxx"
	notShown = "(not shown)"
)

var (
	userinfo  = regexp.MustCompile(`//[^/?#\s"]*@`)
	parameter = regexp.MustCompile(`([?&;])([^=&;?#\s"]+)=([^&;#\s"<>]*)`)
)

// masked returns text with the users of URLs and the values of secret query parameters replaced.
func masked(text string) string {
	if strings.Contains(text, "@") {
		text = userinfo.ReplaceAllString(text, "//"+hidden+"@")
	}
	if !strings.ContainsAny(text, "?&;") || !strings.Contains(text, "=") {
		return text
	}
	return parameter.ReplaceAllStringFunc(text, func(p string) string {
		name, _, _ := strings.Cut(p[1:], "=")
		if isSecret(name) {
			return p[:1] + name + "=" + hidden
		}
		return p
	})
}

// isSecret reports whether the value of the query parameter gives access to something.
func isSecret(name string) bool {
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
			case credential.IsField(name):
				value = notShown
			default:
				value = masked(value)
			}
			fields = append(fields, field{name, clipped(value, 2<<10)})
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
