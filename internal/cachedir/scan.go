package cachedir

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// ErrNotCache is returned for a directory that contains files but none of a cache.
var ErrNotCache = errors.New("storage: not a cache directory")

// Layout is the way in which a directory stores entries.
type Layout uint8

const (
	AnyLayout    Layout = iota // determined by the files of each entry
	OneFile                    // as FileCache does, one file for each entry
	SeparateBody               // as SeparateBodyFileCache does, with the body in a separate file
)

// Directory gives tools access to the files of a cache directory, no matter which program wrote them. A store
// can only look up a key, but the names of the files are hashes of the keys, and Python's entries do not
// record their key. Inspecting a directory does not change it. On Linux it does not even change access times,
// by which Trim knows when entries were used, if the user owns the files. All methods are safe for concurrent
// use, also while other programs use the cache.
type Directory struct {
	path   string // absolute
	layout Layout
}

// OpenDirectory opens an existing cache directory. The error wraps ErrNotCache if the directory is not empty
// and holds no cache files. An empty directory is an empty cache. layout applies to entries whose layout
// cannot be determined; an entry that clearly has another layout is reported as Foreign.
func OpenDirectory(path string, layout Layout) (*Directory, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	abs = realDir(abs)
	list, err := readDir(abs)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	d := &Directory{abs, layout}
	for _, e := range list {
		if isOwn(e.Name()) {
			return d, nil
		}
		if !isDigit(e) {
			continue
		}
		sub, err := readDir(filepath.Join(abs, e.Name()))
		if err != nil || len(sub) == 0 {
			return d, nil // it may be a cache
		}
		for _, e := range sub {
			if isDigit(e) {
				return d, nil
			}
		}
	}
	if len(list) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotCache, abs)
	}
	return d, nil
}

// isOwn reports whether name is that of a file of the cache in the cache directory itself, or of the directory of leases.
func isOwn(name string) bool {
	return name == stateName || name == stateName+lockSuffix || name == stateName+stateTempSuffix || name == rangesName || name == leasesName
}

// Kind is the kind of an Item, determined by its path.
type Kind uint8

const (
	EntryFile     Kind = iota // an entry, including its body file
	BodyFile                  // a body file without an entry
	TemporaryFile             // being written, or left by a program that died
	ForeignFile               // not a file of the cache, or a directory or link
)

// Item is an entry in a Directory, or another file or directory.
type Item struct {
	Kind    Kind
	Path    string    // of an entry, the path of its metadata
	Hash    string    // of the key; empty if the item is neither an entry nor a body
	Size    int64     // in bytes; of an entry, including the body file
	ModTime time.Time // when it was last modified

	dir   *Directory
	files files       // of an entry or a body, as they were found
	info  fs.FileInfo // of other items
}

// All returns an iterator over the items in the directory, in the order of the hashes. Lock files are
// omitted, because an entry keeps its lock file. Links are not followed. If something cannot be read, the
// iterator yields an error with a nil Item and continues. Files that are created or removed meanwhile may be
// missing.
func (d *Directory) All() iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) { d.walk(d.path, "", yield) }
}

// Find returns the entry whose hash begins with prefix, which must have at least 5 digits. It also finds a
// body without an entry. If there is none, the error wraps ErrNotFound; if there are several, Find returns
// another error.
func (d *Directory) Find(prefix string) (*Item, error) {
	if len(prefix) < levels || !isHex(prefix) {
		return nil, fmt.Errorf("storage: %q is not a prefix of a hash: it needs at least %d hexadecimal digits", prefix, levels)
	}
	dir := d.path
	for _, digit := range prefix[:levels] {
		dir = filepath.Join(dir, string(digit))
		if fi, err := lstat(dir); err == nil && !fi.IsDir() { // or a link
			return nil, storage.ErrNotFound
		}
	}
	var found *Item
	var err error
	d.leaf(prefix[:levels], func(it *Item, e error) bool {
		switch {
		case e != nil:
			err = e
		case !strings.HasPrefix(it.Hash, prefix) || it.Hash == "":
		case found != nil:
			err = fmt.Errorf("storage: several entries have a hash that begins with %s", prefix)
		default:
			found = it
		}
		return err == nil
	})
	if err == nil && found == nil {
		err = storage.ErrNotFound
	}
	return found, err
}

// walk yields the items below dir, whose path consists of digits. It reports whether to continue.
func (d *Directory) walk(dir, digits string, yield func(*Item, error) bool) bool {
	if len(digits) == levels {
		return d.leaf(digits, yield)
	}
	list, err := readDir(dir)
	if err != nil {
		return failedWalk(err, yield)
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if digits == "" && isOwn(e.Name()) {
			continue
		}
		if isDigit(e) {
			if !d.walk(path, digits+e.Name(), yield) {
				return false
			}
		} else if fi, err := entryInfo(dir, e); err != nil {
			if !failedWalk(err, yield) {
				return false
			}
		} else if !yield(d.other(ForeignFile, path, fi), nil) {
			return false
		}
	}
	return true
}

func failedWalk(err error, yield func(*Item, error) bool) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true // it has been removed
	}
	return yield(nil, fmt.Errorf("storage: %w", err))
}

// item returns the Item of an entry, or of a body without metadata.
func (d *Directory) item(f files) *Item {
	it := &Item{Path: f.path, Hash: filepath.Base(f.path), dir: d, files: f}
	if f.head == nil {
		it.Kind, it.Path = BodyFile, f.path+bodySuffix
	}
	for _, fi := range []fs.FileInfo{f.head, f.body} {
		if fi != nil {
			it.Size += fi.Size()
			it.ModTime = latest(it.ModTime, fi.ModTime())
		}
	}
	return it
}

// other returns the Item of a file that does not belong to an entry.
func (d *Directory) other(kind Kind, path string, fi fs.FileInfo) *Item {
	return &Item{Kind: kind, Path: path, Size: fi.Size(), ModTime: fi.ModTime(), dir: d, info: fi}
}

// leaf yields the items in a leaf directory, whose path consists of digits.
func (d *Directory) leaf(digits string, yield func(*Item, error) bool) bool {
	n, _ := strconv.ParseUint(digits, 16, 32)
	entries, temps, others, err := readLeaf(d.path, int(n))
	if err != nil {
		return failedWalk(err, yield)
	}
	dir := leafPath(d.path, int(n))
	for _, f := range entries {
		it := d.item(f)
		isNamed := func(fi fs.FileInfo) bool { return fi.Name() == it.Hash }
		switch {
		case f.head == nil && f.body == nil:
			continue // only locks
		case f.head == nil && slices.ContainsFunc(others, isNamed): // the metadata is not a regular file
			it = d.other(ForeignFile, it.Path, f.body)
		}
		if !yield(it, nil) {
			return false
		}
	}
	for _, list := range []struct {
		kind Kind
		of   []fs.FileInfo
	}{{TemporaryFile, temps}, {ForeignFile, others}} {
		for _, fi := range list.of {
			if !yield(d.other(list.kind, filepath.Join(dir, fi.Name()), fi), nil) {
				return false
			}
		}
	}
	return true
}
