package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// directive is a member of Cache-Control and its name.
type directive struct{ name, member string }

// MaxAge adds max-age: the response is fresh for d (RFC 9111, section 5.2.2.1). A negative d counts as 0. Like all
// directives here, it is an option for CacheControl and CacheFor.
func MaxAge(d time.Duration) Option { return seconds("max-age", d) }

// SMaxAge adds s-maxage, which replaces max-age in shared caches (RFC 9111, section 5.2.2.10).
func SMaxAge(d time.Duration) Option { return seconds("s-maxage", d) }

// StaleWhileRevalidate adds stale-while-revalidate: for d after it became stale, a cache may use the response while it
// revalidates it (RFC 5861, section 3).
func StaleWhileRevalidate(d time.Duration) Option { return seconds("stale-while-revalidate", d) }

// StaleIfError adds stale-if-error: for d after it became stale, a cache may use the response if the handler fails
// (RFC 5861, section 4).
func StaleIfError(d time.Duration) Option { return seconds("stale-if-error", d) }

// Public adds public: any cache may store the response, even if the request had Authorization (RFC 9111, section
// 5.2.2.9).
func Public() Option { return add("public", "public") }

// Private adds private: shared caches must not store the response, because it is for one user (RFC 9111, section
// 5.2.2.7).
func Private() Option { return add("private", "private") }

// NoCache adds no-cache: a cache must validate the response before each use (RFC 9111, section 5.2.2.4).
func NoCache() Option { return add("no-cache", "no-cache") }

// MustRevalidate adds must-revalidate: a cache must not use the response without validation once it is stale (RFC 9111,
// section 5.2.2.2).
func MustRevalidate() Option { return add("must-revalidate", "must-revalidate") }

// Immutable adds immutable: the response does not change while it is fresh (RFC 8246).
func Immutable() Option { return add("immutable", "immutable") }

func seconds(name string, d time.Duration) Option {
	return add(name, name+"="+deltaSeconds(d))
}

// deltaSeconds formats d as delta-seconds (RFC 9111, section 1.2.2), at least 0 and at most 2^31.
func deltaSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(min(max(d, 0), rules.Infinite)/time.Second), 10)
}

func add(name, member string) Option {
	return func(o *options) { o.directives = mergeDirective(o.directives, directive{name, member}) }
}

// Directives adds directives written as in Cache-Control, such as "public, max-age=60". It panics on an unknown or
// malformed directive, so that typos do not go unnoticed.
func Directives(field string) Option {
	var list []directive
	rules.EachDirective([]string{field}, func(name, member string) {
		if !known(name, member) {
			panic("origin: " + strconv.Quote(member) + " is no directive of Cache-Control in responses")
		}
		list = append(list, directive{name, member})
	})
	return func(o *options) {
		for _, d := range list {
			o.directives = mergeDirective(o.directives, d)
		}
	}
}

// known reports whether a member is a response directive of the IANA registry with a valid argument.
func known(name, member string) bool {
	_, value, hasValue := strings.Cut(member, "=")
	if bare, _, _ := strings.Cut(member, "="); len(bare) != len(name) {
		return false // not a token
	}
	switch name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		n, err := strconv.ParseUint(value, 10, 31)
		return err == nil && strconv.FormatUint(n, 10) == value
	case "no-cache", "private":
		return !hasValue || len(value) > 2 && value[0] == '"' && strings.IndexByte(value[1:], '"') == len(value)-2
	case "public", "no-store", "no-transform", "must-revalidate", "proxy-revalidate", "must-understand", "immutable":
		return !hasValue
	}
	return false
}

// excludes maps a directive to the one that it contradicts and replaces.
var excludes = map[string]string{"public": "private", "private": "public"}

// mergeDirective returns a copy of list with d added. d replaces a directive of the same name and one it contradicts.
func mergeDirective(list []directive, d directive) []directive {
	list = slices.DeleteFunc(slices.Clone(list), func(old directive) bool {
		return old.name == d.name || old.name == excludes[d.name]
	})
	return append(list, d)
}

// mergeInto merges directives into the Cache-Control of a header.
func mergeInto(h http.Header, directives []directive) {
	var list []directive
	rules.EachDirective(h["Cache-Control"], func(name, member string) { list = append(list, directive{name, member}) })
	for _, d := range directives {
		list = mergeDirective(list, d)
	}
	members := make([]string, len(list))
	for i, d := range list {
		members[i] = d.member
	}
	h["Cache-Control"] = []string{strings.Join(members, ", ")}
}
