// Package heuristics makes responses fresh that have no explicit freshness.
//
// By default the cache reuses only responses that the origin has declared fresh. A Heuristic
// changes that: it is called for each response before the cache decides whether to store it, and
// may set header fields that make the response fresh (RFC 9111, section 4.2.2). OneDay,
// ExpiresAfter and LastModified correspond to the heuristics of Python's CacheControl. Func
// converts a function to a Heuristic.
//
//	t := &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(24 * time.Hour)}
//
// Take care when overriding what the origin sends: OneDay and ExpiresAfter set Cache-Control to
// public, and so replace a no-store, no-cache or private. LastModified does not change such
// responses; if in doubt, use it. To apply a heuristic to one site only, mount a Transport with it
// on the prefix of that site.
package heuristics

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// A Heuristic makes responses fresh, or fresh for longer. Its methods may be called concurrently
// and must not modify the response.
type Heuristic interface {
	// UpdateHeaders returns the header fields to set before the cache decides whether to store
	// resp. Each replaces all lines of the field. A field without values is removed. If
	// UpdateHeaders returns no fields, resp is not changed.
	UpdateHeaders(resp *http.Response) http.Header

	// Warning returns the value of the Warning field for the change, or "" if none is to be set. It
	// is called only if UpdateHeaders returned fields.
	Warning(resp *http.Response) string
}

// Func returns a Heuristic whose UpdateHeaders calls f. It sets no Warning. The default one of CacheControl says that the
// response is stale, although f has made it fresh.
func Func(f func(*http.Response) http.Header) Heuristic { return function(f) }

type function func(*http.Response) http.Header

func (f function) UpdateHeaders(resp *http.Response) http.Header { return f(resp) }

func (f function) Warning(*http.Response) string { return "" }

const warningStale = `110 - "Response is Stale"`

// Apply sets the fields that h returns for resp in resp.Header and, if there are any, its Warning.
// It returns the names of the fields that it has set. If h is nil, it does nothing.
//
// In a shared cache OneDay, ExpiresAfter and LastModified do not change errors (4xx and 5xx) unless the response has
// public. One client can provoke such errors, for example with a long URL, and if they were fresh the resource would be
// unavailable to all other clients. A Heuristic of another type applies to errors, and so does one returned by
// WithErrors.
func Apply(h Heuristic, resp *http.Response, shared bool) (set []string) {
	if h == nil || resp == nil || shared && sparesErrors(h) && resp.StatusCode >= 400 && !rules.ParseResponse(resp.Header, true).Public {
		return nil
	}
	fields := h.UpdateHeaders(resp)
	if len(fields) == 0 {
		return nil
	}
	warning := h.Warning(resp) // called before the fields are set, with the response as received
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	for name, lines := range fields {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if len(lines) == 0 {
			delete(resp.Header, name)
			continue
		}
		resp.Header[name] = slices.Clone(lines)
		set = append(set, name)
	}
	if warning != "" {
		resp.Header["Warning"] = []string{warning}
		set = append(set, "Warning")
	}
	return set
}

// sparesErrors reports whether h does not apply to errors in a shared cache.
func sparesErrors(h Heuristic) bool {
	switch h.(type) {
	case oneDay, expiresAfter, lastModified:
		return true
	}
	return false
}

// WithErrors returns a Heuristic that is like h, but in a shared cache also applies to errors.
func WithErrors(h Heuristic) Heuristic { return withErrors{h} }

type withErrors struct{ Heuristic }

// OneDay makes a response without Expires fresh for one day from its Date. It sets Cache-Control to
// public, replacing any other value.
//
// If Date is missing or not valid, it uses the time of receipt (RFC 9110, section 6.6.1), whereas
// CacheControl fails.
var OneDay Heuristic = oneDay{}

type oneDay struct{}

func (oneDay) UpdateHeaders(resp *http.Response) http.Header {
	h := header(resp)
	if len(h["Expires"]) > 0 {
		return nil
	}
	return http.Header{
		"Expires":       {format(date(h, time.Now()).AddDate(0, 0, 1))},
		"Cache-Control": {"public"},
	}
}

func (oneDay) Warning(*http.Response) string { return warningStale }

// ExpiresAfter returns a Heuristic that makes every response expire d from now, regardless of its
// Expires and Cache-Control. The response is fresh for less than d if its Age is more than the time
// since its Date, or if its Date is in the future.
func ExpiresAfter(d time.Duration) Heuristic { return expiresAfter(d) }

type expiresAfter time.Duration

func (d expiresAfter) UpdateHeaders(*http.Response) http.Header {
	return http.Header{
		"Expires":       {format(time.Now().Add(time.Duration(d)))},
		"Cache-Control": {"public"},
	}
}

func (d expiresAfter) Warning(*http.Response) string {
	return "110 - Automatically cached for " + words(time.Duration(d)) + ". Response might be stale"
}

// LastModified makes a response fresh for a tenth of the time between its Last-Modified and its Date, but at most
// one day, counted from Date. Browsers use this rule, and RFC 9111, section 4.2.2, suggests it. LastModified does
// not change a response that has Expires, has a Cache-Control other than "public", has no valid Last-Modified, has
// a status that is not cacheable by default, or would already be stale. It adds no Warning.
//
// It differs from the heuristic of CacheControl as follows:
//   - If Date is missing or not valid, the time of receipt is used (RFC 9110, section 6.6.1).
//   - 308 is cacheable by default (RFC 9110, section 15.4.9).
//   - If Cache-Control is "public", it applies to any final status, because public permits a heuristic (RFC 9111,
//     sections 4.2.2 and 5.2.2.9).
//   - "public" may be in upper or lower case, like all directives (RFC 9111, section 5.2).
var LastModified Heuristic = lastModified{}

type lastModified struct{}

func (lastModified) UpdateHeaders(resp *http.Response) http.Header {
	h := header(resp)
	if resp == nil || len(h["Expires"]) > 0 {
		return nil
	}
	cc := h["Cache-Control"]
	public := len(cc) == 1 && strings.EqualFold(cc[0], "public")
	if len(cc) > 0 && !public {
		return nil
	}
	if !rules.HeuristicallyCacheable(resp.StatusCode) && !(public && resp.StatusCode >= 200) {
		return nil
	}
	now := time.Now()
	modified, ok := rules.ParseDate(h.Get("Last-Modified"), now)
	if !ok {
		return nil
	}
	date := date(h, now)
	lifetime := min(date.Sub(modified)/10, 24*time.Hour)
	if lifetime <= max(0, now.Sub(date)) {
		return nil
	}
	return http.Header{"Expires": {format(date.Add(lifetime))}}
}

func (lastModified) Warning(*http.Response) string { return "" }

func header(resp *http.Response) http.Header {
	if resp == nil {
		return nil
	}
	return resp.Header
}

// date returns the Date of the response, or now if it has no valid one.
func date(h http.Header, now time.Time) time.Time {
	if t, ok := rules.ParseDate(h.Get("Date"), now); ok {
		return t
	}
	return now
}

func format(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// words formats a duration like a timedelta in Python, for CacheControl's Warning: "1 day,
// 0:00:00".
func words(d time.Duration) string {
	const day = 24 * time.Hour
	days := d / day
	if d %= day; d < 0 {
		days, d = days-1, d+day
	}
	var s string
	if days != 0 {
		s = fmt.Sprintf("%d day", days)
		if days != 1 && days != -1 {
			s += "s"
		}
		s += ", "
	}
	s += fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if us := d % time.Second / time.Microsecond; us > 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	return s
}
