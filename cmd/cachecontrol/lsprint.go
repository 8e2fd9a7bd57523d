package main

import (
	"bufio"
	"bytes"
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
	text, err := p.text(row)
	if err != nil {
		return err
	}
	return p.printText(text)
}

// printText prints what text has returned for a row.
func (p *listPrinter) printText(text []byte) error {
	if !p.begun && !p.json {
		io.WriteString(p.w, p.line("CODE", "SIZE", "AGE", "LEFT", "FRESH", "VAR", "URL"))
	}
	p.begun = true
	_, err := p.w.Write(text) // or the error of the first line
	return err
}

// text returns a row as it is printed.
func (p *listPrinter) text(row *listItem) ([]byte, error) {
	row.locate()
	if p.json {
		var b bytes.Buffer
		err := writeJSON(&b, row, "")
		return b.Bytes(), err
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
	return []byte(p.line(status, formatSize(row.Size), age, left, fresh, variants, name)), nil
}

func (p *listPrinter) line(status, size, age, left, fresh, variants, name string) string {
	var begin string
	if p.columns >= 0 && p.columns < narrow {
		begin = fmt.Sprintf("%4s %5s %-10s ", status, left, fresh)
	} else {
		begin = fmt.Sprintf("%4s %10s %4s %5s %-10s %4s ", status, size, age, left, fresh, variants)
	}
	if p.columns >= 0 {
		name = shorten(name, max(p.columns-len(begin), 10))
	}
	return begin + name + "\n"
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
