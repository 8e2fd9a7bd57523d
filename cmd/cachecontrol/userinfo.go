package main

import (
	"net/url"
	"regexp"
	"strings"
)

// maybeUserinfo finds what may be a URL with userinfo in any text.
var maybeUserinfo = regexp.MustCompile(`//[^\s"]*@`)

// withoutUserinfo returns a text with the user and password of each URL in it replaced. A password that is not escaped as it
// should be may hold a slash, so an "@" in a path is taken for the end of userinfo if the text before it is no host.
func withoutUserinfo(text string) string {
	return maybeUserinfo.ReplaceAllStringFunc(text, func(s string) string {
		authority := s[len("//"):]
		if i := strings.IndexAny(authority, "/?#"); i >= 0 && !strings.Contains(authority[:i], "@") {
			if u, err := url.Parse("http://" + authority[:i]); err == nil && (u.Port() == "" || strings.Contains(u.Hostname(), ".")) {
				return s
			}
		}
		return "//xxxxx@"
	})
}
