// Package userinfo hides the users and passwords of URLs in texts for people.
package userinfo

import (
	"net/url"
	"regexp"
	"strings"
)

// Hidden replaces a user and a password, with the "@" after them.
const Hidden = "xxxxx@"

var (
	// maybe matches text that may be userinfo: everything between two slashes and an "@", or, without slashes,
	// a name, a colon and a password before an "@". It also matches quoted strings, in which userinfo may have spaces.
	maybe = regexp.MustCompile(`(?s)"(?:\\.|[^"\\])*"|//[^\s"]*@|[^\s"/@:]+:[^\s"/@]*@`)

	// spaced matches userinfo in a quoted string.
	spaced = regexp.MustCompile(`(?s)//[^/?#]*@`)

	// bare matches userinfo outside quotes.
	bare = regexp.MustCompile(`//\S*@|[^\s/@:]+:[^\s/@]*@`)

	// named matches a user and a password without slashes.
	named = regexp.MustCompile(`[^\s/@:]+:[^\s/@]*@`)
)

// Hide returns text with the user and password of each URL replaced, even if the URL does not parse.
func Hide(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return maybe.ReplaceAllStringFunc(text, func(s string) string {
		if s[0] != '"' {
			return hide(s)
		}
		s = bare.ReplaceAllStringFunc(s, hide)
		return spaced.ReplaceAllString(s, "//"+Hidden)
	})
}

// hide returns the replacement for a match of maybe or bare, which ends in "@". An unescaped password may contain a slash, so an
// "@" in a path is considered the end of userinfo if the text before the path is not a host.
func hide(s string) string {
	if !strings.HasPrefix(s, "//") {
		return hideNamed(s)
	}
	var out strings.Builder
	for {
		i := strings.IndexAny(s[2:], "/?#") + 2
		if i < 2 || !isAuthority(s[2:i]) {
			return out.String() + "//" + Hidden
		}
		next := strings.Index(s[i:], "//") + i
		if next < i {
			return out.String() + s[:i] + named.ReplaceAllStringFunc(s[i:], hideNamed)
		}
		out.WriteString(s[:i] + named.ReplaceAllStringFunc(s[i:next], hideNamed))
		s = s[next:]
	}
}

// hideNamed returns the replacement for a match of named. It keeps a quotation mark and the text before it.
func hideNamed(s string) string { return s[:strings.IndexByte(s, '"')+1] + Hidden }

// isAuthority reports whether s looks like a host, with or without a port, not like a user and the beginning of a
// password.
func isAuthority(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || u.User != nil {
		return false
	}
	return u.Port() == "" || u.Hostname() == "localhost" || strings.ContainsAny(u.Hostname(), ".:")
}
