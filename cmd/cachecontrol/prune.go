package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
)

func pruneCommand(fs *flag.FlagSet) runFunc {
	var p prune
	fs.Func("max-bytes", "", setSize(&p.maxBytes))
	fs.Func("max-age", "", setAge(&p.maxAge))
	fs.BoolVar(&p.dryRun, "dry-run", false, "")
	fs.BoolVar(&p.json, "json", false, "")
	return p.run
}

type prune struct {
	maxBytes int64
	maxAge   time.Duration
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
	DryRun    bool   `json:"dry_run"`
	Removed   tally  `json:"removed"`
	Leftovers int64  `json:"leftovers"`      // files left behind by crashes
	Left      *tally `json:"left,omitempty"` // nil if prune was interrupted
}

func (p *pruneSummary) text() string {
	text := "removed "
	if p.DryRun {
		text = "would remove "
	}
	text += entriesAndSize(p.Removed) + " on disk"
	if p.Leftovers > 0 {
		text += fmt.Sprintf(", and %s left behind by crashes", plural(int(p.Leftovers), "file", "files"))
	}
	if p.Left != nil {
		text += "; remaining: " + entriesAndSize(*p.Left)
	}
	return text + "\n"
}

func (p *prune) run(ctx context.Context, e *env, args []string) error {
	if p.maxBytes == 0 && p.maxAge == 0 {
		return usageErrorf("no limit is given", "For example: cachecontrol prune --max-bytes 500M ~/.cache/cachecontrol")
	}
	d, err := openArgument(args)
	if err != nil {
		return err
	}
	bar := newProgress(e, func(p *progress, perSecond float64, width int) string {
		return barLine(p.count.Load(), hashes, timeLeft(hashes-p.count.Load(), perSecond), width)
	})
	limits := cachedir.Limits{MaxBytes: p.maxBytes, MaxAge: p.maxAge}
	var printed error
	if p.dryRun {
		limits.Would = func(it *cachedir.Item) {
			item := &pruneItem{Hash: it.Hash, Path: d.rel(it.Path), Size: it.Size}
			if found, err := it.Inspect(); err == nil && found.Entry != nil {
				item.URL = userinfo.Hide(found.Entry.URL)
			}
			bar.printing(func() { printed = cmp.Or(printed, e.printAs(p.json, item.line, item)) })
		}
	}
	n, err := cachedir.Trim(ctx, d.path, limits, bar.setFraction)
	bar.stop()
	summary := &pruneSummary{DryRun: p.dryRun, Removed: tally{int(n.EvictedEntries), n.EvictedBytes}, Leftovers: n.Orphans}
	if ctx.Err() == nil {
		summary.Left = &tally{int(n.Entries), n.Bytes}
	}
	if err := cmp.Or(printed, e.printAs(p.json, summary.text, map[string]*pruneSummary{"summary": summary})); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return failed(errors.New(reason(err)), "cannot prune all of "+printable(d.path), "Check who owns the files.")
	case limits.MaxBytes > 0 && n.Bytes > limits.MaxBytes:
		return &problem{code: exitFailed, msg: printable(d.path) + " is still over the limit",
			hint: "Some entries are in use or could not be removed. Try again, or check who owns the files."}
	}
	return nil
}

// setFraction records which fraction of the work is done.
func (p *progress) setFraction(part float64) {
	if p != nil {
		p.count.Store(int64(part * hashes))
	}
}
