package rules

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGroups(t *testing.T) {
	numbered := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("%q", fmt.Sprint(i)))
		}
		return strings.Join(names, ",")
	}
	for _, test := range []struct {
		lines []string
		want  []string
		ok    bool
	}{
		{nil, nil, true},
		{[]string{""}, nil, true},
		{[]string{`"a"`, `"b";c, "\"\\"`}, []string{"a", "b", `"\`}, true},
		{[]string{`"a", b`}, nil, true},
		{[]string{`"a"`, `("b")`}, nil, true},
		{[]string{`"a", 1`}, nil, true},
		{[]string{`"a", :YQ==:`}, nil, true},
		{[]string{`"a", ?1`}, nil, true},
		{[]string{`"é"`}, nil, true},
		{[]string{`"a",`}, nil, true},
		{[]string{"a"}, nil, true},
		{[]string{`"` + strings.Repeat("a", maxGroupsBytes) + `"`}, nil, false},
		{[]string{`"` + strings.Repeat("a", maxGroupsBytes-1) + `"`}, nil, false},
		{[]string{`"` + strings.Repeat("a", maxGroupsBytes-2) + `"`}, []string{strings.Repeat("a", maxGroupsBytes-2)}, true},
	} {
		got, ok := Groups(http.Header{"Cache-Groups": test.lines})
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("Groups(%.100q) = %.100q, %v, want %q, %v", test.lines, got, ok, test.want, test.ok)
		}
	}
	for _, n := range []int{32, MaxGroups, MaxGroups + 1} {
		if got, ok := Groups(http.Header{"Cache-Groups": {numbered(n)}}); len(got) != n || ok != (n <= MaxGroups) {
			t.Errorf("%d groups: %d, %v, want %v", n, len(got), ok, n <= MaxGroups)
		}
	}
	h := http.Header{"Cache-Group-Invalidation": {`"a"`}}
	for method, want := range map[string]int{"GET": 0, "HEAD": 0, "OPTIONS": 0, "TRACE": 0, "": 0, "POST": 1, "PUT": 1, "DELETE": 1, "X": 1} {
		if got, ok := InvalidatedGroups(method, h); len(got) != want || !ok {
			t.Errorf("InvalidatedGroups(%q) = %q, %v, want %d", method, got, ok, want)
		}
	}
}

func TestListOfStrings(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  []string
		ok    bool
	}{
		{nil, nil, true},
		{[]string{`"a";b, "c"`, `"d"`}, []string{"a", "c", "d"}, true},
		{[]string{`"a", b`}, nil, false},
		{[]string{`"a", ("b")`}, nil, false},
		{[]string{`"a`}, nil, false},
	} {
		if got, ok := ListOfStrings(tt.lines); ok != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("ListOfStrings(%q) = %q, %t, want %q, %t", tt.lines, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzGroups(f *testing.F) {
	f.Add(`"a", "b";c=1`, `"\""`)
	f.Add(`"a`, ``)
	f.Fuzz(func(t *testing.T, a, b string) {
		got, ok := Groups(http.Header{"Cache-Groups": {a, b}})
		if ok && len(got) > MaxGroups {
			t.Errorf("Groups(%q, %q) = %d groups, want at most %d", a, b, len(got), MaxGroups)
		}
		for _, name := range got {
			if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("Groups(%q, %q) = %q, want only ASCII that can be printed", a, b, got)
			}
		}
	})
}
