package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
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
// directory. All methods are safe for concurrent use, and beside programs that use the cache.
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
	list, err := os.ReadDir(abs)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	d := &Directory{abs, layout}
	for _, e := range list {
		if e.Name() == stateName {
			return d, nil
		}
		if !isDigit(e) {
			continue
		}
		sub, err := os.ReadDir(filepath.Join(abs, e.Name()))
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

	dir        *Directory
	head, body fs.FileInfo // as they were found; nil: none
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
		if fi, err := os.Lstat(dir); err == nil && !fi.IsDir() {
			return nil, ErrNotFound
		}
	}
	var found *Item
	var err error
	d.leaf(dir, prefix[:levels], func(it *Item, e error) bool {
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
		return d.leaf(dir, digits, yield)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return failedWalk(err, yield)
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if digits == "" && (e.Name() == stateName || e.Name() == stateName+lockSuffix) {
			continue
		}
		if isDigit(e) {
			if !d.walk(path, digits+e.Name(), yield) {
				return false
			}
		} else if !d.plain(ForeignFile, path, e, yield) {
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

// plain yields a file that is no entry's.
func (d *Directory) plain(kind Kind, path string, e fs.DirEntry, yield func(*Item, error) bool) bool {
	fi, err := e.Info()
	if err != nil {
		return failedWalk(err, yield)
	}
	return yield(&Item{Kind: kind, Path: path, Size: fi.Size(), ModTime: fi.ModTime(), dir: d, head: fi}, nil)
}

// leaf yields what is in a directory of entries.
func (d *Directory) leaf(dir, digits string, yield func(*Item, error) bool) bool {
	list, err := os.ReadDir(dir)
	if err != nil {
		return failedWalk(err, yield)
	}
	named := make(map[string]fs.DirEntry, len(list))
	for _, e := range list {
		named[e.Name()] = e
	}
	for _, e := range list {
		name := e.Name()
		hash, suffix := name, ""
		if i := strings.IndexByte(name, '.'); i >= 0 {
			hash, suffix = name[:i], name[i:]
		}
		if len(hash) != hashLen || !isHex(hash) || !strings.HasPrefix(hash, digits) {
			hash, suffix = "", name
		}
		path := filepath.Join(dir, name)
		head := named[hash]
		ok := true
		switch {
		case !e.Type().IsRegular():
			ok = d.plain(ForeignFile, path, e, yield)
		case suffix == "":
			ok = d.entry(EntryFile, path, hash, e, named[hash+bodySuffix], yield)
		case hash != "" && suffix == bodySuffix && head == nil:
			ok = d.entry(BodyFile, path, hash, nil, e, yield)
		case hash != "" && suffix == bodySuffix && head.Type().IsRegular(): // came with the entry
		case hash != "" && (suffix == lockSuffix || suffix == bodySuffix+lockSuffix):
		case isTemp(name, digits):
			ok = d.plain(TemporaryFile, path, e, yield)
		default:
			ok = d.plain(ForeignFile, path, e, yield)
		}
		if !ok {
			return false
		}
	}
	return true
}

// entry yields an entry, or what there is of one.
func (d *Directory) entry(kind Kind, path, hash string, head, body fs.DirEntry, yield func(*Item, error) bool) bool {
	it := &Item{Kind: kind, Path: path, Hash: hash, dir: d}
	for _, part := range []struct {
		e  fs.DirEntry
		fi *fs.FileInfo
	}{{head, &it.head}, {body, &it.body}} {
		if part.e == nil {
			continue
		}
		fi, err := part.e.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && part.e == body && head != nil {
				continue // looked for once more when the entry is read
			}
			return failedWalk(err, yield)
		}
		*part.fi = fi
		if fi.Mode().IsRegular() {
			it.Size += fi.Size()
		}
		if fi.ModTime().After(it.ModTime) {
			it.ModTime = fi.ModTime()
		}
	}
	return yield(it, nil)
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
