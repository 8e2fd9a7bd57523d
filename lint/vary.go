package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/novarysearch"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// varyRules are about Vary and what it should name, and about No-Vary-Search.
var varyRules = []rule{
	{
		"vary-any", Warning, "Vary",
		"With a * the response can answer no other request.",
		"RFC 9111, section 4.1",
		when("Vary", func(m *message) bool { return slices.Contains(varyNames(m), "*") }),
	},
	{
		"vary-invalid", Error, "Vary",
		"This is not the name of a header field, so the response can answer no other request.",
		"RFC 9110, section 12.5.5",
		reportNames(func(name string) bool { return name != "*" && (!rules.IsToken(name) || strings.Contains(name, "*")) }),
	},
	{
		"vary-too-many", Error, "Vary",
		"Vary has more than 100 names. This cache stores no such response.",
		"RFC 9111, section 4.1",
		when("Vary", func(m *message) bool {
			names, star := rules.SelectingFields(m.header)
			return star && len(names) >= 100
		}),
	},
	{
		"vary-many", Warning, "Vary",
		"Vary has %s names. The more there are, the less often a stored response has the values that a request has.",
		"RFC 9111, section 4.1",
		func(m *message, report report) {
			if names, star := rules.SelectingFields(m.header); !star && len(names) > manyNames {
				report(m.value("Vary"), strconv.Itoa(len(names)))
			}
		},
	},
	{
		"vary-user-agent", Warning, "Vary",
		"There are thousands of values of User-Agent, so a stored response is rarely used for another client.",
		"RFC 9110, section 12.5.5",
		reportNames(named("User-Agent")),
	},
	{
		"vary-cookie", Warning, "Vary",
		"Nearly every user has cookies of their own, so a shared cache stores a response for each of them. private says so more clearly.",
		"RFC 9110, section 12.5.5",
		func(m *message, report report) {
			if !m.cc.Private && !m.cc.NoStore {
				reportNames(named("Cookie"))(m, report)
			}
		},
	},
	{
		"vary-unique", Warning, "Vary",
		"This field has another value in nearly every request, so the response is rarely used again.",
		"RFC 9110, section 12.5.5",
		reportNames(named("Referer", "Date", "X-Request-Id", "X-Correlation-Id", "Traceparent", "X-Forwarded-For", "Via", "Content-Length",
			"X-Amzn-Trace-Id", "X-Real-Ip", "Forwarded")),
	},
	{
		"vary-host", Warning, "Vary",
		"The host is a part of the URL, by which caches keep responses apart anyway.",
		"RFC 9111, section 2",
		reportNames(named("Host")),
	},
	{
		"vary-not-of-requests", Warning, "Vary",
		"This is a field of responses, which requests do not have. Vary must name fields of the request.",
		"RFC 9110, section 12.5.5",
		reportNames(named("Content-Encoding", "Content-Type", "Content-Language", "Set-Cookie", "Etag", "Last-Modified", "Expires", "Age", "Vary",
			"Location", "Server", "Access-Control-Allow-Origin")),
	},
	{
		"vary-of-conditions", Warning, "Vary",
		"Caches and servers handle this field themselves. It selects no other representation, so Vary must not name it.",
		"RFC 9110, section 12.5.5",
		reportNames(named("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range", "Cache-Control", "Pragma",
			"Connection", "Te", "Transfer-Encoding", "Upgrade")),
	},
	{
		"vary-repeated", Info, "Vary",
		"Vary names this field more than once.",
		"RFC 9110, section 12.5.5",
		func(m *message, report report) {
			seen := make(map[string]bool)
			for _, name := range varyNames(m) {
				if name = strings.ToLower(name); seen[name] {
					report(name)
				}
				seen[name] = true
			}
		},
	},
	{
		"search-invalid", Warning, "No-Vary-Search",
		"%s, so the field has no effect: caches compare the queries as they are.",
		"draft-ietf-httpbis-no-vary-search-10, section 5.1",
		func(m *message, report report) {
			if _, wrong := novarysearch.ParseField(m.header[novarysearch.Field]); wrong != "" {
				report(m.value(novarysearch.Field), strings.ToUpper(wrong[:1])+wrong[1:])
			}
		},
	},
	{
		"search-useless", Info, "No-Vary-Search",
		"The field says what is the default: caches compare the queries as they are.",
		"draft-ietf-httpbis-no-vary-search-10, section 4",
		when("No-Vary-Search", func(m *message) bool {
			c, wrong := novarysearch.ParseField(m.header[novarysearch.Field])
			return m.has(novarysearch.Field) && c == nil && wrong == ""
		}),
	},
	{
		"vary-lacks-accept-encoding", Error, "Content-Encoding",
		"The content is coded (Content-Encoding), but Vary does not name Accept-Encoding. Caches may give it to clients that cannot decode it.",
		"RFC 9110, section 12.5.5",
		when("Content-Encoding", func(m *message) bool {
			coding := strings.TrimSpace(m.value("Content-Encoding"))
			return coding != "" && !strings.EqualFold(coding, "identity") && m.cacheable() && m.stored.OK && !m.selects("Accept-Encoding")
		}),
	},
	{
		"vary-lacks-origin", Warning, "Access-Control-Allow-Origin",
		"Access-Control-Allow-Origin names one web origin, but Vary does not name Origin. Caches may give the response to pages of another origin, and browsers reject it there.",
		"Fetch Standard, CORS protocol and HTTP caches",
		when("Access-Control-Allow-Origin", func(m *message) bool {
			return m.cacheable() && m.stored.OK && rules.AllowsOneOrigin(m.header) && m.line("Access-Control-Allow-Origin") != "null" && !m.selects("Origin")
		}),
	},
}

// manyNames is the number of names in Vary that is not yet many.
const manyNames = 5

// maxNames limits how many names of Vary are examined.
const maxNames = 200

// varyNames returns the members of Vary as they were written.
func varyNames(m *message) []string {
	var names []string
	for _, line := range m.header["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name != "" && len(names) < maxNames {
				names = append(names, name)
			}
		}
	}
	return names
}

// reportNames returns a check that reports each name in Vary for which wrong returns true, once.
func reportNames(wrong func(name string) bool) func(*message, report) {
	return func(m *message, report report) {
		seen := make(map[string]bool)
		for _, name := range varyNames(m) {
			if lower := strings.ToLower(name); wrong(name) && !seen[lower] {
				seen[lower] = true
				report(name)
			}
		}
	}
}

// named returns a function that reports whether a name is one of names, in any case.
func named(names ...string) func(string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
}
