package rules

import (
	"slices"
	"testing"
)

func TestEachDirective(t *testing.T) {
	var got []string
	EachDirective([]string{`Max-Age=60, ,private="a, b"`, "no-store;x, =1"}, func(name, member string) {
		got = append(got, name, member)
	})
	want := []string{"max-age", "Max-Age=60", "private", `private="a, b"`, "no-store", "no-store;x", "", "=1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
