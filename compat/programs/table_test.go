package programs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestTable compares the tests in the table of programs in docs/compat.md with those of this package.
func TestTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compat.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)\\| `(Test\\w+)` \\|$").FindAllSubmatch(page, -1) {
		listed[string(m[1])] = true
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t `).FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
	}
	delete(tests, "TestTable")
	if !maps.Equal(listed, tests) {
		t.Errorf("docs/compat.md lists %q, want %q", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(tests)))
	}
}
