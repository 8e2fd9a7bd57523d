package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/measure"
)

// A chart is a picture of a table of the page: bars in rows and columns, all with one scale.
type chart struct {
	file    string // name, in the directory of the page
	title   string
	about   string // how to read it
	log     bool   // the scale is logarithmic
	least   float64
	ticks   []tick
	columns []string
	groups  func(t table) ([]barGroup, error)
	block   string // the block with the table
}

type tick struct {
	value float64
	label string
}

// A barGroup is a heading, which may be empty, and rows with a bar in each column.
type barGroup struct {
	name string
	rows []barRow
}

type barRow struct {
	name, class string
	cells       []string // as in the table
}

var sizeColumns = []string{"1 KiB", "64 KiB", "1 MiB"}

var charts = []chart{
	{
		file: "benchmarks-hits.svg", block: "cases", title: "Time of a hit, by the length of the body",
		about: "Shorter is better. The scale is logarithmic. The floor clones a header and wraps the stored bytes.",
		log:   true, least: 100, ticks: []tick{{100, "100 ns"}, {1e3, "1 us"}, {1e4, "10 us"}, {1e5, "100 us"}},
		columns: sizeColumns, groups: func(t table) ([]barGroup, error) { return t.hits("time") },
	},
	{
		file: "benchmarks-memory.svg", block: "cases", title: "Bytes that a hit allocates, by the length of the body",
		about: "Shorter is better. The scale is logarithmic.",
		log:   true, least: 100, ticks: []tick{{100, "100 B"}, {1e3, "1 kB"}, {1e4, "10 kB"}, {1e5, "100 kB"}, {1e6, "1 MB"}},
		columns: sizeColumns, groups: func(t table) ([]barGroup, error) { return t.hits("bytes") },
	},
	{
		file: "benchmarks-hitratio.svg", block: "hitratio", title: "Hit ratio of a bounded cache, by its size",
		about: "Longer is better. The cache has room for 1 %, 5 % or 20 % of all pages.",
		ticks: []tick{{0, "0 %"}, {20, "20 %"}, {40, "40 %"}, {60, "60 %"}}, columns: []string{"1 %", "5 %", "20 %"}, groups: table.hitRatios,
	},
}

// hits returns the hits of the cases, by subject and size.
func (t table) hits(column string) ([]barGroup, error) {
	var g barGroup
	for _, subject := range []struct{ name, shown, class string }{
		{"floor", "floor", "none"}, {memory.name, "DictCache", "a"}, {file.name, "FileCache", "b"}, {separate.name, "SeparateBodyFileCache", "c"},
		{gregjonesMemory.name, "gregjones, memory", "d"}, {gregjonesDisk.name, "gregjones, disk", "e"},
	} {
		row := barRow{name: subject.shown, class: subject.class}
		for _, size := range sizes {
			cell, err := t.cell("hit/"+size.name+"/"+subject.name, column)
			if err != nil {
				return nil, err
			}
			row.cells = append(row.cells, cell)
		}
		g.rows = append(g.rows, row)
	}
	return []barGroup{g}, nil
}

// cell returns a cell of the row with this name.
func (t table) cell(name, column string) (string, error) {
	for _, row := range t {
		for i, head := range t[0] {
			if head == column && row[0] == name {
				return row[i], nil
			}
		}
	}
	return "", fmt.Errorf("the table has no %s of %s", column, name)
}

// hitRatios returns the hit ratios by requests and cache. The rows of the table differ in the size of the cache.
func (t table) hitRatios() ([]barGroup, error) {
	var groups []barGroup
	for _, row := range t[1:] {
		if len(groups) == 0 || groups[len(groups)-1].name != row[0] {
			groups = append(groups, barGroup{row[0], []barRow{{name: t[0][2], class: "a"}, {name: t[0][3], class: "d"}, {name: t[0][4], class: "none"}}})
		}
		for i := range groups[len(groups)-1].rows {
			cells := &groups[len(groups)-1].rows[i].cells
			*cells = append(*cells, row[2+i])
		}
	}
	return groups, nil
}

// drawCharts draws the charts of a page from its tables, and writes them to its directory.
func drawCharts(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	for _, c := range charts {
		svg, err := c.draw(string(text))
		if err == nil {
			err = os.WriteFile(filepath.Join(filepath.Dir(page), c.file), []byte(svg), 0o644)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}

// readTable returns the table in a block of a page.
func readTable(page, block string) (table, error) {
	text, err := measure.Block(page, block)
	if err != nil {
		return nil, err
	}
	var t table
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " *")
		}
		t = append(t, cells)
	}
	if len(t) < 2 {
		return nil, errors.New("there is no table in the block " + block)
	}
	return t, nil
}

// units are the units of the tables.
var units = map[string]float64{"": 1, "%": 1, "ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}

// figureIn returns the number in a cell, with its unit.
func figureIn(cell string) (float64, error) {
	number, unit, _ := strings.Cut(cell, " ")
	factor, ok := units[unit]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok {
		return 0, fmt.Errorf("%q is not a figure", cell)
	}
	return v * factor, nil
}

// The layout of a chart, in pixels.
const (
	chartWidth  = 840
	labelWidth  = 172 // of the names of rows
	figureWidth = 58  // right of a bar
	rowHeight   = 20
	barHeight   = 12
	headHeight  = 86
	groupHeight = 26 // of the heading of a group
)

// style contains the colours for a light and a dark background. The background is drawn, because a page may be dark while the system is
// light.
const style = `text{font:12px system-ui,sans-serif;fill:#1f2328;stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}.t{font-size:16px;font-weight:600}.m{fill:#59636e}.g{font-weight:600}` +
	`.bg{fill:#fff}line{stroke:#d1d9e0}.none{fill:#818b98}.a{fill:#0969da}.b{fill:#1a7f37}.c{fill:#8250df}.d{fill:#bc4c00}.e{fill:#cf222e}` +
	`@media(prefers-color-scheme:dark){text{fill:#f0f6fc;stroke:#0d1117}.m{fill:#9198a1}.bg{fill:#0d1117}line{stroke:#3d444d}` +
	`.none{fill:#8b949e}.a{fill:#4493f8}.b{fill:#3fb950}.c{fill:#ab7df8}.d{fill:#f0883e}.e{fill:#f85149}}`

// draw returns the chart of a page as SVG.
func (c *chart) draw(page string) (string, error) {
	t, err := readTable(page, c.block)
	if err != nil {
		return "", err
	}
	groups, err := c.groups(t)
	if err != nil {
		return "", err
	}
	scale, err := c.scale(groups)
	if err != nil {
		return "", err
	}
	height := headHeight + 8
	for _, g := range groups {
		height += c.heightOf(g)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="title desc">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n<style>%s</style>\n", escaped(c.title), escaped(c.about+" "+described(c.columns, groups)), style)
	fmt.Fprintf(&b, "<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n", chartWidth, height)
	drawText(&b, "t", 12, 24, "start", c.title)
	drawText(&b, "m", 12, 42, "start", c.about)
	c.drawColumns(&b, scale, height)
	y := headHeight
	for _, g := range groups {
		c.drawGroup(&b, g, y, scale)
		y += c.heightOf(g)
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}

func (c *chart) heightOf(g barGroup) int {
	height := len(g.rows) * rowHeight
	if g.name != "" {
		height += groupHeight
	}
	return height
}

// scale returns a function from a figure to the length of its bar.
func (c *chart) scale(groups []barGroup) (func(float64) float64, error) {
	position := func(v float64) float64 { return v }
	if c.log {
		position = func(v float64) float64 { return math.Log(max(v, c.least) / c.least) }
	}
	greatest := 0.0
	for _, g := range groups {
		for _, row := range g.rows {
			if len(row.cells) != len(c.columns) {
				return nil, fmt.Errorf("%s has %d figures, not %d", row.name, len(row.cells), len(c.columns))
			}
			for _, cell := range row.cells {
				v, err := figureIn(cell)
				if err != nil {
					return nil, err
				}
				greatest = max(greatest, position(v))
			}
		}
	}
	return func(v float64) float64 { return position(v) / greatest * (c.columnWidth() - figureWidth) }, nil
}

func (c *chart) columnWidth() float64 {
	return float64(chartWidth-labelWidth-12) / float64(len(c.columns))
}

// left returns where the bars of a column begin.
func (c *chart) left(column int) float64 { return labelWidth + float64(column)*c.columnWidth() }

func (c *chart) drawColumns(b *strings.Builder, scale func(float64) float64, height int) {
	for i, name := range c.columns {
		drawText(b, "g", c.left(i), 60, "start", name)
		for j, t := range c.ticks {
			x := c.left(i) + scale(t.value)
			if x > c.left(i)+c.columnWidth()-figureWidth {
				break
			}
			fmt.Fprintf(b, "<line x1=\"%.1f\" x2=\"%[1]f\" y1=\"%d\" y2=\"%d\"/>\n", x, headHeight-4, height-6)
			if len(c.ticks) < 5 || j%2 == 0 {
				drawText(b, "m", x, headHeight-7, "middle", t.label)
			}
		}
	}
}

func (c *chart) drawGroup(b *strings.Builder, g barGroup, y int, scale func(float64) float64) {
	if g.name != "" {
		drawText(b, "g", 12, float64(y+groupHeight-7), "start", g.name)
		y += groupHeight
	}
	for i, row := range g.rows {
		top := y + i*rowHeight + (rowHeight-barHeight)/2
		base := float64(top + barHeight - 2)
		drawText(b, "", labelWidth-10, base, "end", row.name)
		for column, cell := range row.cells {
			v, _ := figureIn(cell) // scale has checked it
			length := max(1, scale(v))
			fmt.Fprintf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", row.class, c.left(column), top, length, barHeight)
			drawText(b, "", c.left(column)+length+5, base, "start", cell)
		}
	}
}

func drawText(b *strings.Builder, class string, x, y float64, anchor, text string) {
	attributes := ""
	if class != "" {
		attributes += fmt.Sprintf(" class=%q", class)
	}
	if anchor != "start" {
		attributes += fmt.Sprintf(" text-anchor=%q", anchor)
	}
	fmt.Fprintf(b, "<text%s x=\"%.1f\" y=\"%.1f\">%s</text>\n", attributes, x, y, escaped(text))
}

// described returns the figures as a text.
func described(columns []string, groups []barGroup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The figures are for %s.", strings.Join(columns, ", "))
	for _, g := range groups {
		for _, row := range g.rows {
			fmt.Fprintf(&b, " %s: %s.", strings.TrimPrefix(g.name+", "+row.name, ", "), strings.Join(row.cells, ", "))
		}
	}
	return b.String()
}

func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
