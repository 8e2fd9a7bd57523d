package rules

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	codeForm      = regexp.MustCompile(`^[a-z][a-z0-9-]*$`) // a token that needs no quotes in Cache-Status
	referenceForm = regexp.MustCompile(`^$|^RFC \d{4}(, sections? \d+(\.\d+)*( (and|to) \d+(\.\d+)*)?)?$`)
)

func TestReasons(t *testing.T) {
	descriptions := map[string]Reason{}
	for r := range Reasons() {
		if !codeForm.MatchString(string(r)) {
			t.Errorf("the code is %q, want a token of lower-case letters, digits and hyphens", r)
		}
		if !referenceForm.MatchString(r.Reference()) {
			t.Errorf("%v.Reference() = %q, want a section of an RFC or none", r, r.Reference())
		}
		if other, ok := descriptions[r.Description()]; ok || r.Description() == "" {
			t.Errorf("%v.Description() = %q, want another than that of %q", r, r.Description(), other)
		}
		descriptions[r.Description()] = r
	}
	for _, r := range []Reason{ReasonNone, "x", "Fresh"} {
		if r.Description() != "" || r.Reference() != "" {
			t.Errorf("%q has the description %q and the reference %q, want none", r, r.Description(), r.Reference())
		}
	}
}

// TestReasonsDocumented: docs/rules.md shows every reason as it is.
func TestReasonsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for r := range Reasons() {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", r, r.Description(), r.Reference())
		if !strings.Contains(strings.ReplaceAll(page, " |  |", " | |"), strings.ReplaceAll(row, " |  |", " | |")) {
			t.Errorf("docs/rules.md has no row for %s, want %s", r, row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(page, -1) {
		if Reason(m[1]).Description() == "" {
			t.Errorf("docs/rules.md has a row for %q, want only reasons", m[1])
		}
	}
}
