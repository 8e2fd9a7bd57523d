package rfc9111

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	codeForm    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`) // a token that needs no quotes in Cache-Status
	sectionForm = regexp.MustCompile(`^$|^RFC \d{4}(, sections? \d+(\.\d+)*( (and|to) \d+(\.\d+)*)?)?$`)
)

func TestReasons(t *testing.T) {
	codes, words := map[string]Reason{}, map[string]Reason{}
	for r := ReasonNone + 1; int(r) < len(reasons); r++ {
		if !codeForm.MatchString(r.String()) {
			t.Errorf("%d: code %q", r, r)
		}
		if !sectionForm.MatchString(r.Section()) {
			t.Errorf("%v: section %q", r, r.Section())
		}
		if other, ok := codes[r.String()]; ok {
			t.Errorf("%d and %d are both %q", other, r, r)
		}
		if other, ok := words[r.Words()]; ok || r.Words() == "" {
			t.Errorf("%v and %v are both %q", other, r, r.Words())
		}
		codes[r.String()], words[r.Words()] = r, r
		if got := ParseReason(r.String()); got != r {
			t.Errorf("ParseReason(%q) = %v", r, got)
		}
	}
	if int(BodyNotCacheable) != len(reasons)-1 {
		t.Errorf("%d reasons in the table, the last is %d", len(reasons), BodyNotCacheable)
	}
	for _, r := range []Reason{ReasonNone, Reason(len(reasons)), 255} {
		if r.String() != "" || r.Section() != "" || r.Words() != "" {
			t.Errorf("%d: %q, %q, %q", uint8(r), r.String(), r.Section(), r.Words())
		}
	}
	for _, code := range []string{"", "x", "Fresh"} {
		if r := ParseReason(code); r != ReasonNone {
			t.Errorf("ParseReason(%q) = %v", code, r)
		}
	}
}

func TestReasonText(t *testing.T) {
	for r := ReasonNone; int(r) < len(reasons); r++ {
		text, err := r.MarshalText()
		got := Reason(255)
		if err2 := got.UnmarshalText(text); err != nil || err2 != nil || got != r {
			t.Errorf("%d is %q (%v), which is %d (%v)", uint8(r), text, err, uint8(got), err2)
		}
	}
	r := Fresh
	if err := r.UnmarshalText([]byte("")); err != nil || r != ReasonNone {
		t.Errorf(`UnmarshalText("") = %v, and the reason is %q, want none`, err, r)
	}
	if err := r.UnmarshalText([]byte("no-such-reason")); err == nil || r != ReasonNone {
		t.Errorf(`UnmarshalText("no-such-reason") = %v, and the reason is %q, want an error and none`, err, r)
	}
}

// TestReasonsDocumented: docs/rules.md shows every reason as it is.
func TestReasonsDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for r := Reason(1); int(r) < len(reasons); r++ {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", r, r.Words(), r.Section())
		if !strings.Contains(strings.ReplaceAll(page, " |  |", " | |"), strings.ReplaceAll(row, " |  |", " | |")) {
			t.Errorf("no row %s", row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(page, -1) {
		if ParseReason(m[1]) == ReasonNone {
			t.Errorf("a row for %q, which is no reason", m[1])
		}
	}
}
