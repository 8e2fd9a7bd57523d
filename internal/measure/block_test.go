package measure

import (
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	const page = "# A\n<!-- begin: a -->\nnew\n<!-- end: a -->\nB\n<!-- begin: b -->\nold\n<!-- end: b -->\nC\n"
	got, err := Replace(page, "b", "\ntable\n\n")
	if want := strings.Replace(page, "old\n", "\ntable\n\n", 1); got != want || err != nil {
		t.Errorf("Replace = %q, %v, want %q", got, err, want)
	}
	if again, err := Replace(got, "b", "\ntable\n\n"); again != got || err != nil {
		t.Errorf("a second Replace = %q, %v, want %q", again, err, got)
	}
	if text, err := Block(got, "b"); text != "\ntable\n\n" || err != nil {
		t.Errorf("Block = %q, %v, want the text", text, err)
	}
	for _, page := range []string{"", "<!-- begin: a -->\n<!-- end: a -->\n", "<!-- begin: b -->\nno end\n", "<!-- end: b -->\n<!-- begin: b -->\n"} {
		if got, err := Replace(page, "b", "table"); err == nil {
			t.Errorf("Replace(%q) = %q, want an error", page, got)
		}
	}
}
