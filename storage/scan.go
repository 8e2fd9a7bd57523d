package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotCache says that a directory holds things, and none of them are a cache's.
var ErrNotCache = errors.New("storage: not a cache directory")

// Layout is how a directory keeps its entries.
type Layout uint8

// The layouts.
const (
	AnyLayout    Layout = iota // told from the files of each entry
	OneFile                    // FileCache's: an entry is one file
	SeparateBody               // SeparateBodyFileCache's: the body is in a file of its own
)

// Directory is a cache directory as tools see it: file by file, whoever wrote them. A store answers for a key, whereas
// the files are named by the hashes of keys, and Python's entries do not say theirs. Looking changes nothing in the
// directory; on Linux, for the owner of the files, not even their access times, by which Trim knows what was used. All
// methods are safe for concurrent use, and beside programs that use the cache.
type Directory struct {
	path   string // absolute
	layout Layout
}

// OpenDirectory returns the directory at path, which must exist. The error wraps ErrNotCache where there are files and
// none are where a cache has its own; an empty directory is an empty cache. layout is for entries of which the files
// alone do not say how they are stored; one that is plainly stored in another way than layout counts as foreign.
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
			return d, nil // nothing speaks against it
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

// isOwn reports whether a file of this name, in a cache directory itself, is the cache's.
func isOwn(name string) bool {
	return name == stateName || name == stateName+lockSuffix || name == stateName+stateTempSuffix || name == rangesName
}

// isDigit reports whether e is a directory that is named as those of a cache are.
func isDigit(e fs.DirEntry) bool { return e.IsDir() && len(e.Name()) == 1 && isHex(e.Name()) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// levels is how many directories, each named by a digit, lead to an entry; hashLen is how long the name of that is.
const (
	levels  = 5
	hashLen = 2 * sha256.Size224
)

// Hash returns the hash of a key, by which the files of its entry are named: SHA-224, in hexadecimal.
func Hash(key string) string {
	sum := sha256.Sum224([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Kind is what a file in a cache directory is, by its place and its name.
type Kind uint8

// The kinds.
const (
	EntryFile     Kind = iota // an entry, the file of its body included
	BodyFile                  // the body of an entry that is not there
	TemporaryFile             // is being written, or was when somebody died
	ForeignFile               // none of the cache's, or a directory or a link
)

// Item is an entry in a Directory, or a file or directory that is none.
type Item struct {
	Kind    Kind
	Path    string    // where it is: of an entry, its head
	Hash    string    // of the key; "" if it is neither an entry nor a body
	Size    int64     // bytes; of an entry, head and body together
	ModTime time.Time // when it last changed

	dir   *Directory
	files files       // of an entry or a body, as they were found
	info  fs.FileInfo // of any other
}

// All returns what is in the directory, in the order of the hashes. Locks are left out, for an entry has one for ever.
// Links are not followed. An error says what could not be looked at, and comes without an Item; the walk goes on. What
// appears or goes meanwhile may be missing.
func (d *Directory) All() iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) { d.walk(d.path, "", yield) }
}

// Find returns the entry whose hash begins with prefix, which has 5 digits at least; an error that wraps ErrNotFound
// where there is none, and another one where there are several. A body alone is found, too.
func (d *Directory) Find(prefix string) (*Item, error) {
	if len(prefix) < levels || !isHex(prefix) {
		return nil, fmt.Errorf("storage: %q is not the beginning of a hash: it takes %d hexadecimal digits", prefix, levels)
	}
	dir := d.path
	for _, digit := range prefix[:levels] {
		dir = filepath.Join(dir, string(digit))
		if fi, err := lstat(dir); err == nil && !fi.IsDir() { // a link, too
			return nil, ErrNotFound
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
			err = fmt.Errorf("storage: the hashes of several entries begin with %s", prefix)
		default:
			found = it
		}
		return err == nil
	})
	if err == nil && found == nil {
		err = ErrNotFound
	}
	return found, err
}

// walk yields what is in dir, to which the digits lead. It reports whether to go on.
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
		return true // it is gone
	}
	return yield(nil, fmt.Errorf("storage: %w", err))
}

// item returns the Item for an entry, or a body without its head.
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

// other returns the Item for a file that is no entry's.
func (d *Directory) other(kind Kind, path string, fi fs.FileInfo) *Item {
	return &Item{Kind: kind, Path: path, Size: fi.Size(), ModTime: fi.ModTime(), dir: d, info: fi}
}

// leaf yields what is in the directory of entries to which the digits lead.
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
			continue // locks
		case f.head == nil && slices.ContainsFunc(others, isNamed): // its head is no regular file
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

// isTemp reports whether a file of this name, in the directory that the digits lead to, is a temporary one: ours,
// pip's (the name of what it will be, and ".tmp"), or that of Python's mkstemp.
func isTemp(name, digits string) bool {
	if strings.HasPrefix(name, tempPrefix) {
		return true
	}
	if base, ok := strings.CutSuffix(name, ".tmp"); ok {
		return len(base) >= hashLen && isHex(base[:hashLen]) && strings.HasPrefix(base, digits)
	}
	rest, ok := strings.CutPrefix(name, "tmp")
	return ok && len(rest) == 8 && !strings.ContainsFunc(rest, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
}
