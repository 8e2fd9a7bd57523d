package lint

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// A rule finds one kind of mistake.
type rule struct {
	code      string
	level     Level
	field     string // "" if it is about none, or several
	text      string // with "%s" for each detail that check reports
	reference string
	check     func(m *message, report report)
}

// several is the field of a rule about several fields. It reports values with the name of the field in front.
const several = "*"

// report is called for each part of a field that has the mistake.
type report func(value string, details ...any)

// message is a response with what is computed from it once.
type message struct {
	status     int
	header     http.Header
	trailer    http.Header
	method     string
	asked      bool        // the request is known
	request    http.Header // of the request
	url        *url.URL    // of the request, or nil
	received   time.Time   // zero if it is not known
	directives []rules.Directive
	cc         *rules.Response           // the directives of Cache-Control
	targeted   map[string]rules.Response // the directives of targeted fields by name; Targeted is false if the field is not valid
	private    *rules.Policy
	shared     *rules.Policy
	stored     rules.StoreDecision // of a private cache
}

func newMessage(resp *http.Response, received time.Time) *message {
	m := &message{
		status: resp.StatusCode, header: resp.Header, trailer: resp.Trailer, method: http.MethodGet, received: received,
		directives: rules.Directives(beginning(resp.Header["Cache-Control"])), targeted: make(map[string]rules.Response),
	}
	if resp.Request != nil {
		m.asked, m.request, m.url = true, resp.Request.Header, resp.Request.URL
		if resp.Request.Method != "" {
			m.method = resp.Request.Method
		}
	}
	if received.IsZero() {
		received, _ = rules.ParseDate(m.line("Date"), time.Unix(1<<31, 0))
	}
	for _, name := range targetedFields {
		if m.has(name) {
			m.targeted[name] = rules.ParseResponse(http.Header{cdnCacheControl: m.header[name]}, true)
		}
	}
	m.private = rules.NewPolicy(rules.Options{WithholdSetCookie: true}, m.status, m.header, received, received)
	m.shared = rules.NewPolicy(rules.Options{WithholdSetCookie: true, Shared: true}, m.status, m.header, received, received)
	m.cc = m.private.Directives
	m.stored = m.private.Store(rules.Request{}, false)
	return m
}

const cdnCacheControl = "Cdn-Cache-Control"

// targetedFields are the targeted fields that are known: the one of RFC 9213 and those of providers.
var targetedFields = []string{
	cdnCacheControl, "Cloudflare-Cdn-Cache-Control", "Vercel-Cdn-Cache-Control", "Netlify-Cdn-Cache-Control", "Akamai-Cache-Control",
}

// maxExamined is how many bytes of Cache-Control are examined directive by directive.
const maxExamined = 16 << 10

// beginning returns the first lines, up to maxExamined bytes.
func beginning(lines []string) []string {
	size := 0
	for i, line := range lines {
		if size += len(line); size > maxExamined {
			return append(slices.Clone(lines[:i]), line[:maxExamined-(size-len(line))])
		}
	}
	return lines
}

// line returns the first line of a field, or "".
func (m *message) line(name string) string {
	if lines := m.header[name]; len(lines) > 0 {
		return lines[0]
	}
	return ""
}

func (m *message) has(name string) bool { return len(m.header[name]) > 0 }

// value returns the value of a field with all lines.
func (m *message) value(name string) string {
	value, _ := rules.FieldValue(m.header, http.CanonicalHeaderKey(name))
	return value
}

// date returns the date in a field, and whether it is valid.
func (m *message) date(name string) (time.Time, bool) {
	return rules.ParseDate(m.line(name), m.private.Date)
}

// directive returns the first directive with one of the names as it was written, or "".
func (m *message) directive(names ...string) string {
	for _, d := range m.directives {
		if slices.Contains(names, d.Name) {
			return d.Member
		}
	}
	return ""
}

// explicit reports whether the response states that it is fresh for some time.
func (m *message) explicit() bool { return m.private.Explicit() && m.private.Lifetime > 0 }

// isStorable reports whether a cache may store responses to this method.
func (m *message) isStorable() bool { return m.method == http.MethodGet || m.method == rules.QUERY }

// cacheable reports whether a cache may store the response, as far as its method and no-store say.
func (m *message) cacheable() bool { return m.isStorable() && !m.cc.NoStore }

// selects reports whether Vary names a request header field or has a "*".
func (m *message) selects(name string) bool {
	names, star := rules.SelectingFields(m.header)
	return star || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// elapsed returns the time between the Date and the receipt of the response. It is negative if the Date is in the
// future, and ok is false if one of them is not known.
func (m *message) elapsed() (d time.Duration, ok bool) {
	date, ok := m.date("Date")
	if !ok || m.received.IsZero() {
		return 0, false
	}
	return m.received.Sub(date), true
}

// age returns the value of Age, and whether it is valid.
func (m *message) age() (time.Duration, bool) {
	return rules.ParseSeconds(strings.TrimSpace(m.line("Age")))
}

// eachDirective returns a check that reports the directives for which wrong returns true.
func eachDirective(wrong func(d rules.Directive) bool) func(*message, report) {
	return func(m *message, report report) {
		for _, d := range m.directives {
			if wrong(d) {
				report(d.Member)
			}
		}
	}
}

// when returns a check that reports the whole field if wrong returns true.
func when(field string, wrong func(m *message) bool) func(*message, report) {
	return func(m *message, report report) {
		if wrong(m) {
			report(m.value(field))
		}
	}
}

// whenDirective returns a check that reports the first directive with one of the names if wrong returns true.
func whenDirective(wrong func(m *message) bool, names ...string) func(*message, report) {
	return func(m *message, report report) {
		if member := m.directive(names...); member != "" && wrong(m) {
			report(member)
		}
	}
}
