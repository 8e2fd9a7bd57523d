package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// CacheFor returns middleware that makes a response fresh for d from when it is sent. It sets max-age and, for HTTP/1.0
// caches, Expires. Zero or a negative d means that the response is stale at once. To add other directives, combine
// CacheFor with CacheControl.
//
// CacheFor applies to a response if one of the functions in statuses returns true for its status. If there are none,
// Success is used.
func CacheFor(d time.Duration, statuses ...func(status int) bool) func(http.Handler) http.Handler {
	d = min(max(d, 0), rules.Infinite)
	maxAge := []directive{{"max-age", "max-age=" + strconv.FormatInt(int64(d/time.Second), 10)}}
	return onHeader(anyOf(statuses, Success), func(h http.Header) {
		mergeInto(h, maxAge)
		h["Expires"] = []string{time.Now().Add(d).UTC().Format(http.TimeFormat)}
	})
}

// CacheControl returns middleware that merges directives, written as in the field, into the Cache-Control of responses:
//
//	CacheControl("public, max-age=3600")(handler)
//
// A directive replaces one of the same name set by the handler; public and private replace each other. All other
// directives are kept, so a handler's own no-store still applies. CacheControl panics if a directive is unknown or
// malformed.
//
// It applies to the same responses as CacheFor.
func CacheControl(directives string, statuses ...func(status int) bool) func(http.Handler) http.Handler {
	list := parseDirectives(directives)
	return onHeader(anyOf(statuses, Success), func(h http.Header) {
		if len(list) > 0 {
			mergeInto(h, list)
		}
	})
}

// NoStore returns middleware that forbids caches to store responses. It replaces all caching fields that the handler
// has set, because some caches would obey a max-age that stands next to no-store.
//
// NoStore applies to a response if one of the functions in statuses returns true for its status. If there are none, it
// applies to all responses.
func NoStore(statuses ...func(status int) bool) func(http.Handler) http.Handler {
	return noStore(statuses, map[string]string{"Cache-Control": "no-store"})
}

// NoStoreForOldProxies is like NoStore, but it also sends everything that older caches take for no-store: no-cache,
// must-revalidate, max-age=0, Pragma: no-cache and an Expires in the past.
func NoStoreForOldProxies(statuses ...func(status int) bool) func(http.Handler) http.Handler {
	return noStore(statuses, map[string]string{
		"Cache-Control": "no-store, no-cache, must-revalidate, max-age=0", "Pragma": "no-cache", "Expires": "0",
	})
}

func noStore(statuses []func(status int) bool, fields map[string]string) func(http.Handler) http.Handler {
	return onHeader(anyOf(statuses, Always), func(h http.Header) {
		for _, name := range []string{"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Pragma"} {
			delete(h, name)
		}
		for name, value := range fields {
			h[name] = []string{value}
		}
	})
}

// Success reports whether status is 2xx or 304, which updates an earlier 2xx.
func Success(status int) bool {
	return status >= 200 && status < 300 || status == http.StatusNotModified
}

// SuccessOrRedirect reports whether status is 2xx or 3xx.
func SuccessOrRedirect(status int) bool { return status >= 200 && status < 400 }

// Always returns true for every status.
func Always(status int) bool { return true }

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

// anyOf returns a function that reports whether one of the functions returns true, or preset if there are none.
func anyOf(statuses []func(status int) bool, preset func(int) bool) func(int) bool {
	if len(statuses) == 0 {
		return preset
	}
	statuses = slices.Clone(statuses)
	return func(status int) bool {
		return slices.ContainsFunc(statuses, func(applies func(int) bool) bool { return applies(status) })
	}
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
