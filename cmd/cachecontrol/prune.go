package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
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
    --max-bytes N     how much space on disk the entries may take, each file rounded up to 4 KiB: as 1000, 64K, 10M or
                      2G
    --max-age AGE     for how long an entry may stay without being used, as 90s, 12h, 30d or 2w

At least one of the limits is given.

Exit codes: 0 the entries are within --max-bytes; 1 they are not, because some of them could not be removed; 2 usage;
130 interrupted: what was removed by then is gone.

Examples:
    cachecontrol prune --max-bytes 500M ~/.cache/pip/http-v2
    cachecontrol prune --max-age 30d --max-bytes 2G .web_cache
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var p prune
		fs.Var(&p.maxBytes, "max-bytes", "")
		fs.Var(&p.maxAge, "max-age", "")
		return p.run
	},
}

type prune struct {
	maxBytes sizeFlag
	maxAge   ageFlag
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
	limits := storage.Limits{MaxBytes: int64(p.maxBytes), MaxAge: time.Duration(p.maxAge)}
	n, err := storage.Trim(ctx, d.path, limits, bar.done)
	bar.stop()
	text := fmt.Sprintf("removed %s, %s", plural(int(n.EvictedEntries), "entry", "entries"), size(n.EvictedBytes))
	if n.Orphans > 0 {
		text += fmt.Sprintf(", and %s of what crashes left", plural(int(n.Orphans), "piece", "pieces"))
	}
	if err == nil {
		text += fmt.Sprintf("; left are %s, %s", plural(int(n.Entries), "entry", "entries"), size(n.Bytes))
	}
	if err := e.print(text + "\n"); err != nil {
		return err
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return interrupted
	case err != nil:
		return failed(errors.New(reason(err)), "cannot prune "+printable(d.path), "")
	case limits.MaxBytes > 0 && n.Bytes > limits.MaxBytes:
		return &problem{code: exitFailed, msg: printable(d.path) + " is still over the limit", hint: "Some entries could not be removed, or are in use; see who owns them, or try again."}
	}
	return nil
}

// done notes which part of the work is done.
func (p *progress) done(part float64) {
	if p != nil {
		p.count.Store(int64(part * hashes))
	}
}
