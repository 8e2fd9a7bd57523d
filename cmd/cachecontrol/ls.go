package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var lsCommand = command{
	name:  "ls",
	short: "list the entries of a cache directory",
	setup: func(fs *flag.FlagSet) runFunc {
		var l ls
		fs.StringVar(&l.url, "url", "", "")
		fs.Var(&l.match, "match", "")
		fs.BoolVar(&l.fresh, "fresh", false, "")
		fs.BoolVar(&l.stale, "stale", false, "")
		fs.Var(&l.status, "status", "")
		fs.Var(&l.olderThan, "older-than", "")
		fs.Var(&l.sort, "sort", "")
		fs.BoolVar(&l.reverse, "reverse", false, "")
		fs.BoolVar(&l.shared, "shared", false, "")
		fs.BoolVar(&l.json, "json", false, "")
		return l.run
	},
}

type ls struct {
	url                                 string
	match                               regexpFlag
	status                              statusFlag
	olderThan                           ageFlag
	sort                                sortFlag
	fresh, stale, reverse, shared, json bool
}

func (l *ls) run(ctx context.Context, e *env, args []string) error {
	arg, err := onlyDirectory(args, "ls ~/.cache/cachecontrol")
	switch {
	case err != nil:
		return err
	case l.fresh && l.stale:
		return usageErrorf("--fresh and --stale exclude each other", "Omit one of them.")
	case l.sort.name == "none" && l.reverse:
		return usageErrorf("--sort none has no order to reverse", "Omit --reverse.")
	}
	d, err := openDirectory(arg)
	if err != nil {
		return err
	}
	p := &listPrinter{w: bufio.NewWriter(e.stdout), json: l.json, columns: columns(e.stdout)}
	var rows []*listItem
	var notes listNotes
	var bar *progress
	streams := l.sort.name == "none"
	if !streams || !isTerminal(e.stdout) {
		bar = startScan(e)
	}
	now := time.Now()
	err = d.each(ctx, e, bar, func(it *directory.Item) error {
		row := d.list(it, l.shared, now)
		if row == nil || !l.selects(row) {
			return nil
		}
		notes.add(row)
		if !streams {
			rows = append(rows, row)
			return nil
		}
		err := p.print(row)
		if p.columns >= 0 {
			err = cmp.Or(err, p.w.Flush())
		}
		return cannotWrite(err)
	})
	bar.stop()
	l.order(rows)
	for _, row := range rows {
		if ctx.Err() != nil {
			break
		}
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
	}
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

// listNotes counts what is remarkable about a whole list.
type listNotes struct{ python, oneFile, separate int }

func (n *listNotes) add(row *listItem) {
	if row.entryDetails == nil {
		return
	}
	if row.URL == "" {
		n.python++
	}
	switch row.Layout {
	case directory.OneFile.String():
		n.oneFile++
	case directory.SeparateBody.String():
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

// selects reports whether the flags select row.
func (l *ls) selects(row *listItem) bool {
	if l.url == "" && l.match.Regexp == nil && l.status == nil && l.olderThan == 0 && !l.fresh && !l.stale {
		return true
	}
	switch {
	case row.entryDetails == nil:
		return false
	case !strings.Contains(row.URL, l.url), l.match.Regexp != nil && (row.URL == "" || !l.match.MatchString(row.URL)):
		return false
	case l.status != nil && !l.status.has(row.Status), row.Age < seconds(l.olderThan):
		return false
	}
	return !l.fresh && !l.stale || row.Fresh == l.fresh
}

// order sorts the rows. Files that are not entries come last.
func (l *ls) order(rows []*listItem) {
	if l.sort.name == "none" {
		return
	}
	name := func(r *listItem) string { return cmp.Or(r.URL, "\xff"+cmp.Or(r.Path, r.Hash)) }
	slices.SortFunc(rows, func(a, b *listItem) int {
		if (a.entryDetails == nil) != (b.entryDetails == nil) {
			if a.entryDetails == nil {
				return 1
			}
			return -1
		}
		c := 0
		if l.sort.name == "size" {
			c = cmp.Compare(b.Size, a.Size)
		} else if a.entryDetails != nil {
			switch l.sort.name {
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

// sortFlag is the sort key of a list.
type sortFlag struct{ name string }

func (s *sortFlag) String() string { return s.name }

// Set implements flag.Value.
func (s *sortFlag) Set(value string) error {
	switch value {
	case "url", "size", "age", "left", "status", "none":
		s.name = value
		return nil
	}
	return errors.New("want url, size, age, left, status or none")
}
