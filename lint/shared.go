package lint

import (
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// sharedRules are about responses for one user in shared caches.
var sharedRules = []rule{
	{
		"set-cookie-for-all", Warning, "Set-Cookie",
		"public or s-maxage lets shared caches store the response. A cache that also stores Set-Cookie gives the same cookie to all users.",
		"RFC 9111, section 7.3",
		whenCookie(func(m *message) bool { return m.shared.Store(rules.Request{}, false).OK && m.shared.Lifetime > 0 }),
	},
	{
		"set-cookie-not-private", Warning, "Set-Cookie",
		"The response sets a cookie and is not private. Some shared caches give the cookie to all users; this one stores no such response.",
		"RFC 9111, section 7.3",
		whenCookie(func(m *message) bool {
			return m.shared.Store(rules.Request{}, false).Reason == rules.SetCookieInShared && m.shared.Lifetime > 0
		}),
	},
	{
		"authorization-for-all", Warning, "Cache-Control",
		"The request has Authorization, and this directive lets shared caches give the response to all users.",
		"RFC 9111, section 3.5",
		whenDirective(func(m *message) bool {
			return m.request["Authorization"] != nil && m.isStorable() && m.shared.Store(rules.Request{}, true).OK && m.shared.Lifetime > 0
		}, "public", "s-maxage", "must-revalidate"),
	},
	{
		"authorization-not-shared", Info, "",
		"The request has Authorization, so shared caches store the response only with public, s-maxage or must-revalidate.",
		"RFC 9111, section 3.5",
		when("", func(m *message) bool {
			return m.request["Authorization"] != nil && m.cacheable() && m.shared.Store(rules.Request{}, true).Reason == rules.AuthorizationInShared
		}),
	},
	{
		"credentials-refused", Info, "",
		"The response rejects the credentials of its request. Without Vary for the field that carries them, caches cannot reuse it.",
		"RFC 9110, sections 15.5.2 and 15.5.8",
		when("", func(m *message) bool {
			return m.cacheable() && m.explicit() && m.stored.Reason == rules.CredentialsRefused
		}),
	},
}

// whenCookie returns a check that reports Set-Cookie without the value of the cookie.
func whenCookie(wrong func(m *message) bool) func(*message, report) {
	return func(m *message, report report) {
		excluded := slices.Contains(m.shared.Directives.PrivateFields, "Set-Cookie") || slices.Contains(m.shared.Directives.NoCacheFields, "Set-Cookie")
		if m.has("Set-Cookie") && m.isStorable() && !excluded && wrong(m) {
			report("")
		}
	}
}
