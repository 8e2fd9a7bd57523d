package origin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// CacheFor returns middleware that makes a response fresh for d from when it is sent. It sets max-age and, for HTTP/1.0
// caches, Expires. A negative d counts as 0. Directives among the options are merged in, as CacheControl does. Unless
// OnlyIf is given, it applies to Success.
//
//	CacheFor(time.Hour, Public())(http.FileServerFS(fsys))
func CacheFor(d time.Duration, opts ...Option) func(http.Handler) http.Handler {
	o := newOptions(opts)
	list := mergeDirective(o.directives, directive{"max-age", "max-age=" + deltaSeconds(d)})
	d = min(max(d, 0), rules.Infinite)
	return onHeader(o.or(Success), func(h http.Header) {
		mergeInto(h, list)
		h["Expires"] = []string{time.Now().Add(d).UTC().Format(http.TimeFormat)}
	})
}

// CacheControl returns middleware that merges directives into the Cache-Control of responses. A directive replaces one
// of the same name set by the handler; public and private replace each other. All other directives are kept, so a
// handler's own no-store still applies. Unless OnlyIf is given, it applies to Success.
//
//	CacheControl(Public(), MaxAge(time.Hour), OnlyIf(SuccessOrRedirect))
func CacheControl(directives ...Option) func(http.Handler) http.Handler {
	o := newOptions(directives)
	if len(o.directives) == 0 {
		return func(h http.Handler) http.Handler { return h }
	}
	return onHeader(o.or(Success), func(h http.Header) { mergeInto(h, o.directives) })
}

// NoStore returns middleware that forbids caches to store responses. It replaces all caching fields that the handler
// has set, because some caches would obey a max-age that stands next to no-store. Unless OnlyIf is given, it applies to
// all statuses.
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

// Vary returns middleware that adds names of request fields to the Vary of responses (RFC 9110, section 12.5.5). The
// names that the handler has set are kept.
func Vary(names ...string) func(http.Handler) http.Handler {
	names = slices.Clone(names)
	return onHeader(Always, func(h http.Header) { addVary(h, names...) })
}

// addVary adds the field names to Vary that it does not hold yet, ignoring case.
func addVary(h http.Header, names ...string) {
	have, star := rules.SelectingFields(h)
	var add []string
	names, _ = rules.SelectingFields(http.Header{"Vary": names})
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

// or returns the function given to OnlyIf, or preset if there is none.
func (o *options) or(preset func(int) bool) func(int) bool {
	if o.onlyIf != nil {
		return o.onlyIf
	}
	return preset
}

// onHeader returns middleware that calls change when a header is sent whose status applies. A change made earlier would
// be lost in part, because http.Error and http.FileServer remove some of these fields.
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
