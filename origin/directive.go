package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
)

// directive is a member of Cache-Control, by its name.
type directive struct{ name, member string }

// MaxAge is for CacheControl and CacheFor: fresh for d in every cache (RFC 9111, section 5.2.2.1). Below 0 is 0.
func MaxAge(d time.Duration) Option { return seconds("max-age", d) }

// SMaxAge is MaxAge for shared caches alone (RFC 9111, section 5.2.2.10).
func SMaxAge(d time.Duration) Option { return seconds("s-maxage", d) }

// StaleWhileRevalidate lets caches use a stale response for d while they ask for a new one (RFC 5861, section 3).
func StaleWhileRevalidate(d time.Duration) Option { return seconds("stale-while-revalidate", d) }

// StaleIfError lets caches use a stale response for d while the handler fails (RFC 5861, section 4).
func StaleIfError(d time.Duration) Option { return seconds("stale-if-error", d) }

// Public lets shared caches store what they otherwise would not (RFC 9111, section 5.2.2.9).
func Public() Option { return add("public", "public") }

// Private keeps the response out of shared caches: it is for one user (RFC 9111, section 5.2.2.7).
func Private() Option { return add("private", "private") }

// NoCache has every use of the response validated (RFC 9111, section 5.2.2.4).
func NoCache() Option { return add("no-cache", "no-cache") }

// MustRevalidate forbids every use of the response once it is stale (RFC 9111, section 5.2.2.2).
func MustRevalidate() Option { return add("must-revalidate", "must-revalidate") }

// Immutable says that the response does not change while it is fresh (RFC 8246).
func Immutable() Option { return add("immutable", "immutable") }

func seconds(name string, d time.Duration) Option {
	return add(name, name+"="+deltaSeconds(d))
}

// deltaSeconds is RFC 9111, section 1.2.2: no less than 0, no more than 2^31.
func deltaSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(min(max(d, 0), rfc9111.Infinite)/time.Second), 10)
}

func add(name, member string) Option {
	return func(o *options) { o.directives = mergeDirective(o.directives, directive{name, member}) }
}

// Directives is for CacheControl and CacheFor: directives as Cache-Control has them, "public, max-age=60". It panics
// where one is unknown or not well formed, for a typing error would otherwise be noticed by nobody.
func Directives(field string) Option {
	var list []directive
	rfc9111.EachDirective([]string{field}, func(name, member string) {
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

// known says whether a member is a response directive of the IANA registry, with the kind of argument that it takes.
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

// excludes are pairs of directives that contradict each other: the later of them wins.
var excludes = map[string]string{"public": "private", "private": "public"}

// mergeDirective adds a directive to a list in place of the one of its name.
func mergeDirective(list []directive, d directive) []directive {
	list = slices.DeleteFunc(slices.Clone(list), func(old directive) bool {
		return old.name == d.name || old.name == excludes[d.name]
	})
	return append(list, d)
}

// mergeInto merges directives into the Cache-Control of a header.
func mergeInto(h http.Header, directives []directive) {
	var list []directive
	rfc9111.EachDirective(h["Cache-Control"], func(name, member string) { list = append(list, directive{name, member}) })
	for _, d := range directives {
		list = mergeDirective(list, d)
	}
	members := make([]string, len(list))
	for i, d := range list {
		members[i] = d.member
	}
	h["Cache-Control"] = []string{strings.Join(members, ", ")}
}
