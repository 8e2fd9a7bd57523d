package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
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
	var rows []*listItem
	var bar *progress
	if l.sort != "none" || !isTerminal(e.stdout) {
		bar = startScan(e)
	}
	now := time.Now()
	err := d.each(ctx, e, bar, func(it *cachedir.Item) error {
		row := d.list(it, l.shared, now)
		if row == nil || !l.selection.has(row) {
			return nil
		}
		notes.add(row)
		if l.sort != "none" {
			rows = append(rows, row)
			return nil
		}
		err := p.print(row)
		if p.columns >= 0 {
			err = cmp.Or(err, p.w.Flush())
		}
		return cannotWrite(err)
	})
	l.order(rows)
	for _, row := range rows {
		if ctx.Err() != nil {
			return interrupted
		}
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
	}
	return err
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

// order sorts the rows. Files that are not entries come last.
func (l *ls) order(rows []*listItem) {
	name := func(r *listItem) string { return cmp.Or(r.URL, "\xff"+cmp.Or(r.Path, r.Hash)) }
	slices.SortFunc(rows, func(a, b *listItem) int {
		if (a.entryDetails == nil) != (b.entryDetails == nil) {
			if a.entryDetails == nil {
				return 1
			}
			return -1
		}
		c := 0
		if l.sort == "size" {
			c = cmp.Compare(b.Size, a.Size)
		} else if a.entryDetails != nil {
			switch l.sort {
			case "age":
				c = cmp.Compare(b.Age, a.Age)
			case "left":
				c = cmp.Compare(a.Left, b.Left)
			case "status":
				c = cmp.Compare(a.Status, b.Status)
			}
		}
		c = cmp.Or(c, cmp.Compare(name(a), name(b)), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Hash, b.Hash))
		if l.reverse {
			return -c
		}
		return c
	})
}
