package main

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
)

// notShown replaces the value of a credential in the output.
const notShown = "(not shown)"

// hideSecret returns text with secret replaced. A secret of up to three bytes may also be a part of other words, so it
// is replaced only if no letter or digit is next to it.
func hideSecret(text, secret string) string {
	if secret == "" {
		return text
	}
	if len(secret) > 3 {
		return strings.ReplaceAll(text, secret, hiddenSecret)
	}
	var b strings.Builder
	last := utf8.RuneError // the character before text
	for {
		i := strings.Index(text, secret)
		if i < 0 {
			return b.String() + text
		}
		if i > 0 {
			last, _ = utf8.DecodeLastRuneInString(text[:i])
		}
		after := text[i+len(secret):]
		next, _ := utf8.DecodeRuneInString(after)
		b.WriteString(text[:i])
		if isLetterOrNumber(last) || isLetterOrNumber(next) {
			b.WriteString(secret)
		} else {
			b.WriteString(hiddenSecret)
		}
		last, _ = utf8.DecodeLastRuneInString(secret)
		text = after
	}
}

func isLetterOrNumber(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// shownHeader returns h without the users and passwords of URLs.
func shownHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, lines := range h {
		for _, line := range lines {
			out[name] = append(out[name], userinfo.Hide(line))
		}
	}
	return out
}

// shownRequest is shownHeader for the header of a request, whose credentials it also hides.
func shownRequest(h http.Header) http.Header {
	out := shownHeader(h)
	for name := range out {
		if credential.IsField(name) {
			out[name] = []string{notShown}
		}
	}
	return out
}

// hiddenSecret replaces a secret in messages.
const hiddenSecret = "xxxxx"
