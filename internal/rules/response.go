package rules

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/dunglas/httpsfv"
)

// Response holds the directives of a response (RFC 9111, section 5.2.2, RFC 5861 and RFC 8246).
type Response struct {
	NoStore         bool
	NoCache         bool     // no-cache without field names: the response may not be reused without validation
	NoCacheFields   []string // no-cache="a, b": these fields may not be reused without validation
	Private         bool     // private without field names: applies to the whole response
	PrivateFields   []string // private="a, b": applies to these fields
	Public          bool
	MustRevalidate  bool
	ProxyRevalidate bool
	MustUnderstand  bool
	NoTransform     bool
	Immutable       bool

	MaxAge               Delta
	SMaxAge              Delta
	StaleWhileRevalidate Delta
	StaleIfError         Delta

	// Targeted is true if CDN-Cache-Control was used in place of Cache-Control and Expires (RFC
	// 9213).
	Targeted bool

	// These are set only by well-formed directives, because a malformed directive may restrict but
	// not permit.
	overNoStore bool // must-understand: no-store is ignored
	authorized  bool // public, must-revalidate or s-maxage: RFC 9111, section 3.5
	shareable   bool // public or s-maxage: all users of a shared cache may use the response
}

// ParseResponse parses the directives of a response. They are those of CDN-Cache-Control if shared
// is true and that field is valid and not empty, and those of Cache-Control otherwise.
//
// A lifetime that is invalid, or that is given twice with different values, is 0: such a response
// is stale (RFC 9111, section 4.2.1). A restrictive directive counts even if it is malformed. If
// no-cache or private names a field without which the rest of the response has another meaning, such
// as Content-Encoding, the directive applies to the whole response. A permission after an unclosed
// quote, on the same line or an earlier one, does not count, because it may be part of a quoted string.
func ParseResponse(h http.Header, shared bool) Response {
	var r Response
	r.read(h, shared)
	return r
}

func (r *Response) read(h http.Header, shared bool) {
	if shared && h["Cdn-Cache-Control"] != nil {
		if targeted, ok := parseTargeted(h["Cdn-Cache-Control"]); ok {
			*r = targeted
			return
		}
	}
	if lines := h["Cache-Control"]; len(lines) > 0 {
		directives(lines, r.add)
	}
}

func (r *Response) add(d directive) {
	switch d.name {
	case "no-store":
		r.NoStore = true
	case "no-cache":
		d.restrict(&r.NoCache, &r.NoCacheFields)
	case "private":
		d.restrict(&r.Private, &r.PrivateFields)
	case "public":
		r.Public = r.Public || d.flag()
		r.authorized = r.authorized || d.flag()
		r.shareable = r.shareable || d.flag()
	case "must-revalidate":
		r.MustRevalidate = true
		r.authorized = r.authorized || d.flag()
	case "proxy-revalidate":
		r.ProxyRevalidate = true
	case "must-understand":
		r.MustUnderstand = true
		r.overNoStore = r.overNoStore || d.flag()
	case "no-transform":
		r.NoTransform = true
	case "immutable":
		r.Immutable = r.Immutable || !d.bad // any value is ignored (RFC 8246, section 2)
	case "max-age":
		setLifetime(&r.MaxAge, d)
	case "s-maxage":
		setLifetime(&r.SMaxAge, d)
		_, ok := d.seconds()
		r.authorized = r.authorized || ok
		r.shareable = r.shareable || ok
	case "stale-while-revalidate":
		setShortest(&r.StaleWhileRevalidate, d)
	case "stale-if-error":
		setShortest(&r.StaleIfError, d)
	}
}

// parseTargeted parses a CDN-Cache-Control field, a dictionary of structured fields (RFC 9213,
// section 2.1). It reports false if the field does not parse, is empty, or gives a lifetime or a
// permission a value of the wrong type; such a field is ignored. A restrictive directive counts
// whatever its value.
func parseTargeted(lines []string) (Response, bool) {
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return Response{}, false
	}
	r := Response{Targeted: true}
	for _, name := range dict.Names() {
		d := directive{name: name, bad: true}
		member, _ := dict.Get(name)
		if item, ok := member.(httpsfv.Item); ok {
			switch v := item.Value.(type) {
			case bool:
				d.bad = !v || TakesSeconds(name)
			case int64:
				d.bad = !TakesSeconds(name)
				d.value, d.hasValue = strconv.FormatInt(max(v, 0), 10), true
			case string:
				d.bad = !TakesNames(name)
				d.value, d.hasValue = v, true
			case httpsfv.Token:
				d.bad = !TakesNames(name)
				d.value, d.hasValue = string(v), true
			}
		}
		if d.bad && (TakesSeconds(name) || name == "public" || name == "immutable") {
			return Response{}, false
		}
		r.add(d)
	}
	return r, true
}

// TakesSeconds reports whether the value of a response directive is delta-seconds.
func TakesSeconds(name string) bool {
	return slices.Contains([]string{"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"}, name)
}

// TakesNames reports whether the value of a response directive is a list of field names.
func TakesNames(name string) bool { return name == "no-cache" || name == "private" }
