package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// cacheDir is the cache directory that a command works on.
type cacheDir struct {
	*cachedir.Directory
	path string // as the user wrote it, without a prefix
}

// openDirectory opens the directory named by arg, which is DIR, file:DIR or separate:DIR.
func openDirectory(arg string) (*cacheDir, error) {
	path, layout := arg, cachedir.AnyLayout
	if kind, _, ok := strings.Cut(arg, ":"); ok && (kind == "file" || kind == "separate") {
		var s storeFlag
		if err := s.parse(arg); err != nil {
			return nil, usageErrorf("the directory after %q is missing", kind+":", "Write it as "+kind+":DIR.")
		}
		path, layout = s.dir, cachedir.OneFile
		if kind == "separate" {
			layout = cachedir.SeparateBody
		}
	}
	const how = "Write it as DIR, file:DIR or separate:DIR."
	switch {
	case path == "":
		return nil, usageErrorf("the name of the directory is empty", how)
	case isURL(path):
		return nil, usageErrorf("%q is not a directory", shownURL(path), how)
	}
	d, err := cachedir.OpenDirectory(path, layout)
	if err == nil {
		return &cacheDir{d, path}, nil
	}
	if !errors.Is(err, cachedir.ErrNotCache) {
		return nil, failed(pathless(err), "cannot open "+printable(path), "Check the name of the directory.")
	}
	hint := "Nothing was read or changed. Name the directory that you gave to the cache."
	for _, name := range []string{"http-v2", "http"} {
		if _, err := cachedir.OpenDirectory(filepath.Join(path, name), layout); err == nil {
			hint = "The cache of pip is in " + printable(filepath.Join(path, name)) + "."
			break
		}
	}
	return nil, &problem{code: exitFailed, msg: printable(path) + " is not a cache directory", hint: hint, err: err}
}

// openArgument opens the only argument of a command, or the default directory if there is none.
func openArgument(args []string) (*cacheDir, error) {
	if len(args) == 0 {
		dir, err := defaultDirectory()
		if err != nil {
			return nil, err
		}
		args = []string{dir}
	}
	arg, err := onlyDirectory(args, "")
	if err != nil {
		return nil, err
	}
	return openDirectory(arg)
}

// withDirectory returns the arguments of a command that takes a directory and URLs or hashes. If the first one is a URL,
// or there is only one and it looks like a hash, it puts the default directory in front.
func withDirectory(args []string) ([]string, error) {
	if len(args) == 0 || !isURL(args[0]) && (len(args) > 1 || !looksLikeHash(args[0])) {
		return args, nil
	}
	dir, err := defaultDirectory()
	if err != nil {
		return nil, err
	}
	return append([]string{dir}, args...), nil
}

// looksLikeHash reports whether an argument may be the beginning of a hash, and is not a file.
func looksLikeHash(arg string) bool {
	_, err := os.Lstat(arg)
	return len(arg) >= 5 && strings.Trim(strings.ToLower(arg), "0123456789abcdef") == "" && err != nil
}

// rel returns name relative to the directory.
func (d *cacheDir) rel(name string) string {
	if abs, err := filepath.Abs(d.path); err == nil {
		if rel, err := filepath.Rel(abs, name); err == nil {
			return rel
		}
	}
	return name
}

// each calls do for each item of the directory until do returns an error. It stops bar at the end. It reports items
// that cannot be read on stderr and goes on; it then returns an error with an empty message.
func (d *cacheDir) each(ctx context.Context, e *env, bar *progress, do func(*cachedir.Item) error) error {
	defer bar.stop()
	var result error
	for it, err := range d.All() {
		if ctx.Err() != nil {
			return interrupted
		}
		if err != nil {
			bar.printing(func() { e.exit(failed(errors.Unwrap(err), "cannot read all of "+printable(d.path), "")) })
			result = &problem{code: exitFailed}
			continue
		}
		bar.atHash(it.Hash)
		if err := do(it); err != nil {
			return err
		}
	}
	return result
}

// startScan starts a progress bar for a walk through a directory.
func startScan(e *env) *progress {
	return newProgress(e, func(p *progress, perSecond float64, width int) string {
		return scanLine(p.count.Load(), p.items.Load(), perSecond, width)
	})
}

// hashes is the number of possible values of the first four digits of a hash, which atHash uses to measure progress.
const hashes = 1 << 16

// atHash records that a walk has reached a hash. Hashes are spread evenly, so their order shows how much is done.
func (p *progress) atHash(hash string) {
	if p == nil {
		return
	}
	p.items.Add(1)
	if len(hash) > 4 {
		if n, err := strconv.ParseUint(hash[:4], 16, 64); err == nil {
			p.count.Store(int64(n))
		}
	}
}

// scanLine returns the progress bar for a walk through a directory.
func scanLine(count, items int64, perSecond float64, width int) string {
	return barLine(count, hashes, fmt.Sprintf("%d files and entries  %s", items, timeLeft(hashes-count, perSecond)), width)
}

// find returns the entry whose hash begins with prefix, or nil if there is none.
func (d *cacheDir) find(prefix string) (*cachedir.Item, error) {
	it, err := d.Find(prefix)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case errors.As(err, new(*fs.PathError)):
		return nil, failed(err, "cannot look for "+prefix, "")
	case err != nil:
		return nil, usageErrorf("%s", reason(err), "'cachecontrol ls' prints the complete hashes.")
	}
	return it, nil
}

// withURL returns the entries that record a URL, as ls lists it, under a key with something that is not shown: the user and
// the password of the request, or its partition. An index is none of them. It walks through the directory. If arg is not a URL
// or has a user, it returns none.
func (d *cacheDir) withURL(ctx context.Context, e *env, arg string) (items []*cachedir.Item, err error) {
	want, ok := cachekey.OfText(arg)
	if !ok || !isURL(arg) {
		return nil, nil
	}
	err = d.each(ctx, e, startScan(e), func(it *cachedir.Item) error {
		if it.Kind != cachedir.EntryFile {
			return nil
		}
		if found, err := it.Inspect(); err == nil && found.Entry != nil {
			if key, ok := cachekey.OfText(found.Entry.URL); ok && key == want && !roleOf(it.Hash, found.Entry).isIndex() {
				items = append(items, it)
			}
		}
		return nil
	})
	if err == interrupted {
		return nil, err
	}
	return items, nil
}

// onlyWithURL returns the entry of withURL, or nil if there is none.
func (d *cacheDir) onlyWithURL(ctx context.Context, e *env, arg string) (*cachedir.Item, error) {
	items, err := d.withURL(ctx, e, arg)
	switch len(items) {
	case 0:
		return nil, err
	case 1:
		return items[0], nil
	}
	hashes := make([]string, len(items))
	for i, it := range items {
		hashes[i] = it.Hash
	}
	return nil, &problem{code: exitFailed, msg: plural(len(items), "entry is", "entries are") + " stored for " + printable(arg) + ", for several users or requests",
		hint: "Name one by its hash: " + strings.Join(hashes, " ")}
}

// nothingStored returns the problem that there is no entry for arg, a URL or a hash.
func nothingStored(dir, arg string) error {
	return &problem{code: exitFailed, msg: "nothing is stored for " + printable(arg),
		hint: "'cachecontrol ls " + quoted(dir) + "' lists the entries."}
}

// defaultDirectory returns the cache directory that is used if none is named.
func defaultDirectory() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", failed(err, "there is no default directory for the cache", "")
	}
	return filepath.Join(dir, "cachecontrol"), nil
}
