package cachedir

import (
	"hash/maphash"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// maxRemembered is the maximum length of metadata that is remembered.
const maxRemembered = 16 << 10

// headMemory remembers metadata that was read, so that the next hit need not read it again. The number, size
// and time of a file show that it is still the same. Since our files have random times, this is safe no
// matter how quickly files are replaced. Metadata that Python wrote is not remembered. The zero value is empty.
type headMemory struct {
	byPath lossy.Map[string, rememberedHead]
}

type rememberedHead struct {
	info   fs.FileInfo
	entry  *storage.Entry
	offset int64 // of the body, in the same file
}

// get returns the metadata remembered of the file described by info, or nil.
func (m *headMemory) get(path string, info fs.FileInfo) *rememberedHead {
	if h := m.last(path); h != nil && sameFile(h.info, info) {
		return h
	}
	return nil
}

// last returns the metadata remembered of any file at path, or nil.
func (m *headMemory) last(path string) *rememberedHead { return m.byPath.Get(lossy.Hash(path), path) }

// put remembers metadata. length is its length in the file.
func (m *headMemory) put(path string, info fs.FileInfo, e *storage.Entry, offset, length int64) {
	if e.Foreign || length > maxRemembered || uniqueTime(info).IsZero() {
		return
	}
	m.byPath.Put(lossy.Hash(path), path, rememberedHead{info, e, offset})
}

// newTime returns a modification time that no other file has. It is up to a second in the past, and at least
// more than a tick of the kernel's clock. So if Python later replaces our metadata, its file is younger than
// our body, and the two files cannot be mistaken for a pair that Python wrote.
func newTime() time.Time { return time.Now().Add(-20*time.Millisecond - rand.N(time.Second)) }

// uniqueTime returns the modification time of a file if it identifies the file. It returns the zero time if
// the file system rounds times so much that two files could have the same.
func uniqueTime(fi fs.FileInfo) time.Time {
	if t := fi.ModTime(); t.Nanosecond()%int(time.Millisecond) != 0 {
		return t
	}
	return time.Time{}
}

var verifiedSeed = maphash.MakeSeed()

const (
	// shortFile is the size up to which a file is verified whenever it is read, because reading it in steps costs more.
	shortFile = 2 << 10

	// smallFile is the size up to which Get verifies a whole file before it returns the entry, at least the first time.
	smallFile = 64 << 10
)

// isReadWhole reports whether Get reads a whole file before it returns the entry. verified reports whether the file is known
// to match its checksum.
func isReadWhole(size int64, verified bool) bool {
	return size <= shortFile || size <= smallFile && !verified
}

// verifiedMemory remembers which files match their checksums. To verify a body takes twice as long as to read it.
type verifiedMemory struct{ files lossy.Set }

// has reports whether the body of an entry, in the file with this path, is known to match its checksum.
func (v *verifiedMemory) has(path string, fi fs.FileInfo, e *storage.Entry) bool {
	return v.files.Has(mark(path, fi, e.Sum))
}

// add remembers that the body of an entry, in the file with this path, matches its checksum.
func (v *verifiedMemory) add(path string, fi fs.FileInfo, e *storage.Entry) {
	if fi.Size() > shortFile {
		v.files.Add(mark(path, fi, e.Sum))
	}
}

// mark returns a hash of a file. A file is the same if its path, size, time and expected checksum are.
func mark(path string, fi fs.FileInfo, sum uint32) uint64 {
	return maphash.Comparable(verifiedSeed, struct {
		path       string
		size, time int64
		sum        uint32
	}{path, fi.Size(), fi.ModTime().UnixNano(), sum})
}
