package similar

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	words := []string{"get", "explain", "prune", "max-age", "s-maxage", "stale-while-revalidate"}
	for name, want := range map[string]string{
		"get": "get", "gte": "get", "gett": "get", "et": "get", "explian": "explain", "exlpain": "explain", "explains": "explain",
		"max-ag": "max-age", "stale-while-revalidated": "stale-while-revalidate", "stale-whlie-revaldate": "stale-while-revalidate",
		"": "", "x": "", "fetch": "", "max-stale": "", strings.Repeat("g", 41): "",
	} {
		if got := Word(name, words); got != want {
			t.Errorf("Word(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
