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
	mode          mode
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

// Base makes the requests that are recorded, or that PassThrough lets through. Nil, or without it:
// http.DefaultTransport.
func Base(rt http.RoundTripper) Option {
	return func(o *options) { o.base = cmp.Or(rt, http.DefaultTransport) }
}

// PassThrough lets the requests for which pass reports true go to Base as they are, in every mode. Nothing of them is
// recorded. It is for servers that the test starts itself.
func PassThrough(pass func(*http.Request) bool) Option {
	return func(o *options) { o.passThrough = pass }
}

// Record has this test record all its requests anew, as CACHECONTROL_RECORD=1 does. It is for the moment, or for a
// flag of the test's own: where CI is set in the environment, it fails the test.
func Record() Option {
	return func(o *options) { o.mode = recordAll }
}

// RecordMissing has this test record the requests of which there is no recording, as CACHECONTROL_RECORD=missing does.
// Where CI is set in the environment, it fails the test.
func RecordMissing() Option {
	return func(o *options) { o.mode = recordMissing }
}

// RecordErrors records the errors of Base too, and those in the middle of a body, and replays them. Without it they
// fail the test that records, and none of its recordings is changed.
func RecordErrors() Option {
	return func(o *options) { o.recordErrors = true }
}

// MatchHeader makes header fields of the request part of what must match. They are recorded, and compared line by
// line. Range and the conditional fields (If-None-Match and its like) always are.
func MatchHeader(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.matchHeaders = append(o.matchHeaders, textproto.CanonicalMIMEHeaderKey(name))
		}
		slices.Sort(o.matchHeaders)
		o.matchHeaders = slices.Compact(o.matchHeaders)
	}
}

// MatchFunc decides whether a recording is one of req, in place of all other rules. It returns nil if so, otherwise how
// they differ, for the message about the nearest one. Both requests are as they are on disk: redacted, and
// with the header fields that are recorded. Their bodies can be read.
func MatchFunc(match func(req, recorded *http.Request) error) Option {
	return func(o *options) { o.matchFunc = match }
}

// IgnoreBody leaves the request's body out of what must match. It is recorded all the same.
func IgnoreBody() Option {
	return func(o *options) { o.ignoreBody = true }
}

// Once replays each recording once: a request that is made more often than it was recorded fails the test. Without it
// the last answer is given again, and is recorded only once if it came several times.
func Once() Option {
	return func(o *options) { o.once = true }
}

// RequireAll fails the test if a recording was not used. Without it that is only logged. Nothing is said where the
// test failed or was skipped, nor under -short, -skip, or a -run that selects subtests.
func RequireAll() Option {
	return func(o *options) { o.requireAll = true }
}

// Redact keeps the values of these names from the disk, beside those of the names that always are (see the package's
// documentation): header fields, query parameters, fields of forms and members of JSON, in requests and responses.
// Case, "-" and "_" do not matter in names. A redacted value matches every other.
func Redact(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.redactor.names[looseName(name)] = true
		}
	}
}

// Keep leaves the values of these names as they are, although they are on the list of those that are redacted. Use it if a
// name means something else to an API, so that requests with different values must be told apart. In a call of both,
// Redact wins over an ending that is on the list, and Keep wins over Redact.
func Keep(names ...string) Option {
	return func(o *options) {
		for _, name := range names {
			o.redactor.kept[looseName(name)] = true
		}
	}
}

// RedactPattern keeps from the disk what matches, in URLs, header fields and bodies; or only the first group, if the
// expression has one.
func RedactPattern(re *regexp.Regexp) Option {
	return func(o *options) { o.redactor.patterns = append(o.redactor.patterns, re) }
}

// Replace writes stable for volatile, in URLs, header fields and bodies, on disk and when requests are matched: for
// what is different in each run, such as the address of a server that the test starts. An empty volatile does nothing.
func Replace(volatile, stable string) Option {
	return func(o *options) {
		if volatile != "" {
			o.redactor.replaced = append(o.redactor.replaced, [2]string{volatile, stable})
		}
	}
}

// OmitHeader leaves header fields of responses out of recordings, and so of replays: those that change each time and
// that no test needs, such as Date or X-Request-Id.
func OmitHeader(names ...string) Option {
	return func(o *options) { o.omittedFields = append(o.omittedFields, names...) }
}
