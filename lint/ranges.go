package lint

import (
	"net/http"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// rangeRules are about partial responses.
var rangeRules = []rule{
	{
		"partial-unasked", Error, "",
		"The response is partial (206), but the request has no Range.",
		"RFC 9110, section 15.3.7",
		when("", func(m *message) bool {
			return m.status == http.StatusPartialContent && m.asked && m.request["Range"] == nil
		}),
	},
	{
		"content-range-missing", Error, "Content-Range",
		"A partial response (206) must have Content-Range, unless it has several parts.",
		"RFC 9110, section 15.3.7.1",
		when("Content-Range", func(m *message) bool {
			return m.status == http.StatusPartialContent && !m.has("Content-Range") && !severalParts(m)
		}),
	},
	{
		"content-range-invalid", Error, "Content-Range",
		"Content-Range must be bytes, a first and a last position and a total length, such as bytes 0-99/1234. Caches cannot use the part.",
		"RFC 9110, section 14.4",
		when("Content-Range", func(m *message) bool {
			_, ok := rules.ParseContentRange(m.header["Content-Range"])
			return m.status == http.StatusPartialContent && m.has("Content-Range") && !ok
		}),
	},
	{
		"content-range-length", Error, "Content-Range",
		"Content-Range and Content-Length state different lengths of the part.",
		"RFC 9110, section 14.4",
		when("Content-Range", func(m *message) bool {
			c, ok := rules.ParseContentRange(m.header["Content-Range"])
			length := rules.ContentLength(m.header)
			return m.status == http.StatusPartialContent && ok && length >= 0 && length != c.Last-c.First+1
		}),
	},
	{
		"content-range-not-asked", Error, "Content-Range",
		"The part is not what the Range of the request asks for.",
		"RFC 9110, section 15.3.7",
		when("Content-Range", func(m *message) bool {
			c, ok := rules.ParseContentRange(m.header["Content-Range"])
			asked, single := rules.ParseRange(m.request["Range"])
			if m.status != http.StatusPartialContent || !ok || !single || c.Total < 0 {
				return false
			}
			first, end, some := asked.Within(c.Total)
			return !some || c.First != first || c.Last >= end
		}),
	},
	{
		"content-range-meaningless", Warning, "Content-Range",
		"Content-Range has a meaning only with the statuses 206 and 416.",
		"RFC 9110, section 14.4",
		when("Content-Range", func(m *message) bool {
			return m.has("Content-Range") && m.status != http.StatusPartialContent && m.status != http.StatusRequestedRangeNotSatisfiable
		}),
	},
	{
		"partial-several-parts", Info, "",
		"The response has several parts. Hardly any cache stores such a response.",
		"RFC 9111, section 3.3",
		when("", func(m *message) bool { return m.status == http.StatusPartialContent && severalParts(m) }),
	},
	{
		"partial-without-strong-validator", Warning, "",
		"The part has neither a strong entity tag nor a strong Last-Modified, so caches cannot combine it with others.",
		"RFC 9111, section 3.4",
		when("", func(m *message) bool {
			return m.status == http.StatusPartialContent && rules.StrongValidator(m.header) == ""
		}),
	},
	{
		"unsatisfied-without-length", Warning, "Content-Range",
		"A 416 should say how long the whole is: Content-Range: bytes */1234.",
		"RFC 9110, section 15.5.17",
		when("Content-Range", func(m *message) bool {
			length, ok := strings.CutPrefix(m.line("Content-Range"), "bytes */")
			if ok {
				_, ok = rules.ParseLength(length)
			}
			return m.status == http.StatusRequestedRangeNotSatisfiable && !ok
		}),
	},
	{
		"accept-ranges-unknown", Warning, "Accept-Ranges",
		"The only units are bytes and none.",
		"RFC 9110, section 14.3",
		when("Accept-Ranges", func(m *message) bool {
			value := strings.ToLower(strings.TrimSpace(m.value("Accept-Ranges")))
			return m.has("Accept-Ranges") && value != "bytes" && value != "none"
		}),
	},
}

func severalParts(m *message) bool {
	return strings.HasPrefix(strings.ToLower(m.line("Content-Type")), "multipart/byteranges")
}
