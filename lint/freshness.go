package lint

import (
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// freshnessRules are about how long the response may be reused.
var freshnessRules = []rule{
	{
		"freshness-unstated", Warning, "",
		"The response does not say how long it may be reused, so each cache chooses a time of its own, often a tenth of the time since Last-Modified. max-age says it; no-cache asks for validation.",
		"RFC 9111, section 4.2.2",
		when("", func(m *message) bool {
			return m.cacheable() && m.status < 400 && !m.cc.NoCache && m.private.Source() == rules.NoFreshness &&
				rules.HeuristicallyCacheable(m.status) && m.private.HasValidator()
		}),
	},
	{
		"nothing-to-reuse", Warning, "",
		"The response has neither freshness (max-age, Expires) nor a validator (ETag, Last-Modified), so no cache can save a transfer with it.",
		"RFC 9111, section 3",
		when("", func(m *message) bool {
			return m.cacheable() && !m.cc.NoCache && m.stored.Reason == rules.NothingToReuse
		}),
	},
	{
		"no-cache-without-validator", Warning, "Cache-Control",
		"The response must be validated before each use, but has no validator (ETag, Last-Modified). Each use is a whole transfer.",
		"RFC 9111, section 4.3.1",
		whenDirective(func(m *message) bool { return m.cacheable() && m.cc.NoCache && !m.private.HasValidator() }, "no-cache"),
	},
	{
		"no-validator", Info, "",
		"The response has no validator (ETag, Last-Modified). When it is stale, it must be transferred again even if it has not changed.",
		"RFC 9111, section 4.3.1",
		when("", func(m *message) bool {
			return m.cacheable() && m.stored.OK && !m.cc.NoCache && m.explicit() && !m.private.HasValidator()
		}),
	},
	{
		"max-age-zero", Info, "Cache-Control",
		"The response is stale at once, but may be used stale, for example while the origin fails. no-cache forbids that.",
		"RFC 9111, section 4.2.4",
		whenDirective(func(m *message) bool {
			return m.cc.MaxAge.OK && m.cc.MaxAge.Value == 0 && m.cacheable() && !m.cc.NoCache && !m.cc.MustRevalidate && validZero(m)
		}, "max-age"),
	},
	{
		"s-maxage-only", Info, "Cache-Control",
		"s-maxage is for shared caches. Browsers and other private caches choose a time of their own.",
		"RFC 9111, section 5.2.2.10",
		whenDirective(func(m *message) bool {
			return m.cc.SMaxAge.OK && !m.private.Explicit() && !m.cc.NoStore && !m.cc.NoCache && !m.cc.Private
		}, "s-maxage"),
	},
	{
		"expires-ignored", Info, "Expires",
		"Caches use max-age and ignore Expires, which is only for caches of HTTP/1.0.",
		"RFC 9111, section 5.3",
		when("Expires", func(m *message) bool {
			return m.has("Expires") && m.cc.MaxAge.OK && !m.cc.NoStore && !expiresDiffers(m)
		}),
	},
	{
		"expires-differs", Warning, "Expires",
		"Expires and max-age set different times. Caches use max-age.",
		"RFC 9111, section 5.3",
		when("Expires", func(m *message) bool { return m.has("Expires") && m.cc.MaxAge.OK && !m.cc.NoStore && expiresDiffers(m) }),
	},
	{
		"expires-not-date", Info, "Expires",
		"This is not a date. Caches read it as a time in the past; Cache-Control: no-cache or max-age=0 says it clearly.",
		"RFC 9111, section 5.3",
		when("Expires", func(m *message) bool {
			return m.has("Expires") && isNumber(m.line("Expires")) && !m.cc.MaxAge.OK && !m.cc.NoStore
		}),
	},
	{
		"expires-repeated", Error, "Expires",
		"There are several Expires fields. If they differ, caches treat the response as stale.",
		"RFC 9111, section 4.2.1",
		when("Expires", func(m *message) bool { return len(m.header["Expires"]) > 1 }),
	},
	{
		"expires-past", Info, "Expires",
		"Expires is not after Date, so the response is stale at once.",
		"RFC 9111, section 5.3",
		when("Expires", func(m *message) bool {
			t, ok := m.date("Expires")
			return ok && !m.cc.MaxAge.OK && m.cacheable() && !t.After(m.private.Date)
		}),
	},
	{
		"pragma", Info, "Pragma",
		"Pragma has no meaning in responses, so it adds nothing to Cache-Control.",
		"RFC 9111, section 5.4",
		when("Pragma", func(m *message) bool { return m.has("Pragma") && !pragmaContradicts(m) }),
	},
	{
		"pragma-contradicted", Error, "Pragma",
		"Pragma has no meaning in responses, so caches reuse this one for as long as it says elsewhere.",
		"RFC 9111, section 5.4",
		when("Pragma", pragmaContradicts),
	},
	{
		"redirect-for-ever", Info, "",
		"A permanent redirect without max-age or Expires is kept for a very long time by browsers and by this cache. max-age limits it.",
		"RFC 9110, sections 15.4.2 and 15.4.9",
		when("", func(m *message) bool { return m.cacheable() && m.private.Source() == rules.Permanent }),
	},
}

// validZero reports whether each max-age is valid and so 0 is what the origin wrote.
func validZero(m *message) bool {
	return !slices.ContainsFunc(m.directives, func(d rules.Directive) bool {
		seconds, ok := d.Seconds()
		return d.Name == "max-age" && (!ok || seconds != 0)
	})
}

// expiresDiffers reports whether Expires and max-age set times that differ by more than a minute. Expires fields
// that say "expired" agree with each max-age of 0.
func expiresDiffers(m *message) bool {
	t, ok := m.date("Expires")
	lifetime := max(0, t.Sub(m.private.Date))
	if !ok {
		lifetime = 0
	}
	return !m.private.Date.IsZero() && (lifetime-m.cc.MaxAge.Value).Abs() > time.Minute && !m.cc.NoCache
}

// isNumber reports whether a value is a number, such as the usual 0 and -1.
func isNumber(value string) bool {
	value = strings.TrimPrefix(strings.TrimSpace(value), "-")
	return value != "" && strings.Trim(value, "0123456789") == ""
}

func pragmaContradicts(m *message) bool {
	return strings.Contains(strings.ToLower(m.value("Pragma")), "no-cache") && !m.cc.NoCache && !m.cc.NoStore &&
		m.isStorable() && m.private.Lifetime > 0
}
