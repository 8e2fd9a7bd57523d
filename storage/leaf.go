package storage

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// leaves is how many directories can hold entries: each is known by its number, the five digits that lead to it.
const leaves = 1 << (4 * levels)

// leafPath returns the leaf directory with this number.
func leafPath(root string, n int) string {
	b := []byte(root)
	for i := levels - 1; i >= 0; i-- {
		b = append(b, filepath.Separator, "0123456789abcdef"[n>>(4*i)&15])
	}
	return string(b)
}

// eachLeaf calls visit with the numbers of the leaf directories that exist, in order, beginning with from, until visit returns
// false; then it returns false, too. It calls read for each directory on the way.
func (s *sweep) eachLeaf(from int, read func(), visit func(n int) bool) bool {
	var level func(dir string, depth, prefix int) bool
	level = func(dir string, depth, prefix int) bool {
		if depth == levels {
			return visit(prefix)
		}
		list, err := readDir(dir)
		if err != nil {
			s.failed(fmt.Errorf("storage: %w", err))
			return true
		}
		read()
		first := from >> (4 * (levels - 1 - depth))
		for _, e := range list {
			if !isDigit(e) {
				continue
			}
			if n := prefix<<4 | digit(e.Name()); n >= first && !level(filepath.Join(dir, e.Name()), depth+1, n) {
				return false
			}
		}
		return true
	}
	return level(s.root, 0, 0)
}

// emptyFor returns for how long nothing was added to a directory, or removed from it.
func emptyFor(dir string, now time.Time) time.Duration {
	fi, err := lstat(dir)
	if err != nil {
		return 0
	}
	return now.Sub(fi.ModTime())
}

// removeEmpty removes an empty leaf directory below root, and those above it that this leaves empty. An empty directory on another level
// may be anyone's.
func removeEmpty(root, dir string) {
	for dir != root && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

func digit(name string) int { return strings.IndexByte("0123456789abcdef", name[0]) }

// files are what is stored for one key: each nil if it is missing.
type files struct {
	path                           string // of the head; the others' begin with it
	head, body, headLock, bodyLock fs.FileInfo
}

// readLeaf returns the files in a leaf directory by keys, the temporary ones, and all others, whoever they are from.
func readLeaf(root string, n int) (entries []files, temps, others []fs.FileInfo, err error) {
	dir := leafPath(root, n)
	list, err := readDir(dir) // in the order of the names
	if err != nil {
		return nil, nil, nil, err
	}
	digits := strings.ReplaceAll(dir[len(root):], string(filepath.Separator), "")
	for _, e := range list {
		fi, err := entryInfo(dir, e)
		if err != nil {
			continue // it is gone
		}
		name := e.Name()
		hash, suffix, dot := strings.Cut(name, ".")
		isEntry := dot == (suffix != "") && len(hash) == hashLen && isHex(hash) && strings.HasPrefix(hash, digits) && fi.Mode().IsRegular()
		switch "." + suffix {
		case ".", bodySuffix, lockSuffix, bodySuffix + lockSuffix:
		default:
			isEntry = false
		}
		if isEntry && (len(entries) == 0 || filepath.Base(entries[len(entries)-1].path) != hash) {
			entries = append(entries, files{path: filepath.Join(dir, hash)})
		}
		switch {
		case isEntry && suffix == "":
			entries[len(entries)-1].head = fi
		case isEntry && "."+suffix == bodySuffix:
			entries[len(entries)-1].body = fi
		case isEntry && "."+suffix == lockSuffix:
			entries[len(entries)-1].headLock = fi
		case isEntry && "."+suffix == bodySuffix+lockSuffix:
			entries[len(entries)-1].bodyLock = fi
		case fi.Mode().IsRegular() && isTemp(name, digits):
			temps = append(temps, fi)
		default:
			others = append(others, fi)
		}
	}
	return entries, temps, others, nil
}

// diskBlock is what a file takes on disk at least, and a multiple of which it takes on most file systems.
const diskBlock = 4 << 10

func diskSize(fi fs.FileInfo) int64 {
	if fi == nil {
		return 0
	}
	return (fi.Size() + diskBlock - 1) / diskBlock * diskBlock
}

// filesAt returns what there is now of the entry at path.
func filesAt(path string) files {
	f := files{path: path}
	for suffix, fi := range map[string]*fs.FileInfo{
		"": &f.head, bodySuffix: &f.body, lockSuffix: &f.headLock, bodySuffix + lockSuffix: &f.bodyLock,
	} {
		if now, err := lstat(path + suffix); err == nil {
			*fi = now
		}
	}
	return f
}

// size returns what an entry takes on disk.
func (f *files) size() int64 { return diskSize(f.head) + diskSize(f.body) }

// used returns when an entry was last stored, updated or used, as far as its files tell.
func (f *files) used() time.Time {
	var last time.Time
	for _, fi := range []fs.FileInfo{f.head, f.body} {
		if fi != nil {
			last = latest(last, lastUse(fi))
		}
	}
	return last
}

// lastUse returns when a file was last written or read, as far as it tells: it is touched once in touchEvery.
func lastUse(fi fs.FileInfo) time.Time {
	at, _ := accessTime(fi)
	return latest(at, fi.ModTime())
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// touchEvery is how long a file counts as used after a use without being touched again.
const touchEvery = time.Hour

// touch says in the access time of a file that it was used. The modification time stays: it is what our files are known
// by.
func (t *tree) touch(path string, fi fs.FileInfo) {
	at, known := accessTime(fi)
	if !known || time.Since(at) < touchEvery || t.untouchable.Load() {
		return
	}
	if err := setTimes(path, time.Now(), time.Time{}); err != nil && exists(path) {
		t.untouchable.Store(true) // a directory of somebody else's, or one that cannot be written to
	}
}
