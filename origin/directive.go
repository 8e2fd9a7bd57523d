package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// directive is a member of Cache-Control and its name.
type directive struct{ name, member string }

// parseDirectives parses directives written as in Cache-Control. It panics on one that is unknown or malformed, so that
// typos do not go unnoticed.
func parseDirectives(field string) (list []directive) {
	rules.EachDirective([]string{field}, func(name, member string) {
		if !known(name, member) {
			panic("origin: " + strconv.Quote(member) + " is no directive of Cache-Control in responses")
		}
		list = mergeDirective(list, directive{name, member})
	})
	return list
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
