// Package cachedir implements the file caches of storage/directory, and the tools for their directories: it lists, inspects,
// verifies and trims them.
package cachedir

import (
	"context"
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

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// tree is the directory of a file cache. It finds, creates, replaces and removes the files of both kinds of
// file cache.
type tree struct {
	dir        string // absolute
	rangesPath string
	exposed    string // what was unsafe about it when it was opened
	options
	separate bool // whether bodies are in separate files
	verified verifiedMemory
	heads    headMemory
	paths    lossy.Map[string, string] // of keys
	bound    bound

	untouchable atomic.Bool  // whether the access times of files cannot be set
	named       atomic.Bool  // whether the system does not support files without a name
	ranges      atomic.Bool  // whether entries with a Range have been stored
	rangesAt    atomic.Int64 // when ranges was last checked, in nanoseconds since 1970
	missing     atomic.Int32 // number of directories created for the last file; the next one may need as many
}

// openTree creates dir if it does not exist.
func openTree(dir string, separate bool, opts []Option) (*tree, error) {
	t := &tree{options: newOptions(opts), separate: separate}
	t.bound.next = rand.IntN(leaves)
	if dir == "" {
		return nil, errors.New("storage: no cache directory given")
	}
	abs, err := filepath.Abs(dir) // so that a later change of the working directory has no effect
	if err != nil {
		return nil, fmt.Errorf("storage: cache directory: %w", err)
	}
	if err := os.MkdirAll(abs, t.dirMode); err != nil {
		return nil, fmt.Errorf("storage: cache directory: %w", err)
	}
	t.dir = realDir(abs)
	t.rangesPath = filepath.Join(t.dir, rangesName)
	t.exposed = exposure(t.dir)
	return t, nil
}

// check returns an error if ctx has ended, or if t is nil, as it is if a cache is not usable.
func (t *tree) check(ctx context.Context) error {
	if t == nil {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// realDir returns the path of a cache directory with all links resolved. The directory itself may be a link
// or be reached through one; below it, links are not followed.
func realDir(abs string) string {
	// On Windows, open does not check directories, and the drives of volume mounts cannot be resolved.
	if runtime.GOOS == "windows" {
		return abs
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// path returns the path of the entry under key: dir/h0/h1/h2/h3/h4/HASH. HASH is the hexadecimal SHA-224 of
// the key, and h0 to h4 are its first digits. Python's CacheControl uses the same path and promises not to
// change it.
func (t *tree) path(key string) string {
	const sep = filepath.Separator
	var space [512]byte // avoids allocations for most paths and keys
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

// readPath returns path(key) for reading. If open does not refuse links in every part of a path, readPath
// returns an error if a directory on the path is a link.
func (t *tree) readPath(key string) (string, error) {
	path := t.recentPath(key)
	if refusesLinks() {
		return path, nil
	}
	return path, t.checkDirs(path)
}

// recentPath returns path(key). It remembers the paths that were used lately, because hashing takes a tenth of the time of a hit.
func (t *tree) recentPath(key string) string {
	hash := lossy.Hash(key)
	if path := t.paths.Get(hash, key); path != nil {
		return *path
	}
	return *t.paths.Put(hash, key, t.path(key))
}

// writePath returns path(key) for writing. It returns an error if a directory on the path is a link.
func (t *tree) writePath(key string) (string, error) {
	path := t.path(key)
	return path, t.checkDirs(path)
}

// checkDirs returns an error if a directory between the cache directory and path is a link. Missing
// directories are not an error, because they are created later.
func (t *tree) checkDirs(path string) error {
	known, err := checkDir(t.parent(path))
	if known {
		if isLoop(err) {
			return fmt.Errorf("storage: the path %s leads through a link: %w", path, errIrregular)
		}
		return nil
	}
	for end := len(t.dir) + 2; end < len(path) && end <= len(t.dir)+2*levels; end += 2 {
		fi, err := lstat(path[:end])
		if err != nil {
			return nil // the next access of the path returns the same error
		}
		if !fi.IsDir() && !fi.Mode().IsRegular() {
			return fmt.Errorf("storage: %s is a link: %w", path[:end], errIrregular)
		}
	}
	return nil
}

// temp creates a temporary file in the directory of path, creating missing directories. The file is marked by
// hold until it is closed.
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

// makeBeside calls create with the name of a temporary file in the directory of path. It creates missing
// directories as within does. alone reports whether the directory has just been created.
func (t *tree) makeBeside(path string, first bool, create func(name string) error) (name string, alone bool, err error) {
	dir := t.parent(path)
	alone, err = t.within(dir, first, func() error {
		name = dir + string(filepath.Separator) + tempPrefix + strconv.FormatUint(rand.Uint64(), 36)
		return create(name)
	})
	return name, alone, err
}

// within calls do, which needs the directory dir, and creates missing directories. first is true if nothing
// is known of dir yet. alone reports whether dir has just been created.
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
		if try < 3 && errors.Is(err, fs.ErrNotExist) { // a new directory, or one that has just been removed
			made, err = t.makeDirs(dir, 1)
		}
	}
	return false, err
}

// makeDirs creates dir and its missing parents. It begins with the n-th directory from the end, because most
// of those before exist. made is the number of directories created without a gap up to dir.
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
		return 0, nil // it exists; if it is not a directory, its next use fails
	}
	return made + 1, err
}

// parent returns the directory of a path of the tree. It is faster than filepath.Dir, which looks at every
// byte.
func (t *tree) parent(path string) string {
	if i := strings.LastIndexByte(path, filepath.Separator); i > len(t.dir) {
		return path[:i]
	}
	return filepath.Dir(path)
}

// discard closes and removes a temporary file. Errors are ignored, because nothing can be done about them.
func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// replace renames a closed temporary file to path. Nothing is synced to disk: an entry that is incomplete
// after a power failure fails its checksum and is a miss. That is also why replace swaps the two files if
// that is supported. When a file is renamed over another, ext4 writes the new one to disk at once, which
// takes 0.9 ms instead of 0.03 ms.
func replace(temp, path string) error {
	if fi, err := lstat(path); err == nil && fi.Mode().IsRegular() && exchange(temp, path) == nil {
		os.Remove(temp)
		return nil
	}
	if err := untilClosed(10, func() error { return os.Rename(temp, path) }); err != nil { // most readers are done soon
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// ErrBusy is returned if a file was not removed because it may be in use.
var ErrBusy = errors.New("storage: left in place")

// remove removes path if it exists. On Windows the error wraps ErrBusy if the file is open.
func remove(path string) error { return removeClosed(path, 10) }

// removeClosed is remove with a number of tries.
func removeClosed(path string, tries int) error {
	err := untilClosed(tries, func() error { return os.Remove(path) })
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return nil
	case isOpen(err) && !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return fmt.Errorf("storage: %w", err)
}

// untilClosed calls do until it succeeds or fails for another reason than a file that is open, but not more often than tries.
func untilClosed(tries int, do func() error) error {
	err := do()
	for ; tries > 1 && isOpen(err); tries-- {
		time.Sleep(5 * time.Millisecond)
		err = do()
	}
	return err
}
