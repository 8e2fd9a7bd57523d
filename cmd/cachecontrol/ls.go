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
	short: "list a cache directory",
	usage: `Usage:
    cachecontrol ls [flags] DIR

Lists the entries of a cache directory: status, size, age, the freshness that is left, also as a bar, how many variants
the URL has beside the first, and the URL. Entries that Python wrote do not name their URL; they are listed by the hash
of their key. Files that are no entries are listed too, with what they are in place of the bar: body (whose head is
missing), temporary, foreign. Nothing is changed.

` + dirHelp + `
    --url TEXT        only entries whose URL contains TEXT
    --match REGEXP    only entries whose URL matches REGEXP (Go's syntax)
    --fresh           only entries that are fresh
    --stale           only entries that are stale
    --status LIST     only entries with one of these statuses, as 404 or 200,3xx
    --older-than AGE  only entries older than AGE, as 90s, 12h, 30d or 2w
    --sort KEY        url (the default), size (the largest first), age (the oldest first), left (what has least
                      freshness left first), status, or none: as they are found, in fixed memory
    --reverse         the other way round
    --shared          judge as a shared cache; a private one unless given
    --json            print one JSON object a line; sizes are in bytes, times in seconds

On a terminal lines are cut to its width, elsewhere never.

Exit codes: 0 all was listed; 1 something could not be looked at; 2 usage; 130 interrupted.

Examples:
    cachecontrol ls ~/.cache/cachecontrol
    cachecontrol ls --sort size ~/.cache/pip/http-v2
    cachecontrol ls --stale --url example.com --json .web_cache
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
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
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one as ~/.cache/cachecontrol.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "List one directory at a time.")
	case l.fresh && l.stale:
		return usageErrorf("nothing is both fresh and stale", "Leave out --fresh or --stale.")
	case l.sort.name == "none" && l.reverse:
		return usageErrorf("--sort none has no other way round", "Leave out --reverse.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	p := &listPrinter{w: out, json: l.json, columns: columns(e.stdout)}
	var rows []*listItem
	var python, oneFile, separate int
	streams := l.sort.name == "none"
	var bar *progress
	if !streams || !isTerminal(e.stdout) {
		bar = startScan(e)
	}
	now := time.Now()
	err = d.each(ctx, e, bar, func(it *directory.Item) error {
		row := d.list(it, l.shared, now)
		if row == nil || !l.selects(row) {
			return nil
		}
		if row.entryDetails != nil {
			if row.URL == "" {
				python++
			}
			switch row.Layout {
			case directory.OneFile.String():
				oneFile++
			case directory.SeparateBody.String():
				separate++
			}
		}
		if !streams {
			rows = append(rows, row)
			return nil
		}
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
		if p.columns >= 0 {
			return out.Flush()
		}
		return nil
	})
	bar.stop()
	if err != nil && errors.As(err, new(*problem)) && ctx.Err() != nil {
		out.Flush()
		return err
	}
	l.order(rows)
	for _, row := range rows {
		if err := p.print(row); err != nil {
			return cannotWrite(err)
		}
		if ctx.Err() != nil {
			return interrupted
		}
	}
	if err := out.Flush(); err != nil {
		return cannotWrite(err)
	}
	if !l.json {
		l.hints(e, d, python, oneFile, separate)
	}
	return err
}

// hints prints notes about the whole list on stderr.
func (l *ls) hints(e *env, d *cacheDir, python, oneFile, separate int) {
	if python > 0 {
		fmt.Fprintf(e.stderr, "Python notes no URLs: %s by hash. 'cachecontrol show %s URL' finds one by its URL.\n",
			plural(python, "entry is listed", "entries are listed"), quoted(d.path))
	}
	if oneFile > 0 && separate > 0 {
		fmt.Fprintf(e.stderr, "Two kinds of cache have used this directory: %d with one file, %d with a separate body. Each sees only its own.\n",
			oneFile, separate)
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
