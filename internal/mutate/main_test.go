package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The list of equivalent mutants has no entry that matches no mutant, because its code has changed.
func TestEquivalent(t *testing.T) {
	reasons, err := equivalent(equivalentText)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, dir := range []string{"internal/rules", "rfc9111", "."} {
		p, err := load(t.Context(), filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		list, err := p.mutants(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			ids[m.id()] = true
		}
	}
	for id := range reasons {
		if !ids[id] {
			t.Errorf("equivalent.txt has a mutant that does not exist (any more):\n%s", id)
		}
	}
}

const code = `package p

func less(a, b int) (r bool, err error) {
	if a < b && a != 7 {
		return true, nil
	}
	a++
	return a == b, err
}
`

func TestCandidates(t *testing.T) {
	list, err := candidates("p.go", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		_, after := m.lines()
		got = append(got, strings.Join(strings.Fields(after), " "))
	}
	slices.Sort(got)
	want := []string{
		"", // the increment, or all of the if statement
		"",
		"a--",
		"if !(a < b && a != 7) {",
		"if a != 7 {",
		"if a < b && a != 7 + 1 {",
		"if a < b && a != 7 - 1 {",
		"if a < b && a == 7 {",
		"if a < b {",
		"if a < b || a != 7 {",
		"if a <= b && a != 7 {",
		"if a >= b && a != 7 {",
		"", "", // the return statements
		"return !(a == b), err",
		"return a != b, err",
		"return a == b, *new(error)",
		"return false, nil",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the mutants are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A test that looks at one result kills some mutants and not others. Those that do not compile are left out, and a mutant that
// does not end is killed.
func TestScore(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program: not with -short")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module p\n\ngo 1.25\n",
		"p.go":   code,
		"p_test.go": `package p

import "testing"

func TestLess(t *testing.T) {
	if ok, _ := less(1, 2); !ok {
		t.Error("less(1, 2) = false, want true")
	}
	if ok, _ := less(9, 9); ok {
		t.Error("less(9, 9) = true, want false")
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	all, err := candidates("p.go", []byte(code))
	if err != nil {
		t.Fatal(err)
	}
	var s score
	if err := s.add(t.Context(), ".", options{n: len(all), seed: rand.Uint64(), slow: least}); err != nil {
		t.Fatal(err)
	}
	if ran := s.killed + s.survived; ran != len(all)-1 { // without the last return, the function does not compile
		t.Errorf("%d of %d mutants ran, want all but one", ran, len(all))
	}
	if s.killed < 5 || s.survived < 3 {
		t.Errorf("%v, want at least 5 killed and 3 survivors", s)
	}
}
