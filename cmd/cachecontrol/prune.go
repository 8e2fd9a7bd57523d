package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var pruneCommand = command{
	name:  "prune",
	short: "bring a cache directory within a size or an age",
	usage: `Usage:
    cachecontrol prune [flags] DIR

Removes the entries of a cache directory that were used least recently, until it is within the limits. When an entry
was used is told by the times of its files, to an hour at best; what it says is not read. What crashes left behind goes,
too: temporary files that nobody writes, bodies without heads, locks of entries that are gone. An entry that somebody is
writing stays, and so does every file that is none of the cache's. Programs may use the directory meanwhile.

` + dirHelp + `
    --max-bytes N     how much space on disk the entries may take, each file rounded up to 4 KiB: as 1000, 64K, 10M,
                      2G or 1T
    --max-age AGE     for how long an entry may stay without being used, as 90s, 12h, 30d or 2w
    --dry-run         change nothing; print a line for each entry that would be removed, with its size and its URL, or
                      its hash where it does not say one, and then how much that is on disk
    --json            print one JSON object with the summary, and before it, with --dry-run, one a line for each such
                      entry; sizes are in bytes

At least one of the limits is given.

Exit codes: 0 the entries are within the limits; 1 some could not be looked at or removed; 2 usage; 130 interrupted:
what was removed by then is gone.

Examples:
    cachecontrol prune --max-bytes 500M ~/.cache/pip/http-v2
    cachecontrol prune --max-age 30d --max-bytes 2G .web_cache
    cachecontrol prune --max-age 30d --dry-run .web_cache
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var p prune
		fs.Var(&p.maxBytes, "max-bytes", "")
		fs.Var(&p.maxAge, "max-age", "")
		fs.BoolVar(&p.dryRun, "dry-run", false, "")
		fs.BoolVar(&p.json, "json", false, "")
		return p.run
	},
}

type prune struct {
	maxBytes sizeFlag
	maxAge   ageFlag
	dryRun   bool
	json     bool
}

// pruneItem is an entry that a dry run would remove.
type pruneItem struct {
	Hash string `json:"hash"`
	Path string `json:"path"` // of its metadata file, relative to the directory
	URL  string `json:"url,omitempty"`
	Size int64  `json:"size"`
}

func (d *pruneItem) line() string {
	return fmt.Sprintf("%10s  %s\n", formatSize(d.Size), printable(cmp.Or(d.URL, d.Hash)))
}

// pruneSummary is the summary of prune.
type pruneSummary struct {
	DryRun  bool   `json:"dry_run"`
	Removed tally  `json:"removed"`
	Pieces  int64  `json:"pieces"`         // files left behind by crashes that were removed
	Left    *tally `json:"left,omitempty"` // nil if prune was interrupted
}

func (p *pruneSummary) text() string {
	removed, left := "removed", "left are"
	if p.DryRun {
		removed, left = "would remove", "left would be"
	}
	text := fmt.Sprintf("%s %s, %s", removed, plural(p.Removed.Entries, "entry", "entries"), formatSize(p.Removed.Bytes))
	if p.Pieces > 0 {
		text += fmt.Sprintf(", and %s of what crashes left", plural(int(p.Pieces), "piece", "pieces"))
	}
	if p.Left != nil {
		text += fmt.Sprintf("; %s %s, %s", left, plural(p.Left.Entries, "entry", "entries"), formatSize(p.Left.Bytes))
	}
	return text + "\n"
}

func (p *prune) run(ctx context.Context, e *env, args []string) error {
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", "Write one as ~/.cache/cachecontrol.")
	case len(args) > 1:
		return usageErrorf("unexpected argument %q", args[1], "Prune one directory at a time.")
	case p.maxBytes == 0 && p.maxAge == 0:
		return usageErrorf("no limit is given", "Write one as --max-bytes 500M or --max-age 30d.")
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	bar := newProgress(e, func(p *progress, perSecond float64, width int) string {
		return barLine(p.count.Load(), hashes, timeLeft(hashes-p.count.Load(), perSecond), width)
	})
	limits := directory.Limits{MaxBytes: int64(p.maxBytes), MaxAge: time.Duration(p.maxAge)}
	var printed error
	if p.dryRun {
		limits.Would = func(it *directory.Item) {
			would := &pruneItem{Hash: it.Hash, Path: d.rel(it.Path), Size: it.Size}
			if found, err := it.Inspect(); err == nil && found.Entry != nil {
				would.URL = withoutUserinfo(found.Entry.URL)
			}
			bar.printing(func() { printed = cmp.Or(printed, e.printAs(p.json, would.line, would)) })
		}
	}
	n, err := directory.Trim(ctx, d.path, limits, bar.setFraction)
	bar.stop()
	did := &pruneSummary{DryRun: p.dryRun, Removed: tally{int(n.EvictedEntries), n.EvictedBytes}, Pieces: n.Orphans}
	if ctx.Err() == nil {
		did.Left = &tally{int(n.Entries), n.Bytes}
	}
	if err := cmp.Or(printed, e.printAs(p.json, did.text, map[string]*pruneSummary{"summary": did})); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return failed(errors.New(reason(err)), "cannot prune all of "+printable(d.path), "See who owns the directory.")
	case limits.MaxBytes > 0 && n.Bytes > limits.MaxBytes:
		return &problem{code: exitFailed, msg: printable(d.path) + " is still over the limit", hint: "Some entries could not be removed, or are in use; see who owns them, or try again."}
	}
	return nil
}

// setFraction records which fraction of the work is done.
func (p *progress) setFraction(part float64) {
	if p != nil {
		p.count.Store(int64(part * hashes))
	}
}
