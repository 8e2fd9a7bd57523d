package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// formatSize formats a number of bytes for people.
func formatSize(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// shortDuration formats a duration in at most four columns, not counting a sign: 45s, 12m, 3h, 20d, 7y.
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d <= -time.Second {
		return "-" + shortDuration(-d)
	}
	switch {
	case d >= rules.Infinite:
		return "ever"
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 1000*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// longDuration formats a duration for people, in whole seconds: "2 days 3h", "1h30m", "45s".
func longDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = d.Truncate(time.Second); {
	case d >= rules.Infinite:
		return "ever"
	case d >= 2*day:
		s := fmt.Sprintf("%d days", d/day)
		if h := d % day / time.Hour; h > 0 {
			s += fmt.Sprintf(" %dh", h)
		}
		return s
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// elapsed formats a short duration: "850 us", "12.3 ms", "1.25 s".
func elapsed(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// plural formats a number with the noun in its singular or plural form.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// shorten cuts s to width characters. A negative width means no limit.
func shorten(s string, width int) string {
	if width < 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	if width <= 3 {
		return string(r[:width])
	}
	return string(r[:width-3]) + "..."
}

// quoted quotes an argument for a shell.
func quoted(s string) string {
	if s = printable(s); s != "" && !strings.ContainsAny(s, " !\"#$&'()*;<>?[]`{|}") {
		return s
	}
	return `"` + strings.NewReplacer(`"`, `\"`, "$", `\$`, "`", "\\`").Replace(s) + `"`
}

// seconds is a duration that is written in JSON as a number of seconds.
type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

func (s seconds) String() string { return longDuration(time.Duration(s)) }

// labeled is a text with a column of labels.
type labeled struct {
	strings.Builder
	width int // of the lines; 0 means no limit
}

// labelWidth is the width of the column of labels, with the space after it.
const labelWidth = 13

// add adds a text with a label, and the lines of more that are not empty below the text.
func (l *labeled) add(label, text string, more ...string) {
	for i, line := range append([]string{text}, more...) {
		if line == "" && i > 0 {
			continue
		}
		for _, part := range wrap(printableField(line), max(0, l.width-labelWidth)) {
			fmt.Fprintf(l, "%-*s %s\n", labelWidth-1, label, part)
			label = ""
		}
	}
}

// fieldLines returns the lines of h, sorted by name.
func fieldLines(h http.Header) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			lines = append(lines, name+": "+value)
		}
	}
	return lines
}
