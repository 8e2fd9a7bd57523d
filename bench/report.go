package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spread holds the median, minimum and maximum of several values.
type spread struct{ median, least, greatest float64 }

func newSpread(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratios returns the spread of a ratio over the rounds. Each ratio is taken within a round.
func ratios(rounds []round, of string, to []string) (spread, bool) {
	var values []float64
	for _, r := range rounds {
		v, ok := r.ratio(of, to)
		if !ok {
			return spread{}, false
		}
		values = append(values, v)
	}
	return newSpread(values), len(values) > 0 && len(to) > 0
}

// additions returns the spreads of the time and of the allocations that a case adds to another. Each difference is
// taken within a round.
func additions(rounds []round, of, over string) (time, allocs spread, ok bool) {
	var times, counts []float64
	for _, r := range rounds {
		t, n, ok := r.added(of, over)
		if !ok {
			return spread{}, spread{}, false
		}
		times, counts = append(times, t), append(counts, n)
	}
	if len(times) == 0 {
		return spread{}, spread{}, false
	}
	return newSpread(times), newSpread(counts), true
}

// timeBlocks returns the tables of a run.
func timeBlocks(command string, cases [][]benchCase, rounds []round) blocks {
	limited := table{{"case", "reached", "least", "greatest", "unit", "limit", "met"}}
	for _, l := range limits {
		s, ok := l.reached(rounds)
		if !ok {
			continue
		}
		limited = append(limited, []string{
			l.name, "**" + significant(s.median) + "**", significant(s.least), significant(s.greatest), l.unit,
			bound(l.atLeast, significant(l.bound)), yesNo(l.met(s.median)),
		})
	}
	all := table{{"case", "time", "bytes", "allocations", "ratio", "least", "greatest", "to"}}
	added := table{{"case", "time", "allocations", "time added", "least", "greatest", "allocations added"}}
	for _, group := range cases {
		for _, c := range group {
			row := caseRow(c, rounds)
			if name, ok := strings.CutPrefix(c.name, originPrefix); ok {
				added = append(added, append([]string{name, row[1], row[3]}, additionCells(c, rounds)...))
				continue
			}
			if s, ok := ratios(rounds, c.name, c.against); ok {
				row = append(row, significant(s.median), significant(s.least), significant(s.greatest), strings.Join(c.against, " + "))
			} else {
				row = append(row, "", "", "", "")
			}
			all = append(all, row)
		}
	}
	about := measuredBy(command) + fmt.Sprintf(" %d rounds.", len(rounds))
	return blocks{
		{"limits", about + "\n\n" + limited.String()},
		{"cases", all.String()},
		{"origin", added.String()},
	}
}

// additionCells returns the additions of a case in four cells. The cells are empty if it is compared with nothing.
func additionCells(c benchCase, rounds []round) []string {
	t, allocs, ok := additions(rounds, c.name, c.over)
	if !ok {
		return make([]string, 4)
	}
	return []string{
		"**" + duration(t.median) + "**", duration(t.least), duration(t.greatest), strconv.FormatFloat(allocs.median, 'f', 0, 64),
	}
}

func caseRow(c benchCase, rounds []round) []string {
	var ns, bytes, allocs []float64
	for _, r := range rounds {
		m := r[c.name]
		ns, bytes, allocs = append(ns, m.ns), append(bytes, float64(m.bytes)), append(allocs, float64(m.allocs))
	}
	return []string{
		c.name, duration(newSpread(ns).median),
		strconv.FormatFloat(newSpread(bytes).median, 'f', 0, 64), strconv.FormatFloat(newSpread(allocs).median, 'f', 0, 64),
	}
}

// measuredBy returns a sentence on the date, the command and the machine of a run.
func measuredBy(command string) string {
	return fmt.Sprintf("Made on %s by `%s` in bench/: %s.", time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(command), machine())
}

// machine describes this machine and the versions in use.
func machine() string {
	facts := []string{
		processor(), fmt.Sprintf("%d processors", runtime.NumCPU()),
		runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/gregjones/httpcache", "github.com/maypok86/otter/v2":
				facts = append(facts, strings.TrimPrefix(m.Path, "github.com/")+" "+m.Version)
			}
		}
	}
	return strings.Join(slices.DeleteFunc(facts, func(s string) bool { return s == "" }), ", ")
}

// processor returns the name of the processor on Linux, or "".
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// significant formats a ratio with three significant digits.
func significant(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func duration(ns float64) string {
	switch {
	case ns < 0: // for a difference
		return "-" + duration(-ns)
	case ns >= 1e9:
		return significant(ns/1e9) + " s"
	case ns >= 1e6:
		return significant(ns/1e6) + " ms"
	case ns >= 1e3:
		return significant(ns/1e3) + " us"
	}
	return significant(ns) + " ns"
}

func bound(atLeast bool, value string) string {
	if atLeast {
		return "at least " + value
	}
	return "at most " + value
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

// table holds the rows of a table. The first row is its header.
type table [][]string

// String returns the table in Markdown. Its columns are aligned.
func (t table) String() string {
	if len(t) < 2 {
		return "" // with -only there may be no rows
	}
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for n, row := range t {
		for i, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// blocks are the generated parts of the page, each between two markers.
type blocks []struct{ name, text string }
