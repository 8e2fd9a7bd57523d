package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

func lsCommand(fs *flag.FlagSet) runFunc {
	l := ls{sort: "url"}
	l.selection.flags(fs)
	fs.Func("sort", "", func(value string) error {
		if l.sort = value; !slices.Contains([]string{"url", "size", "age", "left", "status", "none"}, value) {
			return errors.New("must be url, size, age, left, status or none")
		}
		return nil
	})
	fs.BoolVar(&l.reverse, "reverse", false, "")
	fs.BoolVar(&l.shared, "shared", false, "")
	fs.BoolVar(&l.json, "json", false, "")
	return l.run
}

type ls struct {
	selection             selection
	sort                  string
	reverse, shared, json bool
}

func (l *ls) run(ctx context.Context, e *env, args []string) error {
	switch {
	case l.selection.fresh && l.selection.stale:
		return usageErrorf("--fresh and --stale exclude each other", "Omit one of them.")
	case l.sort == "none" && l.reverse:
		return usageErrorf("--sort none has no order to reverse", "Omit --reverse.")
	}
	d, err := openArgument(args)
	if err != nil {
		return err
	}
	var notes listNotes
	p := &listPrinter{w: bufio.NewWriter(e.stdout), json: l.json, columns: columns(e.stdout)}
	err = l.list(ctx, e, d, p, &notes)
	if err := p.w.Flush(); err != nil {
		return cannotWrite(err)
	}
	if ctx.Err() != nil {
		return interrupted
	}
	if !l.json {
		notes.print(e, d)
	}
	return err
}

// list prints the selected rows: with --sort none at once, otherwise after all have been found.
func (l *ls) list(ctx context.Context, e *env, d *cacheDir, p *listPrinter, notes *listNotes) error {
	var bar *progress
	if l.sort != "none" || !isTerminal(e.stdout) {
		bar = startScan(e)
	}
	sorted := &sortedList{by: l.sort, reverse: l.reverse}
	defer sorted.lines.close()
	now := time.Now()
	err := d.each(ctx, e, bar, func(it *cachedir.Item) error {
		row := d.list(it, l.shared, now)
		if row == nil || !l.selection.has(row) {
			return nil
		}
		notes.add(row)
		if l.sort != "none" {
			return sorted.add(p, row)
		}
		err := p.print(row)
		if p.columns >= 0 {
			err = cmp.Or(err, p.w.Flush())
		}
		return cannotWrite(err)
	})
	return cmp.Or(sorted.print(ctx, p), err)
}

// listNotes counts what is remarkable about a whole list.
type listNotes struct{ python, oneFile, separate int }

func (n *listNotes) add(row *listItem) {
	if row.entryDetails == nil {
		return
	}
	if row.URL == "" && row.Role != marksRole {
		n.python++
	}
	switch row.Layout {
	case cachedir.OneFile.String():
		n.oneFile++
	case cachedir.SeparateBody.String():
		n.separate++
	}
}

// print prints the notes on stderr.
func (n *listNotes) print(e *env, d *cacheDir) {
	if n.python > 0 {
		e.report(fmt.Sprintf("%s, because Python does not record URLs. 'cachecontrol show %s URL' finds an entry.",
			plural(n.python, "entry is listed by its hash", "entries are listed by their hashes"), quoted(d.path)))
	}
	if n.oneFile > 0 && n.separate > 0 {
		e.report(fmt.Sprintf("There are entries of both layouts: %d in one file, %d with a separate body. A cache uses only those of its own layout.",
			n.oneFile, n.separate))
	}
}

// sortedList sorts rows. Files that are not entries come last.
type sortedList struct {
	by      string // the value of --sort
	reverse bool
	lines   lineSorter
}

// add adds a row, which p will print.
func (s *sortedList) add(p *listPrinter, row *listItem) error {
	text, err := p.text(row)
	if err == nil {
		err = s.lines.add(s.key(row), text)
	}
	return failed(err, "cannot sort", "With --sort none, entries are printed as they are found.")
}

// print prints all rows.
func (s *sortedList) print(ctx context.Context, p *listPrinter) error {
	return s.lines.each(func(text []byte) error {
		if ctx.Err() != nil {
			return interrupted
		}
		return cannotWrite(p.printText(text))
	})
}

// key returns the key of a row. Rows are in the order of the bytes of their keys.
func (s *sortedList) key(row *listItem) []byte {
	var rank int64
	if s.by == "size" {
		rank = -row.Size
	} else if row.entryDetails != nil {
		switch s.by {
		case "age":
			rank = -int64(row.Age)
		case "left":
			rank = int64(row.Left)
		case "status":
			rank = int64(row.Status)
		}
	}
	kind := byte(0)
	if row.entryDetails == nil {
		kind = 1
	}
	name := cmp.Or(row.URL, "\xff"+cmp.Or(row.Path, row.Hash))
	key := binary.BigEndian.AppendUint64([]byte{kind}, uint64(rank)^1<<63) // so that negative ones come first
	key = append(key, strings.ReplaceAll(name, "\x00", "\x00\xff")...)
	key = append(key, 0, 1) // less than any continuation of the name
	key = append(append(key, byte(row.rank())), row.Hash...)
	if s.reverse {
		for i := range key[1:] {
			key[1+i] ^= 0xff
		}
	}
	return key
}
