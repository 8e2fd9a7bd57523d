package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/internal/userinfo"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func rmCommand(fs *flag.FlagSet) runFunc {
	var r rm
	fs.BoolVar(&r.hash, "hash", false, "")
	fs.BoolVar(&r.dryRun, "dry-run", false, "")
	fs.BoolVar(&r.json, "json", false, "")
	return r.run
}

type rm struct{ hash, dryRun, json bool }

// rmResult is the output of rm for an argument.
type rmResult struct {
	Argument string `json:"argument"`
	DryRun   bool   `json:"dry_run"`
	Removed  tally  `json:"removed"`           // or would be removed
	Problem  string `json:"problem,omitempty"` // the error if not everything was removed
}

func (r *rmResult) line() string {
	text := "removed "
	if r.DryRun {
		text = "would remove "
	}
	return printable(r.Argument) + ": " + text + entriesAndSize(r.Removed) + "\n"
}

func (r *rm) run(ctx context.Context, e *env, args []string) error {
	args, err := withDirectory(args)
	switch {
	case err != nil:
		return err
	case len(args) < 2:
		return usageErrorf("a URL is missing", "For example: cachecontrol rm https://example.com/")
	}
	for _, arg := range args[1:] {
		if r.hash {
			continue
		}
		if !isURL(arg) {
			return usageErrorf("%q has no scheme", shownURL(arg), "For example: https://example.com/, or a hash with --hash")
		}
		if _, err := keysOfURL(arg); err != nil {
			return err
		}
	}
	d, err := openDirectory(args[0])
	if err != nil {
		return err
	}
	var result error
	for _, arg := range args[1:] {
		if ctx.Err() != nil {
			return interrupted
		}
		removed, err := r.remove(ctx, d, arg)
		if err == nil && removed.Entries == 0 {
			removed, err = r.removeWithURL(ctx, e, d, arg)
		}
		if err == nil && removed.Entries == 0 {
			err = nothingStored(args[0], arg)
		}
		out := &rmResult{Argument: userinfo.Hide(arg), DryRun: r.dryRun, Removed: removed}
		if err != nil {
			result = &problem{code: e.exit(err)}
			if !r.json {
				continue
			}
			out.Problem = e.hide(err.Error())
		}
		if err := e.printAs(r.json, out.line, out); err != nil {
			return err
		}
	}
	return result
}

// remove removes the entries that arg names and counts them. It removes the first entry of a URL first, because the
// variants cannot be found without it.
func (r *rm) remove(ctx context.Context, d *cacheDir, arg string) (n tally, err error) {
	hashes, whole := []string{strings.ToLower(arg)}, 1 // the first ones may list others
	if !r.hash {
		k, err := keysOfURL(arg)
		if err != nil {
			return n, err
		}
		hashes = []string{cachedir.Hash(k.plain)}
		for _, key := range d.equivalent(k) {
			hashes = append(hashes, cachedir.Hash(key), cachedir.Hash(key+cachekey.PartialSuffix))
		}
		whole = len(hashes)
		hashes = append(hashes, cachedir.Hash(k.parts), cachedir.Hash(k.methods))
		if k.python != "" {
			hashes = append(hashes, cachedir.Hash(k.python))
		}
	}
	for ; len(hashes) > 0; hashes, whole = hashes[1:], whole-1 {
		it, err := d.find(hashes[0])
		if err != nil {
			return n, err
		}
		if it == nil {
			continue
		}
		found, err := it.Inspect()
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err == nil && found.State == cachedir.Foreign {
			err = found.Err
		}
		if err == nil && whole > 0 {
			hashes = append(hashes, r.related(it, found.Entry)...)
		}
		if err == nil {
			hashes = append(hashes, partHashes(ctx, it, found.Entry)...)
		}
		if err == nil && !r.dryRun {
			err = it.Remove(ctx)
		}
		if err != nil {
			return n, failed(errors.New(reason(err)), "cannot remove "+printable(d.rel(it.Path)), "")
		}
		n.add(it.Size)
	}
	return n, nil
}

// removeWithURL removes the entries that record the URL but are not found by it: see cacheDir.withURL.
func (r *rm) removeWithURL(ctx context.Context, e *env, d *cacheDir, arg string) (n tally, err error) {
	items, err := d.withURL(ctx, e, arg)
	if err != nil {
		return n, err
	}
	byHash := *r
	byHash.hash = true
	for _, it := range items {
		removed, err := byHash.remove(ctx, d, it.Hash)
		n.Entries, n.Bytes = n.Entries+removed.Entries, n.Bytes+removed.Bytes
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// related returns the hashes of the variants that an entry lists and, with --hash, of the parts of its body.
func (r *rm) related(it *cachedir.Item, entry *storage.Entry) (hashes []string) {
	if entry == nil {
		return nil
	}
	for _, v := range entry.Variants { // what the index of a path lists are no keys
		hashes = append(hashes, cachedir.Hash(v.Key))
	}
	if k, ok := keysOf(entry); r.hash && ok && cachedir.Hash(k.plain) == it.Hash {
		hashes = append(hashes, cachedir.Hash(k.parts))
	}
	return hashes
}
