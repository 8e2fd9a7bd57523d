package lint

import (
	"net/http"
	"slices"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// statusRules are about status codes and methods.
var statusRules = []rule{
	{
		"method-not-cached", Info, "",
		"The response says how long it may be reused, but caches store only responses to GET and QUERY, with few exceptions.",
		"RFC 9110, section 9.2.3",
		when("", func(m *message) bool {
			return !rules.Retrieves(m.method) && m.explicit()
		}),
	},
	{
		"status-needs-freshness", Info, "",
		"A response with this status is stored only if it says how long it may be reused (max-age, Expires), or has public.",
		"RFC 9111, section 3",
		when("", func(m *message) bool { return m.cacheable() && m.stored.Reason == rules.NotCacheable && m.status < 500 }),
	},
	{
		"status-never-stored", Warning, "",
		"A response with this status must not be stored, so its lifetime has no effect.",
		"RFC 6585, sections 3 to 6",
		when("", func(m *message) bool { return m.explicit() && m.stored.Reason == rules.NeverStored }),
	},
	{
		"status-not-understood", Info, "Cache-Control",
		"This cache does not know the status code, so with must-understand it does not store the response.",
		"RFC 9111, section 5.2.2.3",
		whenDirective(func(m *message) bool { return m.stored.Reason == rules.StatusNotUnderstood }, "must-understand"),
	},
	{
		"error-fresh", Warning, "",
		"The origin failed, and the response may be reused nevertheless. The failure is then seen for longer than it lasts.",
		"RFC 9111, section 4.2",
		when("", func(m *message) bool { return m.cacheable() && m.status >= 500 && m.explicit() }),
	},
	{
		"error-freshness-unstated", Info, "",
		"The response does not say how long this error may be reused, and caches may choose a time of their own.",
		"RFC 9111, section 4.2.2",
		when("", func(m *message) bool {
			return m.cacheable() && !m.cc.NoCache && m.status >= 400 && rules.HeuristicallyCacheable(m.status) && !m.private.Explicit()
		}),
	},
	{
		"unavailable-without-retry-after", Info, "Retry-After",
		"There is no Retry-After, so clients do not know how long to wait.",
		"RFC 9110, section 10.2.3",
		when("Retry-After", func(m *message) bool {
			return !m.has("Retry-After") && (m.status == http.StatusServiceUnavailable || m.status == http.StatusTooManyRequests)
		}),
	},
	{
		"retry-after-invalid", Warning, "Retry-After",
		"Retry-After must be a number of seconds or a date.",
		"RFC 9110, section 10.2.3",
		when("Retry-After", func(m *message) bool {
			_, seconds := rules.ParseSeconds(m.line("Retry-After"))
			_, date := m.date("Retry-After")
			return m.has("Retry-After") && !seconds && !date
		}),
	},
	{
		"redirect-without-location", Warning, "Location",
		"The redirect has no Location, so clients cannot follow it.",
		"RFC 9110, section 15.4",
		when("Location", func(m *message) bool {
			return slices.Contains([]int{301, 302, 303, 307, 308}, m.status) && !m.has("Location")
		}),
	},
	{
		"not-modified-unasked", Error, "",
		"The response is 304, but the request has no precondition. The client has nothing that it could use.",
		"RFC 9110, section 15.4.5",
		when("", func(m *message) bool {
			conditional, _ := rules.HasPreconditions(m.request)
			return m.status == http.StatusNotModified && m.asked && !conditional
		}),
	},
	{
		"not-modified-without-etag", Warning, "ETag",
		"The request has If-None-Match, and the 304 has no ETag. It must have the one that a 200 would have had.",
		"RFC 9110, section 15.4.5",
		when("Etag", func(m *message) bool {
			return m.status == http.StatusNotModified && m.request["If-None-Match"] != nil && !m.has("Etag")
		}),
	},
	{
		"not-modified-with-metadata", Warning, several,
		"A 304 should not describe the content. Caches write this into the header of the stored response.",
		"RFC 9110, section 15.4.5",
		func(m *message, report report) {
			for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
				if m.status == http.StatusNotModified && m.has(name) {
					report(name + ": " + m.value(name))
				}
			}
		},
	},
	{
		"not-modified-without-freshness", Info, "",
		"The 304 has neither Cache-Control nor Expires, so the stored response keeps its old ones. It must have them if a 200 would have them.",
		"RFC 9110, section 15.4.5",
		when("", func(m *message) bool {
			return m.status == http.StatusNotModified && !m.has("Cache-Control") && !m.has("Expires") && !m.has(cdnCacheControl)
		}),
	},
}
