// Package heuristics gives freshness to responses that carry none.
//
// By default the cache reuses only what the origin declared fresh. A Heuristic changes that: it is asked about each
// response before storing is considered, and may set header fields that make the response fresh (RFC 9111, section
// 4.2.2). OneDay, ExpiresAfter and LastModified are those of Python's CacheControl; Func makes one of a function.
//
//	t := &cachecontrol.Transport{Heuristic: heuristics.ExpiresAfter(24 * time.Hour)}
//
// Overriding what an origin says is done with care: OneDay and ExpiresAfter set Cache-Control to public, and so
// replace also a no-store, no-cache or private that was there. LastModified leaves such responses alone, and is the
// one to take when in doubt. To limit a heuristic to one site, mount a Transport with it on that site's prefix.
package heuristics

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// A Heuristic makes responses fresh that are not, or not for as long as the user wants. Its methods are called for
// several responses at the same time; they do not change the response.
type Heuristic interface {
	// UpdateHeaders returns the header fields to set before storing is considered. Each replaces all lines of
	// that field; one without values removes it. With none, the response stays as it came.
	UpdateHeaders(resp *http.Response) http.Header

	// Warning returns the value of the Warning field that tells of the change, or "" for no such field. It
	// counts only where UpdateHeaders returned fields.
	Warning(resp *http.Response) string
}

// Func makes a Heuristic of a function. Its Warning is the one that CacheControl adds by default.
type Func func(*http.Response) http.Header

// UpdateHeaders calls f.
func (f Func) UpdateHeaders(resp *http.Response) http.Header { return f(resp) }

// Warning says that the response is stale.
func (f Func) Warning(*http.Response) string { return warningStale }

const warningStale = `110 - "Response is Stale"`

// Apply sets in resp.Header the fields that h returns for resp, and its Warning if there were any. It returns
// the names of the fields it set. A nil Heuristic changes nothing.
func Apply(h Heuristic, resp *http.Response) (set []string) {
	if h == nil || resp == nil {
		return nil
	}
	fields := h.UpdateHeaders(resp)
	if len(fields) == 0 {
		return nil
	}
	warning := h.Warning(resp) // before the fields are set: it tells of the response as it came
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

// ForSharedCache returns a heuristic as a shared cache asks it. OneDay, ExpiresAfter and LastModified leave errors, 4xx and 5xx,
// alone, unless the response says public: one client can provoke them, by the method or by the length of a URL, and all
// others would be kept from the resource. A Heuristic of your own applies to errors, and so does one from WithErrors.
func ForSharedCache(h Heuristic) Heuristic {
	switch h.(type) {
	case oneDay, expiresAfter, lastModified:
		return withoutErrors{h}
	}
	return h
}

// WithErrors returns a heuristic that does what h does for errors in a shared cache, too.
func WithErrors(h Heuristic) Heuristic { return withErrors{h} }

type withErrors struct{ Heuristic }

type withoutErrors struct{ Heuristic }

func (h withoutErrors) UpdateHeaders(resp *http.Response) http.Header {
	if resp != nil && resp.StatusCode >= 400 && !rfc9111.ParseResponse(resp.Header, true).Public {
		return nil
	}
	return h.Heuristic.UpdateHeaders(resp)
}

// OneDay makes a response without Expires fresh for a day from its Date. It sets Cache-Control to public, whatever was
// there.
//
// Unlike CacheControl, which fails there, it takes the time of receipt for a Date that is missing or not valid (RFC
// 9110, section 6.6.1).
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

// ExpiresAfter makes every response expire d from now, whatever its own Expires and Cache-Control say. It is fresh for less
// where its Age says that it is older than its Date, or its Date is in the future.
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

// LastModified makes a response fresh for a tenth of the time that had passed between its Last-Modified and its
// Date, for a day at most, counted from Date; the rule that browsers use and RFC 9111, section 4.2.2, suggests.
// It leaves a response as it is that has Expires, any Cache-Control but "public", or no valid Last-Modified,
// whose status is not cacheable by default, or which would be stale already. It adds no Warning.
//
// It differs from CacheControl's in this:
//   - for a Date that is missing or not valid the time of receipt is taken (RFC 9110, section 6.6.1);
//   - 308 is cacheable by default (RFC 9110, section 15.4.9);
//   - any final status counts where Cache-Control is "public", which allows a heuristic (RFC 9111, sections 4.2.2
//     and 5.2.2.9);
//   - "public" may be in any case, as directives are (RFC 9111, section 5.2).
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
	if !rfc9111.HeuristicallyCacheable(resp.StatusCode) && !(public && resp.StatusCode >= 200) {
		return nil
	}
	now := time.Now()
	modified, ok := rfc9111.ParseDate(h.Get("Last-Modified"), now)
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

// date returns the response's Date or, without a valid one, now.
func date(h http.Header, now time.Time) time.Time {
	if t, ok := rfc9111.ParseDate(h.Get("Date"), now); ok {
		return t
	}
	return now
}

func format(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// words writes a duration as Python does a timedelta, for CacheControl's Warning: "1 day, 0:00:00".
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
