package cachetest

import (
	"cmp"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
)

// An Option changes what Client and Transport do.
type Option func(*options)

type options struct {
	base          http.RoundTripper
	passThrough   func(*http.Request) bool
	mode          mode // of tests of this package; otherwise the environment sets it
	recordErrors  bool
	matchHeaders  []string
	matchFunc     func(req, recorded *http.Request) error
	ignoreBody    bool
	once          bool
	requireAll    bool
	omittedFields []string
	redactor      redactor
}

func newOptions(opts []Option) *options {
	o := &options{base: http.DefaultTransport, matchHeaders: slices.Clone(selectingFields)}
	o.redactor.names, o.redactor.kept = map[string]bool{}, map[string]bool{}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// Base sets the RoundTripper that makes the requests that are recorded, and those that PassThrough lets through. If it is
// nil or not set, http.DefaultTransport is used.
func Base(rt http.RoundTripper) Option {
	return func(o *options) { o.base = cmp.Or(rt, http.DefaultTransport) }
}

// PassThrough sends the requests for which pass returns true to Base, in every mode, and does not record them. Use it for
// servers that the test itself starts.
func PassThrough(pass func(*http.Request) bool) Option {
	return func(o *options) { o.passThrough = pass }
}

// RecordErrors records and replays errors of Base, and errors in the middle of a body. Without it, such an error fails the
// test that records, and no recording of the test is changed.
func RecordErrors() Option {
	return func(o *options) { o.recordErrors = true }
}

// MatchHeader adds request header fields that must match. They are recorded, and compared line by line. Range and the
// conditional fields, such as If-None-Match, always are.
func MatchHeader(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.matchHeaders = append(o.matchHeaders, textproto.CanonicalMIMEHeaderKey(name))
		}
		slices.Sort(o.matchHeaders)
		o.matchHeaders = slices.Compact(o.matchHeaders)
	}
}

// MatchFunc replaces all other rules for matching. The function returns nil if recorded is a recording of req. Otherwise it
// returns how the two differ, which is shown for the nearest recording. Both requests are redacted and have only the header fields
// that are recorded. Their bodies can be read.
func MatchFunc(match func(req, recorded *http.Request) error) Option {
	return func(o *options) { o.matchFunc = match }
}

// IgnoreBody matches requests whatever their bodies are. The bodies are still recorded.
func IgnoreBody() Option {
	return func(o *options) { o.ignoreBody = true }
}

// Once replays each recording only once: a request that is made more often than it was recorded fails the test. Without
// it, the last answer is given again, and equal answers at the end are recorded only once.
func Once() Option {
	return func(o *options) { o.once = true }
}

// RequireAll fails the test if a recording was not used. Without it, unused recordings are logged. Neither happens if the
// test failed or was skipped, or if -short, -skip, or a -run that selects subtests is set.
func RequireAll() Option {
	return func(o *options) { o.requireAll = true }
}

// Redact adds names whose values are redacted: of header fields, of parameters, and of members in every syntax that is read.
// The package documentation lists the names that are always redacted. Case, hyphens and underscores in names do not matter.
// A redacted value matches every other one, so Redact also helps with values that differ in each run. If a value has at least
// 8 bytes, it is redacted everywhere else in the recordings of the test too.
func Redact(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.redactor.names[looseName(name)] = true
		}
	}
}

// Keep removes names from those whose values are redacted, including those that Redact added. Use it if an API gives a name
// another meaning, as in ?key=homepage, and the requests must be told apart.
func Keep(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.redactor.kept[looseName(name)] = true
		}
	}
}

// RedactPattern redacts each match of an expression in URLs, header fields and bodies. If the expression has groups, only
// the first group is redacted. The expression is matched with texts as they are written, and with those that are decoded from them.
func RedactPattern(re *regexp.Regexp) Option {
	return func(o *options) { o.redactor.patterns = append(o.redactor.patterns, re) }
}

// Replace replaces volatile by stable in URLs, header fields and bodies, before they are recorded and before they are matched.
// Use it for a text that differs in each run, such as the address of a server that the test starts. If volatile is empty,
// Replace does nothing.
func Replace(volatile, stable string) Option {
	return func(o *options) {
		if volatile != "" {
			o.redactor.replaced = append(o.redactor.replaced, [2]string{volatile, stable})
		}
	}
}

// OmitHeader leaves response header fields out of recordings, and so out of replays. Use it for fields that change each
// time and that no test needs, such as Date or X-Request-Id.
func OmitHeader(names ...string) Option {
	return func(o *options) { o.omittedFields = append(o.omittedFields, names...) }
}

// A mode selects the requests that are recorded.
type mode int

const (
	replayOnly mode = iota
	recordMissing
	recordAll
)

// selectingFields select a part of a response, or a 304. They are always recorded and matched.
var selectingFields = []string{
	"Host", // present only if it is not the URL's host
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range",
}
