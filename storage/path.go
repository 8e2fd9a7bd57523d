package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// tree is a cache directory: where its files are, and how they are made, replaced and removed. Both file caches
// are one.
type tree struct {
	dir        string // absolute
	rangesPath string
	options
	separate bool // bodies have files of their own
	verified verifiedSet
	heads    headMemory
	bound    bound

	untouchable atomic.Bool  // the files' times cannot be set
	named       atomic.Bool  // files cannot do without a name
	ranges      atomic.Bool  // there are, or were, entries with a Range
	rangesAt    atomic.Int64 // when that was looked for last, in nanoseconds since 1970
	missing     atomic.Int32 // how many directories the last file had to have made: the next one may need as many
}

// openTree makes dir where it is missing.
func openTree(dir string, separate bool, opts []Option) (*tree, error) {
	t := &tree{options: newOptions(opts), separate: separate}
	t.bound.next = rand.IntN(leaves)
	if dir == "" {
		return nil, errors.New("storage: no cache directory given")
	}
	abs, err := filepath.Abs(dir) // a later change of directory must not move the cache
	if err != nil {
		return nil, fmt.Errorf("storage: cache directory: %w", err)
	}
	if err := os.MkdirAll(abs, t.dirMode); err != nil {
		return nil, fmt.Errorf("storage: cache directory: %w", err)
	}
	t.dir = realDir(abs)
	t.rangesPath = filepath.Join(t.dir, rangesName)
	return t, nil
}

// realDir returns the path of a cache directory without links. The directory itself may be a link, or be reached by one; below it no
// link is followed.
func realDir(abs string) string {
	if runtime.GOOS == "windows" { // where open looks at no directory, and drives that are mounted elsewhere cannot be resolved
		return abs
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// path returns where the entry under key is: dir/h0/h1/h2/h3/h4/HASH, with HASH the hexadecimal SHA-224 of the key
// and h0 to h4 its first digits. Python's CacheControl uses the same, and promises not to change it.
func (t *tree) path(key string) string {
	const sep = filepath.Separator
	var space [512]byte // most paths and keys fit, and need no memory of their own
	sum := sha256.Sum224(append(space[:0], key...))
	b := append(append(space[:0], t.dir...), sep)
	start := len(b)
	b = append(b, "0/1/2/3/4/"...)
	hash := len(b)
	b = hex.AppendEncode(b, sum[:])
	for i := range 5 {
		b[start+2*i], b[start+2*i+1] = b[hash+i], sep
	}
	return string(b)
}

// readPath returns path(key) for reading. If open does not refuse links in every part of a path, it returns an error if a directory on
// the way is one.
func (t *tree) readPath(key string) (string, error) {
	path := t.path(key)
	if refusesLinks() {
		return path, nil
	}
	return path, t.checkDirs(path)
}

// writePath returns path(key) for changing what is there. It returns an error if a directory on the way is a link.
func (t *tree) writePath(key string) (string, error) {
	path := t.path(key)
	return path, t.checkDirs(path)
}

// checkDirs returns an error if one of the directories on the way from the cache directory to path is a link. Those that are missing
// are made later.
func (t *tree) checkDirs(path string) error {
	known, err := checkDir(t.parent(path))
	if known {
		if isLoop(err) {
			return fmt.Errorf("storage: a link is on the way to %s: %w", path, errIrregular)
		}
		return nil
	}
	for end := len(t.dir) + 2; end < len(path) && end <= len(t.dir)+2*levels; end += 2 {
		fi, err := lstat(path[:end])
		if err != nil {
			return nil // the first use of the path meets the same error
		}
		if !fi.IsDir() && !fi.Mode().IsRegular() {
			return fmt.Errorf("storage: %s is a link: %w", path[:end], errIrregular)
		}
	}
	return nil
}

// tempPrefix begins the names of the temporary files. No entry's name begins with a dot, so one that a crash
// left behind is never read and can be swept by name.
const tempPrefix = ".tmp-"

// temp makes a temporary file beside path, and the directories that lead there. It stays held until it is closed.
func (t *tree) temp(path string) (f *os.File, err error) {
	if _, _, err := t.makeBeside(path, true, func(name string) error {
		f, err = openNew(name)
		return err
	}); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	hold(f)
	if t.fileMode != defaultFileMode {
		if err := f.Chmod(t.fileMode); err != nil {
			discard(f)
			return nil, fmt.Errorf("storage: %w", err)
		}
	}
	return f, nil
}

// makeBeside has create make a temporary file beside path, and makes the directories that lead there as within does. alone: the
// last of these was missing.
func (t *tree) makeBeside(path string, first bool, create func(name string) error) (name string, alone bool, err error) {
	dir := t.parent(path)
	alone, err = t.within(dir, first, func() error {
		name = dir + string(filepath.Separator) + tempPrefix + strconv.FormatUint(rand.Uint64(), 36)
		return create(name)
	})
	return name, alone, err
}

// within calls do, which needs the directory dir, and makes what is missing of that. first: nothing is known of dir yet. alone: dir
// was made a moment ago.
func (t *tree) within(dir string, first bool, do func() error) (alone bool, err error) {
	var made int32
	if missing := t.missing.Load(); first && missing > 0 {
		made, err = t.makeDirs(dir, missing)
	}
	for try := 0; err == nil; try++ {
		if err = do(); err == nil {
			if first {
				t.missing.Store(min(made, levels))
			}
			return made > 0, nil
		}
		if try < 3 && errors.Is(err, fs.ErrNotExist) { // a new directory, or one that was just removed
			made, err = t.makeDirs(dir, 1)
		}
	}
	return false, err
}

// makeDirs makes dir and what leads to it, where that is missing. It begins with the n-th directory from the end: most of
// those before it are there. made is how many it made, up to dir.
func (t *tree) makeDirs(dir string, n int32) (made int32, err error) {
	if n <= 1 {
		err = os.Mkdir(dir, t.dirMode)
	}
	if parent := t.parent(dir); (n > 1 || errors.Is(err, fs.ErrNotExist)) && parent != dir {
		if made, err = t.makeDirs(parent, n-1); err != nil {
			return made, err
		}
		err = os.Mkdir(dir, t.dirMode)
	}
	if errors.Is(err, fs.ErrExist) {
		return 0, nil // thanks to another; what is no directory, its next user notices
	}
	return made + 1, err
}

// parent returns the directory that a path of the tree is in. filepath.Dir looks at every byte.
func (t *tree) parent(path string) string {
	if i := strings.LastIndexByte(path, filepath.Separator); i > len(t.dir) {
		return path[:i]
	}
	return filepath.Dir(path)
}

// discard closes and removes a temporary file. Nobody can do anything about an error.
func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// replace puts the closed temporary file in path's place. Nothing is synced to disk: what a power cut leaves
// of an entry fails its checksum, and is a miss. That is why an old file is swapped for the new one where that can be
// done: ext4 takes a rename over a file for a wish to have the new one on disk, and waits for it, 0.9 ms instead
// of 0.03.
func replace(temp, path string) error {
	if fi, err := lstat(path); err == nil && fi.Mode().IsRegular() && exchange(temp, path) == nil {
		os.Remove(temp)
		return nil
	}
	err := os.Rename(temp, path)
	// Windows refuses while a reader has path open; most are done soon.
	for try := 0; err != nil && runtime.GOOS == "windows" && try < 10; try++ {
		time.Sleep(5 * time.Millisecond)
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// remove removes path, which may be missing.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// sameFile reports whether a and b describe one file with one content: the numbers of a removed file are used again,
// so its time and size count too.
func sameFile(a, b fs.FileInfo) bool {
	return a != nil && b != nil && sameInode(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// stillAt reports whether the file that fi describes is still the one at path.
func stillAt(path string, fi fs.FileInfo) bool {
	now, err := lstat(path)
	return err == nil && sameFile(now, fi)
}
