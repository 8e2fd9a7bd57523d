package cachedir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// emptyFor returns the time since a file was last added to or removed from a directory.
func emptyFor(dir string, now time.Time) time.Duration {
	fi, err := lstat(dir)
	if err != nil {
		return 0
	}
	return now.Sub(fi.ModTime())
}

// removeEmpty removes an empty leaf directory, and the directories between it and root that become empty.
// Other empty directories are kept, because they may belong to another program.
func removeEmpty(root, dir string) {
	for dir != root && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

// files are the files of one key. A field is nil if the file is missing.
type files struct {
	path                           string // of the metadata file; a prefix of the other paths
	head, body, headLock, bodyLock fs.FileInfo
}

// readLeaf returns the files in a leaf directory: entries, temporary files, and all others.
func readLeaf(root string, n int) (entries []files, temps, others []fs.FileInfo, err error) {
	dir := leafPath(root, n)
	list, err := readDir(dir) // in order of names
	if err != nil {
		return nil, nil, nil, err
	}
	digits := strings.ReplaceAll(dir[len(root):], string(filepath.Separator), "")
	for _, e := range list {
		fi, err := entryInfo(dir, e)
		if err != nil {
			continue // it has been removed
		}
		name := e.Name()
		hash, isEntry := entryHash(name, digits)
		switch {
		case isEntry && fi.Mode().IsRegular():
			if len(entries) == 0 || filepath.Base(entries[len(entries)-1].path) != hash {
				entries = append(entries, files{path: filepath.Join(dir, hash)})
			}
			entries[len(entries)-1].set(name[len(hash):], fi)
		case fi.Mode().IsRegular() && isTemp(name, digits):
			temps = append(temps, fi)
		default:
			others = append(others, fi)
		}
	}
	return entries, temps, others, nil
}

// entryHash returns the hash in the name of a file of an entry, which begins with digits.
func entryHash(name, digits string) (string, bool) {
	if len(name) < hashLen || !isHex(name[:hashLen]) || !strings.HasPrefix(name, digits) {
		return "", false
	}
	switch name[hashLen:] {
	case "", bodySuffix, lockSuffix, bodySuffix + lockSuffix:
		return name[:hashLen], true
	}
	return "", false
}

// set sets the field of the file with this suffix.
func (f *files) set(suffix string, fi fs.FileInfo) {
	switch suffix {
	case "":
		f.head = fi
	case bodySuffix:
		f.body = fi
	case lockSuffix:
		f.headLock = fi
	case bodySuffix + lockSuffix:
		f.bodyLock = fi
	}
}

// diskBlock is the block size of most file systems. The size of a file is rounded up to a multiple of it.
const diskBlock = 4 << 10

func diskSize(fi fs.FileInfo) int64 {
	if fi == nil {
		return 0
	}
	return (fi.Size() + diskBlock - 1) / diskBlock * diskBlock
}

// filesAt returns the files that the entry at path has now.
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

// size returns the size of an entry on disk.
func (f *files) size() int64 { return diskSize(f.head) + diskSize(f.body) }

// used returns when an entry was last stored, updated or used, according to its files.
func (f *files) used() time.Time {
	var last time.Time
	for _, fi := range []fs.FileInfo{f.head, f.body} {
		if fi != nil {
			last = latest(last, lastUse(fi))
		}
	}
	return last
}

// lastUse returns when a file was last written or read, according to its times, which touch updates at most
// once in touchEvery.
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

// touchEvery is the interval at which the access time of a file in use is updated.
const touchEvery = time.Hour

// touch sets the access time of a file that was used. It keeps the modification time, because that identifies
// the file.
func (t *tree) touch(path string, fi fs.FileInfo) {
	at, known := accessTime(fi)
	if !known || time.Since(at) < touchEvery || t.untouchable.Load() {
		return
	}
	if err := setTimes(path, time.Now(), time.Time{}); err != nil && exists(path) {
		t.untouchable.Store(true) // the directory belongs to another user or is not writable
	}
}
