package origin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// CacheFor returns middleware that lets caches keep a response for d from when it is sent: max-age and Expires, the
// latter for HTTP/1.0. Below 0 is 0. Directives among the options are merged in, as CacheControl does.
//
//	CacheFor(time.Hour, Public())(http.FileServerFS(fsys))
func CacheFor(d time.Duration, opts ...Option) func(http.Handler) http.Handler {
	o := newOptions(opts)
	list := mergeDirective(o.directives, directive{"max-age", "max-age=" + deltaSeconds(d)})
	d = min(max(d, 0), rfc9111.Infinite)
	return onHeader(o.or(Success), func(h http.Header) {
		mergeInto(h, list)
		h["Expires"] = []string{time.Now().Add(d).UTC().Format(http.TimeFormat)}
	})
}

// CacheControl returns middleware that merges directives into the Cache-Control of responses. A directive takes the
// place of the one of its name, public of private and the other way round; all others of the handler's stay, so a
// handler's own no-store still holds.
//
//	CacheControl(Public(), MaxAge(time.Hour), OnlyIf(SuccessOrRedirect))
func CacheControl(directives ...Option) func(http.Handler) http.Handler {
	o := newOptions(directives)
	if len(o.directives) == 0 {
		return func(h http.Handler) http.Handler { return h }
	}
	return onHeader(o.or(Success), func(h http.Header) { mergeInto(h, o.directives) })
}

// NoStore returns middleware that keeps responses out of all caches. It replaces what the handler says about caching,
// for beside a max-age of the handler's some cache would go by that.
func NoStore(opts ...Option) func(http.Handler) http.Handler {
	o := newOptions(opts)
	return onHeader(o.or(Always), func(h http.Header) {
		for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Pragma"} {
			delete(h, name)
		}
		h["Cache-Control"] = []string{"no-store"}
		if o.legacy {
			h["Cache-Control"] = []string{"no-store, no-cache, must-revalidate, max-age=0"}
			h["Pragma"] = []string{"no-cache"}
			h["Expires"] = []string{"0"}
		}
	})
}

// Vary returns middleware that says which fields of the request select the response (RFC 9110, section 12.5.5),
// beside those that the handler names.
func Vary(names ...string) func(http.Handler) http.Handler {
	names = slices.Clone(names)
	return onHeader(Always, func(h http.Header) { addVary(h, names...) })
}

// addVary adds field names to Vary, if they are not there yet in whatever case.
func addVary(h http.Header, names ...string) {
	have, star := rfc9111.SelectingFields(h)
	var add []string
	names, _ = rfc9111.SelectingFields(http.Header{"Vary": names})
	for _, n := range names {
		same := func(s string) bool { return strings.EqualFold(s, n) }
		if !star && !slices.ContainsFunc(have, same) && !slices.ContainsFunc(add, same) {
			add = append(add, n)
		}
	}
	if len(add) > 0 {
		h["Vary"] = append(slices.Clone(h["Vary"]), strings.Join(add, ", "))
	}
}

// or returns the choice of statuses, or else this one.
func (o *options) or(preset func(int) bool) func(int) bool {
	if o.onlyIf != nil {
		return o.onlyIf
	}
	return preset
}

// onHeader returns middleware that changes the header of responses with some statuses, when it is sent. Before that,
// http.Error and http.FileServer would remove what they know of it, and leave the rest.
func onHeader(applies func(status int) bool, change func(http.Header)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serve(h, newWriter(w, func(h http.Header, status int) {
				if applies(status) {
					change(h)
				}
			}), r)
		})
	}
}
