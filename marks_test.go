package cachecontrol_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestCacheGroups has a case for each requirement of RFC 9875. Each case stores "/" and then makes a request.
func TestCacheGroups(t *testing.T) {
	long := strings.Repeat("x", 32)
	var many, manyMore []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprint(i, long)[:32]))
	}
	for i := range 129 {
		manyMore = append(manyMore, fmt.Sprintf("%q", fmt.Sprint(i)))
	}
	all := strings.Join(many, ", ")
	for _, test := range []struct {
		section, name string
		groups        []string // fields of the stored response
		do            string   // the request
		status        int
		response      []string // fields of its response
		invalid       bool     // whether the stored response is validated before it is used again
	}{
		{"2", "32 groups of 32 characters must be supported: the first", []string{all}, "POST /other", 200, []string{many[0]}, true},
		{"2", "the last", []string{all}, "POST /other", 200, []string{many[31]}, true},
		{"2", "on several lines", many, "POST /other", 200, []string{many[31]}, true},
		{"2", "parameters are ignored", []string{`"a";x=1;y`}, "POST /other", 200, []string{`"a"`}, true},
		{"2", "the order is not significant", []string{`"b", "a"`}, "POST /other", 200, []string{`"a", "b"`}, true},
		{"2.1", "the same string", []string{`"a"`}, "POST /other", 200, []string{`"a"`}, true},
		{"2.1", "another string", []string{`"a"`}, "POST /other", 200, []string{`"b"`}, false},
		{"2.1", "compared character by character: case", []string{`"a"`}, "POST /other", 200, []string{`"A"`}, false},
		{"2.1", "space", []string{`"a"`}, "POST /other", 200, []string{`"a "`}, false},
		{"2.1", "escapes are not characters", []string{`"a\"\\"`}, "POST /other", 200, []string{`"a\"\\"`}, true},
		{"2.1", "the empty string", []string{`""`}, "POST /other", 200, []string{`""`}, true},
		{"2.1", "another origin: host", []string{`"a"`}, "POST http://example.org/other", 200, []string{`"a"`}, false},
		{"2.1", "scheme", []string{`"a"`}, "POST https://example.com/other", 200, []string{`"a"`}, false},
		{"2.1", "port", []string{`"a"`}, "POST http://example.com:8080/other", 200, []string{`"a"`}, false},
		{"2.1", "the same origin, with its port", []string{`"a"`}, "POST http://EXAMPLE.com:80/other", 200, []string{`"a"`}, true},
		{"2.2.1", "an invalidation does not cascade to groups of the response", []string{`"a"`}, "POST /other", 200, nil, false},
		{"3", "a safe method: GET", []string{`"a"`}, "/other", 200, []string{`"a"`}, false},
		{"3", "HEAD", []string{`"a"`}, "HEAD /other", 200, []string{`"a"`}, false},
		{"3", "OPTIONS", []string{`"a"`}, "OPTIONS /other", 200, []string{`"a"`}, false},
		{"3", "an unsafe method: PUT", []string{`"a"`}, "PUT /other", 204, []string{`"a"`}, true},
		{"3", "one that is not known", []string{`"a"`}, "FROB /other", 200, []string{`"a"`}, true},
		{"3", "an error", []string{`"a"`}, "POST /other", 500, []string{`"a"`}, true},
		{"3", "one of several groups", []string{`"a", "b"`}, "POST /other", 200, []string{`"x"`, `"b"`}, true},
		{"3", "32 groups of 32 characters must be supported", []string{many[31]}, "POST /other", 200, []string{all}, true},
		{"3", "parameters are ignored", []string{`"a"`}, "POST /other", 200, []string{`"a";x`}, true},
		{"3", "more groups than are read", []string{`"a"`}, "POST /other", 200, manyMore, true},
		{"3", "a longer field than is read", []string{`"a"`}, "POST /other", 200, []string{`"` + strings.Repeat("b", 1<<16) + `"`}, true},
		{"RFC 9651, 4.2", "malformed: no list", []string{`"a"`}, "POST /other", 200, []string{`"a", `}, false},
		{"RFC 9651, 4.2", "malformed: not terminated", []string{`"a"`}, "POST /other", 200, []string{`"a`}, false},
		{"RFC 9651, 3", "a member that is no string", []string{`"a"`}, "POST /other", 200, []string{`"a", b`}, false},
		{"RFC 9651, 3", "an inner list", []string{`"a"`}, "POST /other", 200, []string{`("a")`}, false},
		{"RFC 9651, 3", "of the stored response", []string{`"a", 1`}, "POST /other", 200, []string{`"a"`}, false},
	} {
		t.Run(test.section+"/"+test.name, func(t *testing.T) {
			stored := ok("Cache-Control: max-age=60", `Etag: "1"`)
			for _, g := range test.groups {
				stored.fields = append(stored.fields, "Cache-Groups: "+g)
			}
			other := status(test.status)
			for _, g := range test.response {
				other.fields = append(other.fields, "Cache-Group-Invalidation: "+g)
			}
			after := step{do: "/", want: hit}
			if test.invalid {
				after = step{do: "/", want: revalidated, sent: []string{`If-None-Match: "1"`}}
			}
			outcome := bypass
			if test.do[0] == '/' || strings.HasPrefix(test.do, "HEAD") {
				outcome = miss
			}
			runScenarios(t, []scenario{{
				name:   "",
				origin: []reply{stored, other, status(304)},
				steps:  []step{{do: "/", want: miss}, {do: "/", want: hit}, {do: test.do, want: outcome}, after, {do: "/", want: hit}},
			}})
		})
	}
}
