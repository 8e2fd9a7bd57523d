package lint

import (
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// targetedRules are about fields for some shared caches only.
var targetedRules = []rule{
	{
		"targeted-invalid", Error, several,
		"The field is not a valid dictionary of structured fields, or a directive has a value of the wrong type, so caches ignore all of it. Names are in lower case, and numbers without quotes.",
		"RFC 9213, section 2.1",
		reportTargeted(func(m *message, name string) bool { return m.value(name) != "" && !m.targeted[name].Targeted }),
	},
	{
		"targeted-empty", Warning, several,
		"The field is empty, so caches ignore it.",
		"RFC 9213, section 2.1",
		reportTargeted(func(m *message, name string) bool { return strings.TrimSpace(m.value(name)) == "" }),
	},
	{
		"targeted-unknown", Info, several,
		"The field has a directive that is not registered. Most caches ignore the directive.",
		"RFC 9111, section 5.2.3",
		reportTargeted(func(m *message, name string) bool {
			dict, err := httpsfv.UnmarshalDictionary(m.header[name])
			if err != nil {
				return false
			}
			for _, directive := range dict.Names() {
				if unknown(rules.Directive{Name: directive}) {
					return true
				}
			}
			return false
		}),
	},
	{
		"targeted-no-lifetime", Warning, several,
		"The caches that this field is for ignore Cache-Control and Expires, and the field does not say how long the response may be reused.",
		"RFC 9213, section 2.1",
		reportTargeted(func(m *message, name string) bool {
			r := m.targeted[name]
			return r.Targeted && !r.MaxAge.OK && !r.SMaxAge.OK && !r.NoStore && !r.NoCache && !r.Private && (m.cc.MaxAge.OK || m.has("Expires"))
		}),
	},
	{
		"targeted-allows-more", Info, several,
		"Cache-Control keeps the response out of shared caches. This field lets those store it that know the field.",
		"RFC 9213, section 2.2",
		reportTargeted(func(m *message, name string) bool {
			r := m.targeted[name]
			return r.Targeted && !r.NoStore && !r.Private && (m.cc.NoStore || m.cc.Private)
		}),
	},
	{
		"targeted-of-vendor", Info, several,
		"Only the caches of one provider obey this field. CDN-Cache-Control is for all.",
		"RFC 9213, section 3.1",
		reportTargeted(func(_ *message, name string) bool { return name != cdnCacheControl }),
	},
	{
		"surrogate-control", Info, "Surrogate-Control",
		"Surrogate-Control is not a standard, and few caches obey it, this one not. CDN-Cache-Control is what replaces it.",
		"RFC 9213, section 3.1",
		when("Surrogate-Control", func(m *message) bool { return m.has("Surrogate-Control") }),
	},
	{
		"vendor-field", Info, several,
		"Only one kind of server obeys this field. Cache-Control and CDN-Cache-Control are for all.",
		"RFC 9213, section 3.1",
		func(m *message, report report) {
			for _, name := range []string{"X-Accel-Expires", "Edge-Control", "X-Cache-Control", "X-Litespeed-Cache-Control"} {
				if m.has(name) {
					report(name + ": " + m.value(name))
				}
			}
		},
	},
}

// reportTargeted returns a check that reports each targeted field of the response for which wrong returns true.
func reportTargeted(wrong func(m *message, name string) bool) func(*message, report) {
	return func(m *message, report report) {
		for _, name := range targetedFields {
			if m.has(name) && wrong(m, name) {
				report(strings.ReplaceAll(name, "Cdn-", "CDN-") + ": " + m.value(name))
			}
		}
	}
}
