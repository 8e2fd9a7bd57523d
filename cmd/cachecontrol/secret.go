package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/credential"
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
			out[name] = append(out[name], withoutUserinfo(line))
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

// hiddenSecret replaces a secret in messages, and hiddenUserinfo a user and a password.
const (
	hiddenSecret   = "xxxxx"
	hiddenUserinfo = hiddenSecret + "@"
)

var (
	// maybeUserinfo matches text that may be userinfo: everything between two slashes and an "@", or, without slashes,
	// a name, a colon and a password before an "@". It also matches quoted strings, in which userinfo may have spaces.
	maybeUserinfo = regexp.MustCompile(`(?s)"(?:\\.|[^"\\])*"|//[^\s"]*@|[^\s"/@:]+:[^\s"/@]*@`)

	// spacedUserinfo matches userinfo in a quoted string.
	spacedUserinfo = regexp.MustCompile(`(?s)//[^/?#]*@`)

	// bareUserinfo matches userinfo outside quotes.
	bareUserinfo = regexp.MustCompile(`//\S*@|[^\s/@:]+:[^\s/@]*@`)
)

// withoutUserinfo returns text with the user and password of each URL replaced, even if the URL does not parse.
func withoutUserinfo(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return maybeUserinfo.ReplaceAllStringFunc(text, func(s string) string {
		if s[0] != '"' {
			return hideUserinfo(s)
		}
		s = bareUserinfo.ReplaceAllStringFunc(s, hideUserinfo)
		return spacedUserinfo.ReplaceAllString(s, "//"+hiddenUserinfo)
	})
}

// hideUserinfo returns the replacement for a match of maybeUserinfo or bareUserinfo, which ends in "@". An unescaped
// password may contain a slash, so an "@" in a path is considered the end of userinfo if the text before the path is
// not a host.
func hideUserinfo(s string) string {
	authority, ok := strings.CutPrefix(s, "//")
	if !ok {
		if i := strings.IndexByte(s, '"'); i >= 0 { // keep a quotation mark and the text before it
			return s[:i+1] + hiddenUserinfo
		}
		return hiddenUserinfo
	}
	if i := strings.IndexAny(authority, "/?#"); i >= 0 && isAuthority(authority[:i]) {
		return "//" + authority[:i] + bareUserinfo.ReplaceAllStringFunc(authority[i:], hideUserinfo)
	}
	return "//" + hiddenUserinfo
}

// isAuthority reports whether s looks like a host, with or without a port, not like a user and the beginning of a
// password.
func isAuthority(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || u.User != nil {
		return false
	}
	return u.Port() == "" || u.Hostname() == "localhost" || strings.ContainsAny(u.Hostname(), ".:")
}
