package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const benchmarksPage = "../docs/benchmarks.md"

// TestCharts checks that the charts are those of the tables, and that they are well-formed, small and described.
func TestCharts(t *testing.T) {
	page, err := os.ReadFile(benchmarksPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		got, err := os.ReadFile(filepath.Join(filepath.Dir(benchmarksPage), c.file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := c.draw(string(page))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not the chart of the tables; run: go run . -draw %s", c.file, benchmarksPage)
		}
		if len(want) > 20_000 {
			t.Errorf("%s has %d bytes, want at most 20000", c.file, len(want))
		}
		shown := textsOf(t, want)
		table, err := readTable(string(page), c.block)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := c.groups(table)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, g := range groups {
			for _, row := range g.rows {
				for _, cell := range row.cells {
					if n++; shown["text"][cell] == 0 || !strings.Contains(want[strings.Index(want, "<desc"):strings.Index(want, "</desc>")], cell) {
						t.Errorf("%s: the figure %q of %s is not in a text and in the description", c.file, cell, row.name)
					}
					shown["text"][cell]--
				}
			}
		}
		if n < 15 || shown["title"][c.title] != 1 {
			t.Errorf("%s: %d figures, titles %v", c.file, n, shown["title"])
		}
		for _, need := range []string{`role="img" aria-labelledby="title desc"`, "@media(prefers-color-scheme:dark)"} {
			if !strings.Contains(want, need) {
				t.Errorf("%s: no %q", c.file, need)
			}
		}
		if !strings.Contains(string(page), "]("+c.file+")") {
			t.Errorf("the page does not show %s", c.file)
		}
	}
}

// textsOf counts the texts of a document by element.
func textsOf(t *testing.T, doc string) map[string]map[string]int {
	t.Helper()
	texts := map[string]map[string]int{}
	name := ""
	for d := xml.NewDecoder(strings.NewReader(doc)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, doc)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name = token.Name.Local
		case xml.CharData:
			if texts[name] == nil {
				texts[name] = map[string]int{}
			}
			texts[name][string(token)]++
		}
	}
}

// TestChartProblems checks that a page whose tables are not those of the charts is an error.
func TestChartProblems(t *testing.T) {
	for _, page := range []string{
		"",
		"<!-- begin: cases -->\n<!-- end: cases -->\n",
		"<!-- begin: cases -->\n| case | time | bytes |\n|---|---|---|\n| other | 1 ns | 2 |\n<!-- end: cases -->\n",
	} {
		if svg, err := charts[0].draw(page); err == nil {
			t.Errorf("draw(%q) = %q, want an error", page, svg)
		}
	}
	c := charts[2]
	const page = "<!-- begin: hitratio -->\n| requests | room for | a | b | c |\n|---|---|---|---|---|\n| x | 1 % | %s | 2 %% | 3 %% |\n| x | 5 % | 1 %% | 2 %% | 3 %% |\n| x | 20 % | 1 %% | 2 %% | 3 %% |\n<!-- end: hitratio -->\n"
	if _, err := c.draw(strings.ReplaceAll(strings.Replace(page, "%s", "<b>", 1), "%%", "%")); err == nil || !strings.Contains(err.Error(), "not a figure") {
		t.Errorf("a text instead of a figure: %v, want an error", err)
	}
	svg, err := c.draw(strings.ReplaceAll(strings.ReplaceAll(strings.Replace(page, "%s", "1 %%", 1), "%%", "%"), "| x", "| x & <y>"))
	if err != nil || !strings.Contains(svg, "x &amp; &lt;y&gt;") {
		t.Errorf("a name with markup: %v", err)
	}
	textsOf(t, svg)
}
