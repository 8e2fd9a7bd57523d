package lint

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// otherRules are about other fields.
var otherRules = []rule{
	{
		"warning-obsolete", Info, "Warning",
		"Warning is obsolete. Caches ignore it.",
		"RFC 9111, section 5.5",
		when("Warning", func(m *message) bool { return m.has("Warning") }),
	},
	{
		"cache-status-invalid", Warning, "Cache-Status",
		"Cache-Status must be a list of structured fields, one member for each cache.",
		"RFC 9211, section 2",
		when("Cache-Status", func(m *message) bool { return m.has("Cache-Status") && !validList(m.header["Cache-Status"]) }),
	},
	{
		"accept-query-invalid", Error, "Accept-Query",
		`Accept-Query must be a list of structured fields: tokens or strings that are media ranges, such as "application/json", with their parameters behind them. Clients ignore this one.`,
		"RFC 10008, section 3",
		when("Accept-Query", func(m *message) bool { return m.has("Accept-Query") && !validAcceptQuery(m.header["Accept-Query"]) }),
	},
	{
		"from-other-cache", Info, "Cache-Status",
		"The response comes from another cache on the way, so the notes may be about that cache and not about the origin.",
		"RFC 9211, section 2.1",
		when("Cache-Status", func(m *message) bool { return hitElsewhere(m.header["Cache-Status"]) }),
	},
	{
		"x-cache", Info, several,
		"This field is not a standard. Cache-Status says the same in a form that programs understand.",
		"RFC 9211, section 1",
		func(m *message, report report) {
			for _, name := range []string{"X-Cache", "X-Cache-Status", "X-Cache-Lookup", "Cf-Cache-Status", "X-Proxy-Cache", "X-Varnish-Cache"} {
				if m.has(name) && !m.has("Cache-Status") {
					report(name + ": " + m.value(name))
				}
			}
		},
	},
	{
		"content-location-differs", Info, "Content-Location",
		"Content-Location names another URL. Caches store the response only for the URL of the request.",
		"RFC 9110, section 8.7",
		when("Content-Location", func(m *message) bool { return m.cacheable() && m.stored.OK && contentElsewhere(m) }),
	},
	{
		"connection-names-field", Error, "Connection",
		"Connection names a field that is for every recipient. Some caches then remove it, and with it what it says about caching.",
		"RFC 9110, section 7.6.1",
		func(m *message, report report) {
			for _, line := range m.header["Connection"] {
				for name := range strings.SplitSeq(line, ",") {
					if rules.DecidesReuse(http.CanonicalHeaderKey(strings.TrimSpace(name))) {
						report(strings.TrimSpace(name))
					}
				}
			}
		},
	},
	{
		"trailer-names-field", Warning, "Trailer",
		"Caches decide with the header whether to store a response. In a trailer this field comes too late.",
		"RFC 9110, section 6.5.1",
		func(m *message, report report) {
			for _, name := range []string{"Age", "Cache-Control", "Cdn-Cache-Control", "Date", "Etag", "Expires", "Last-Modified", "Vary"} {
				if _, ok := m.trailer[name]; ok {
					report(name)
				}
			}
		},
	},
}

// groupsRules are about groups of responses.
var groupsRules = []rule{
	{
		"cache-groups-invalid", Warning, "Cache-Groups",
		"Cache-Groups must be a list of strings in quotes. Caches ignore it, so the response is in no group.",
		"RFC 9875, section 2",
		when("Cache-Groups", func(m *message) bool { return m.has("Cache-Groups") && !isListOfStrings(m.header["Cache-Groups"]) }),
	},
	{
		"cache-groups-many", Info, "Cache-Groups",
		"Caches need to support only 32 groups, with names of 32 characters. This cache does not store responses in more than 128.",
		"RFC 9875, section 2",
		when("Cache-Groups", func(m *message) bool {
			names, _ := rules.ListOfStrings(m.header["Cache-Groups"])
			return len(names) > 32 || slices.ContainsFunc(names, func(name string) bool { return len(name) > 32 })
		}),
	},
	{
		"cache-group-invalidation-invalid", Warning, "Cache-Group-Invalidation",
		"Cache-Group-Invalidation must be a list of strings in quotes. Caches ignore it, so they go on using the responses.",
		"RFC 9875, section 3",
		when("Cache-Group-Invalidation", func(m *message) bool {
			return m.has("Cache-Group-Invalidation") && !isListOfStrings(m.header["Cache-Group-Invalidation"])
		}),
	},
	{
		"cache-group-invalidation-safe", Info, "Cache-Group-Invalidation",
		"Caches ignore Cache-Group-Invalidation in the response to a request with a safe method, such as GET.",
		"RFC 9875, section 3",
		when("Cache-Group-Invalidation", func(m *message) bool { return rules.IsSafe(m.method) && m.has("Cache-Group-Invalidation") }),
	},
}

func isListOfStrings(lines []string) bool {
	_, ok := rules.ListOfStrings(lines)
	return ok
}

// validList reports whether a field is a list of structured fields.
func validList(lines []string) bool {
	list, err := httpsfv.UnmarshalList(lines)
	return err == nil && len(list) > 0
}

// validAcceptQuery reports whether an Accept-Query field is a list of media ranges, each a token or a string.
func validAcceptQuery(lines []string) bool {
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(list) == 0 {
		return false
	}
	return !slices.ContainsFunc(list, func(member httpsfv.Member) bool {
		item, ok := member.(httpsfv.Item)
		return !ok || !rules.IsMediaRange(text(item.Value)) || slices.ContainsFunc(item.Params.Names(), func(name string) bool {
			value, _ := item.Params.Get(name)
			return text(value) == "" && value != ""
		})
	})
}

// text returns the text of a token or a string, whose meaning is the same, and "" of any other bare item.
func text(bare any) string {
	switch v := bare.(type) {
	case string:
		return v
	case httpsfv.Token:
		return string(v)
	}
	return ""
}

// hitElsewhere reports whether a Cache-Status field reports the hit of a cache.
func hitElsewhere(lines []string) bool {
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return false
	}
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); ok && item.Params != nil {
			if hit, _ := item.Params.Get("hit"); hit == true {
				return true
			}
		}
	}
	return false
}

// contentElsewhere reports whether Content-Location names another URL than that of the request.
func contentElsewhere(m *message) bool {
	if m.url == nil || !m.has("Content-Location") {
		return false
	}
	u, err := m.url.Parse(m.line("Content-Location"))
	if err != nil {
		return true
	}
	return withoutFragment(u) != withoutFragment(m.url)
}

func withoutFragment(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment, v.User = "", "", nil
	return v.String()
}
