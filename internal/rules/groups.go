package rules

import (
	"net/http"

	"github.com/dunglas/httpsfv"
)

const (
	// MaxGroups is the number of groups that a response may be in, or invalidate. RFC 9875, sections 2 and 3, requires 32.
	MaxGroups = 128

	// maxGroupsBytes is the length of the longest Cache-Groups or Cache-Group-Invalidation that is parsed.
	maxGroupsBytes = 64 << 10
)

// Groups returns the groups in the Cache-Groups of a response (RFC 9875, section 2). There are none if the field is
// malformed. It reports false if there are more than MaxGroups, or if the field is too long.
func Groups(h http.Header) (groups []string, ok bool) { return parseGroups(h["Cache-Groups"]) }

// InvalidatedGroups returns the groups that a response to a request with this method invalidates (RFC 9875, section 3).
// There are none if the method is safe, or if the field is malformed. It reports false if there are more than MaxGroups, or
// if the field is too long.
func InvalidatedGroups(method string, h http.Header) (groups []string, ok bool) {
	if IsSafe(method) {
		return nil, true
	}
	return parseGroups(h["Cache-Group-Invalidation"])
}

// parseGroups parses a List of Strings. A member of another type makes the field malformed (RFC 9651, section 3).
// Parameters are ignored.
func parseGroups(lines []string) (groups []string, ok bool) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	switch {
	case size == 0:
		return nil, true
	case size > maxGroupsBytes:
		return nil, false
	}
	groups, _ = ListOfStrings(lines)
	return groups, len(groups) <= MaxGroups
}

// ListOfStrings parses a List of Strings without their parameters. It reports whether it is one.
func ListOfStrings(lines []string) (strings []string, ok bool) {
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil, false
	}
	for _, member := range list {
		item, _ := member.(httpsfv.Item)
		s, isString := item.Value.(string)
		if !isString {
			return nil, false
		}
		strings = append(strings, s)
	}
	return strings, true
}
