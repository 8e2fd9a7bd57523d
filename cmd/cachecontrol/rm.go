package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/directory"
)

var rmCommand = command{
	name:  "rm",
	short: "remove what is stored for a URL",
	usage: `Usage:
    cachecontrol rm [flags] DIR URL...
    cachecontrol rm [flags] --hash DIR HASH...

Removes what is stored for each URL, as an unsafe request to it would: all its variants, and parts of its body. What was
stored for a POST, or for a request with another Host, is removed by its hash. Programs may use the directory meanwhile.

` + dirHelp + `
    --hash            the arguments are hashes as 'cachecontrol ls' prints them, or their first five digits or more.
                      The variants that such an entry knows go with it.
    --dry-run         change nothing, and say what would be removed
    --json            print one JSON object a line for each argument; sizes are in bytes

Exit codes: 0 all is removed; 1 for some there was nothing, or it could not be removed; 2 usage; 130 interrupted.

Examples:
    cachecontrol rm ~/.cache/cachecontrol https://example.com/
    cachecontrol rm --hash ~/.cache/pip/http-v2 3403b5d4
`,
	setup: func(fs *flag.FlagSet) func(context.Context, *env, []string) error {
		var r rm
		fs.BoolVar(&r.hash, "hash", false, "")
		fs.BoolVar(&r.dryRun, "dry-run", false, "")
		fs.BoolVar(&r.json, "json", false, "")
		return r.run
	},
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
	did := "removed"
	if r.DryRun {
		did = "would remove"
	}
	return fmt.Sprintf("%s: %s %s, %s\n", printable(r.Argument), did, plural(r.Removed.Entries, "entry", "entries"), formatSize(r.Removed.Bytes))
}

func (r *rm) run(ctx context.Context, e *env, args []string) error {
	const how = "Write it as 'cachecontrol rm DIR URL'."
	switch {
	case len(args) == 0:
		return usageErrorf("no directory is given", how)
	case len(args) == 1:
		return usageErrorf("no URL is given", how)
	}
	for _, arg := range args[1:] {
		if r.hash {
			continue
		}
		if !isURL(arg) {
			return usageErrorf("%q is not a whole URL", shownURL(arg), "Write it with its scheme, or a hash with --hash.")
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
			err = &problem{code: exitFailed, msg: "nothing is stored for " + printable(arg), hint: "See what there is with 'cachecontrol ls " + quoted(args[0]) + "'."}
		}
		said := &rmResult{Argument: withoutUserinfo(arg), DryRun: r.dryRun, Removed: removed}
		if err != nil {
			result = &problem{code: e.fail(err)}
			if !r.json {
				continue
			}
			said.Problem = e.hide(err.Error())
		}
		if err := e.printAs(r.json, said.line, said); err != nil {
			return err
		}
	}
	return result
}

// remove removes the entries that arg names and counts them. It removes the first entry of a URL first, because the
// variants cannot be found without it.
func (r *rm) remove(ctx context.Context, d *cacheDir, arg string) (n tally, err error) {
	hashes := []string{strings.ToLower(arg)}
	if !r.hash {
		keys, err := keysOfURL(arg)
		if err != nil {
			return n, err
		}
		hashes = []string{directory.Hash(keys.Plain), directory.Hash(keys.Part), directory.Hash(keys.Methods)}
		if keys.Python != "" {
			hashes = append(hashes, directory.Hash(keys.Python))
		}
	}
	first := true
	for len(hashes) > 0 {
		it, err := d.find(hashes[0])
		hashes = hashes[1:]
		if err != nil {
			return n, err
		}
		if it == nil {
			first = false
			continue
		}
		found, err := it.Inspect()
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return n, failed(errors.New(reason(err)), "left "+printable(d.rel(it.Path))+" in place", "")
		case found.State == directory.Foreign:
			return n, failed(errors.New(reason(found.Err)), "left "+printable(d.rel(it.Path))+" in place", "")
		}
		if entry := found.Entry; entry != nil && first {
			for _, v := range entry.Variants {
				hashes = append(hashes, directory.Hash(v.Key))
			}
			if keys, ok := cachecontrol.KeysOf(entry); r.hash && ok && directory.Hash(keys.Plain) == it.Hash {
				hashes = append(hashes, directory.Hash(keys.Part))
			}
		}
		first = false
		if !r.dryRun {
			err = it.Remove(ctx)
		}
		if err != nil {
			return n, failed(errors.New(reason(err)), "cannot remove "+printable(d.rel(it.Path)), "")
		}
		n.add(it.Size)
	}
	return n, nil
}
