package credential

import (
	"net/http"
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	if !slices.IsSorted(names) {
		t.Errorf("the names are not sorted: %q", names)
	}
	for _, name := range names {
		if c := http.CanonicalHeaderKey(name); c != name {
			t.Errorf("%q is in the list, its canonical form is %q", name, c)
		}
	}
}

func TestIsField(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "COOKIE": true, "x-api-key": true, "Proxy-Authorization": true,
		"Accept": false, "": false, "User-Agent": false, "X-Api-Version": false,
	} {
		if got := IsField(name); got != want {
			t.Errorf("IsField(%q) = %t, want %t", name, got, want)
		}
	}
}
