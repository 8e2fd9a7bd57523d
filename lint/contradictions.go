package lint

import "github.com/go-cachecontrol/cachecontrol/internal/rules"

// contradictionRules are about directives that contradict each other, or have no effect next to others.
var contradictionRules = []rule{
	{
		"public-and-private", Error, "Cache-Control",
		"The response is public and private at once. Caches obey private, and some obey public.",
		"RFC 9111, section 5.2.2.7",
		whenDirective(func(m *message) bool { return m.cc.Private && m.cc.Public }, "public"),
	},
	{
		"no-store-contradicted", Warning, "Cache-Control",
		"The response must not be stored (no-store), so this directive has no effect.",
		"RFC 9111, section 5.2.2.5",
		func(m *message, report report) {
			for _, d := range m.directives {
				if m.cc.NoStore && !m.cc.MustUnderstand && (hasTime(d) || d.Name == "public" || d.Name == "immutable") {
					report(d.Member)
				}
			}
		},
	},
	{
		"no-store-needs-no-others", Info, "Cache-Control",
		"no-store alone is enough. What is not stored needs no other restriction.",
		"RFC 9111, section 5.2.2.5",
		whenDirective(func(m *message) bool { return m.cc.NoStore && !m.cc.MustUnderstand },
			"no-cache", "must-revalidate", "proxy-revalidate", "private"),
	},
	{
		"no-cache-contradicted", Warning, "Cache-Control",
		"The response must be validated before each use (no-cache), so this directive has no effect.",
		"RFC 9111, section 5.2.2.4",
		func(m *message, report report) {
			for _, d := range m.directives {
				if m.cc.NoCache && !m.cc.NoStore && (hasTime(d) || d.Name == "immutable") {
					report(d.Member)
				}
			}
		},
	},
	{
		"no-cache-needs-no-others", Info, "Cache-Control",
		"no-cache already requires validation before each use, so this directive adds nothing.",
		"RFC 9111, section 5.2.2.4",
		whenDirective(func(m *message) bool { return m.cc.NoCache && !m.cc.NoStore }, "must-revalidate", "proxy-revalidate"),
	},
	{
		"public-needless", Info, "Cache-Control",
		"Without public, this response could be stored just as well. public also lets shared caches store the response to a request with Authorization, for all users.",
		"RFC 9111, section 5.2.2.9",
		whenDirective(func(m *message) bool {
			return m.cc.Public && !m.cc.Private && !m.cc.NoStore && m.explicit() && !m.has("Set-Cookie") && m.request["Authorization"] == nil
		}, "public"),
	},
	{
		"s-maxage-and-private", Warning, "Cache-Control",
		"s-maxage is for shared caches, which must not store a private response.",
		"RFC 9111, section 5.2.2.10",
		whenDirective(func(m *message) bool { return m.cc.Private }, "s-maxage"),
	},
	{
		"proxy-revalidate-needless", Info, "Cache-Control",
		"proxy-revalidate is for shared caches. Next to private or must-revalidate it adds nothing.",
		"RFC 9111, section 5.2.2.8",
		whenDirective(func(m *message) bool { return (m.cc.Private || m.cc.MustRevalidate) && !m.cc.NoCache && !m.cc.NoStore }, "proxy-revalidate"),
	},
	{
		"immutable-never-fresh", Warning, "Cache-Control",
		"immutable has an effect only while the response is fresh, and it never is.",
		"RFC 8246, section 2",
		whenDirective(func(m *message) bool {
			return m.cc.Immutable && !m.cc.NoCache && !m.cc.NoStore && m.private.Lifetime == 0 && m.shared.Lifetime == 0
		}, "immutable"),
	},
	{
		"stale-forbidden", Warning, "Cache-Control",
		"must-revalidate forbids all stale use, so this directive has no effect.",
		"RFC 9111, section 5.2.2.2",
		whenDirective(func(m *message) bool { return m.cc.MustRevalidate && !m.cc.NoCache && !m.cc.NoStore },
			"stale-while-revalidate", "stale-if-error"),
	},
	{
		"stale-forbidden-shared", Info, "Cache-Control",
		"s-maxage and proxy-revalidate forbid shared caches all stale use, so this directive is for private caches only. Some CDNs use the response stale all the same.",
		"RFC 9111, sections 5.2.2.8 and 5.2.2.10",
		whenDirective(func(m *message) bool {
			return (m.cc.SMaxAge.OK || m.cc.ProxyRevalidate) && !m.cc.MustRevalidate && !m.cc.Private && !m.cc.NoCache && !m.cc.NoStore
		}, "stale-while-revalidate", "stale-if-error"),
	},
	{
		"stale-without-lifetime", Info, "Cache-Control",
		"The time of stale use begins when the response is no longer fresh, and the response does not say until when it is.",
		"RFC 5861, sections 3 and 4",
		whenDirective(func(m *message) bool {
			return !m.private.Explicit() && !m.shared.Explicit() && !m.cc.NoCache && !m.cc.NoStore
		},
			"stale-while-revalidate", "stale-if-error"),
	},
	{
		"stale-zero", Info, "Cache-Control",
		"A time of 0 seconds permits no stale use, as if the directive were absent.",
		"RFC 5861, sections 3 and 4",
		func(m *message, report report) {
			for _, d := range m.directives {
				seconds, ok := d.Seconds()
				if ok && seconds == 0 && (d.Name == "stale-while-revalidate" || d.Name == "stale-if-error") {
					report(d.Member)
				}
			}
		},
	},
	{
		"must-understand-alone", Warning, "Cache-Control",
		"must-understand should come with no-store, for the caches that do not know must-understand.",
		"RFC 9111, section 5.2.2.3",
		whenDirective(func(m *message) bool { return m.cc.MustUnderstand && !m.cc.NoStore }, "must-understand"),
	},
}

// hasTime reports whether a directive of responses permits the use of the response for some time.
func hasTime(d rules.Directive) bool {
	seconds, _ := d.Seconds()
	return rules.TakesSeconds(d.Name) && seconds > 0
}
