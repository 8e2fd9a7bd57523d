package main

import (
	"net/url"
	"regexp"
	"strings"
)

// hiddenUserinfo stands in the place of a user and a password.
const hiddenUserinfo = "xxxxx@"

var (
	// maybeUserinfo finds what may be userinfo in any text: between two slashes and an "@", or, if the scheme is missing, a name, a
	// colon and a password. It also finds strings in quotes, in which userinfo may have a space.
	maybeUserinfo = regexp.MustCompile(`(?s)"(?:\\.|[^"\\])*"|//[^\s"]*@|[^\s"/@:]+:[^\s"/@]*@`)

	// spacedUserinfo finds userinfo in a string in quotes.
	spacedUserinfo = regexp.MustCompile(`(?s)//[^/?#]*@`)

	// bareUserinfo finds userinfo in a text without quotes.
	bareUserinfo = regexp.MustCompile(`//\S*@|[^\s/@:]+:[^\s/@]*@`)
)

// withoutUserinfo returns a text with the user and password of each URL in it replaced, also of one that does not parse.
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

// hideUserinfo returns what replaces a part of a text that ends in "@". A password that is not escaped as it should be may hold a slash,
// so an "@" in a path is taken for the end of userinfo if the text before it is no host.
func hideUserinfo(s string) string {
	authority, ok := strings.CutPrefix(s, "//")
	if !ok {
		if i := strings.IndexByte(s, '"'); i >= 0 { // a string in quotes begins before its userinfo
			return s[:i+1] + hiddenUserinfo
		}
		return hiddenUserinfo
	}
	if i := strings.IndexAny(authority, "/?#"); i >= 0 && isAuthority(authority[:i]) {
		return "//" + authority[:i] + bareUserinfo.ReplaceAllStringFunc(authority[i:], hideUserinfo)
	}
	return "//" + hiddenUserinfo
}

// isAuthority reports whether a text is a host, maybe with a port, rather than a user with the beginning of a password.
func isAuthority(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || u.User != nil {
		return false
	}
	return u.Port() == "" || u.Hostname() == "localhost" || strings.ContainsAny(u.Hostname(), ".:")
}

// shownURL returns an argument that is meant for a URL, without userinfo, also if the scheme is missing.
func shownURL(arg string) string {
	if !isURL(arg) {
		if i := strings.LastIndexByte(arg, '@'); i >= 0 {
			return hiddenUserinfo + arg[i+1:]
		}
	}
	return withoutUserinfo(arg)
}
