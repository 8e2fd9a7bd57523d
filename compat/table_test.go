package compat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
)

var write = flag.Bool("write", false, "write the table of clients in docs/compat.md again")

// TestTable compares the table in docs/compat.md with the clients, their versions and their scenarios.
func TestTable(t *testing.T) {
	page := filepath.Join("..", "docs", "compat.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := newTable(t)
	if *write {
		if err := measure.ReplaceIn(page, "clients", want); err != nil {
			t.Error(err)
		}
		return
	}
	if got, err := measure.Block(string(text), "clients"); got != want || err != nil {
		t.Errorf("%s has\n%s%v, want\n%sTo write it: go test ./compat -run TestTable -write", page, got, err, want)
	}
}

// newTable returns a table with a row for each client.
func newTable(t *testing.T) string {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| client | version |")
	for _, s := range scenarios {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(scenarios)) + "\n")
	for _, c := range clients {
		version := "Go's"
		if c.module != "" {
			m := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(c.module) + ` (v\S+)$`).FindSubmatch(mod)
			if m == nil {
				t.Fatalf("go.mod does not require %s", c.module)
			}
			version = string(m[1])
		}
		fmt.Fprintf(&b, "| %s | %s |", c.name, version)
		t.Run(c.name, func(t *testing.T) {
			u := c.start(newEnv(t, false))
			for _, s := range scenarios {
				fmt.Fprintf(&b, " %s |", map[bool]string{true: "yes", false: "—"}[s.applies(u)])
			}
		})
		b.WriteString("\n")
	}
	return b.String()
}

// TestRecipe looks up the code in the table of clients in docs/recipes.md in the tests, in which the cache is e.cache and
// its Base e.wire. Each client has a row.
func TestRecipe(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "recipes.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.WriteString(strings.NewReplacer("e.cache", "cache", "e.wire", "base").Replace(string(text)))
	}
	source := regexp.MustCompile(` +`).ReplaceAllString(code.String(), " ") // gofmt aligns fields
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|]+) \\| (`[^|]+) \\| [^|]*\\|$").FindAllStringSubmatch(string(page), -1) {
		if !slices.ContainsFunc(clients, func(c client) bool { return c.name == row[1] }) {
			continue
		}
		rows = append(rows, row[1])
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			if !strings.Contains(source, span[1]) {
				t.Errorf("docs/recipes.md: %s: no test has %s", row[1], span[1])
			}
		}
	}
	for _, c := range clients {
		if !slices.Contains(rows, c.name) {
			t.Errorf("docs/recipes.md has no row for %s", c.name)
		}
	}
}
