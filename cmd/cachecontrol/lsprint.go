package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// listPrinter prints rows.
type listPrinter struct {
	w       *bufio.Writer
	json    bool
	columns int // of the terminal; -1 if the output is not a terminal
	begun   bool
}

// narrow is the terminal width below which fewer columns are printed.
const narrow = 70

func (p *listPrinter) print(row *listItem) error {
	located := *row // row is kept without its Path, to save memory
	row = &located
	row.locate()
	if p.json {
		return writeJSON(p.w, row, "")
	}
	if !p.begun {
		p.begun = true
		if err := p.line("CODE", "SIZE", "AGE", "LEFT", "FRESH", "VAR", "URL"); err != nil {
			return err
		}
	}
	status, age, left, fresh, variants := "-", shortDuration(time.Duration(row.changed)), "-", row.State, ""
	name := row.Path
	if d := row.entryDetails; d != nil {
		status = strconv.Itoa(d.Status)
		name = cmp.Or(row.URL, row.Hash)
		if d.Received.IsZero() {
			age = "?" // Python's entry has no Date
		} else {
			age, left = shortDuration(time.Duration(d.Age)), shortDuration(time.Duration(d.Left))
			if time.Duration(d.Lifetime) >= rules.Infinite {
				left = "ever"
			}
		}
		if row.State == "sound" {
			fresh = freshness(time.Duration(d.Left), time.Duration(d.Lifetime))
		}
		switch {
		case d.Role == variant:
			variants = "var"
		case d.Role == part:
			variants = "part"
		case d.Role == severally:
			variants = "urls"
		case d.Variants > 0:
			variants = "+" + strconv.Itoa(d.Variants)
		}
	}
	name = printable(name)
	if row.Problem != "" {
		name += " (" + printable(row.Problem) + ")"
	}
	return p.line(status, formatSize(row.Size), age, left, fresh, variants, name)
}

func (p *listPrinter) line(status, size, age, left, fresh, variants, name string) error {
	var begin string
	if p.columns >= 0 && p.columns < narrow {
		begin = fmt.Sprintf("%4s %5s %-10s ", status, left, fresh)
	} else {
		begin = fmt.Sprintf("%4s %10s %4s %5s %-10s %4s ", status, size, age, left, fresh, variants)
	}
	if p.columns >= 0 {
		name = shorten(name, max(p.columns-len(begin), 10))
	}
	_, err := io.WriteString(p.w, begin+name+"\n")
	return err
}

// freshness draws a bar with the part of the freshness lifetime that is left.
func freshness(left, lifetime time.Duration) string {
	switch {
	case lifetime >= rules.Infinite:
		return "for ever"
	case left <= 0:
		return "stale"
	}
	const room = 8
	return bar(int64(min(left+lifetime/(2*room), lifetime)), int64(lifetime), room)
}
