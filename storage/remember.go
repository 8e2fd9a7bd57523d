package storage

import (
	"hash/maphash"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// maxRemembered is the longest head that is remembered.
const maxRemembered = 16 << 10

// headMemory remembers heads that were read, so that the next hit need not: a look at the file's number, size and time
// proves that it is still the one. Our files have random times, so the proof holds however quickly files follow
// each other; heads that Python wrote are not remembered. It has a fixed size, and forgets. The zero value is empty.
type headMemory [1024]atomic.Pointer[rememberedHead]

type rememberedHead struct {
	path   string
	info   fs.FileInfo
	entry  *serialize.Entry
	offset int64 // where the body begins, in the same file
}

var headSeed = maphash.MakeSeed()

func (m *headMemory) place(path string) *atomic.Pointer[rememberedHead] {
	return &m[maphash.String(headSeed, path)%uint64(len(m))]
}

// get returns what is remembered of the file that info describes; nil: nothing.
func (m *headMemory) get(path string, info fs.FileInfo) *rememberedHead {
	if h := m.last(path); h != nil && sameFile(h.info, info) {
		return h
	}
	return nil
}

// last returns what is remembered of the file at path, whichever it was; nil: nothing.
func (m *headMemory) last(path string) *rememberedHead {
	if h := m.place(path).Load(); h != nil && h.path == path {
		return h
	}
	return nil
}

// put remembers a head. length is how long it is, as it was read.
func (m *headMemory) put(path string, info fs.FileInfo, e *serialize.Entry, offset, length int64) {
	if e.Foreign || length > maxRemembered || uniqueTime(info).IsZero() {
		return
	}
	m.place(path).Store(&rememberedHead{path, info, e, offset})
}

// newTime returns a modification time that no other file has. It is up to a second in the past, and more than a tick
// of the kernel's clock: a head that Python writes over ours later must be younger than our body, or the two would
// pass for Python's pair.
func newTime() time.Time { return time.Now().Add(-20*time.Millisecond - rand.N(time.Second)) }

// uniqueTime returns the time by which a file can be known: none where the file system rounds times so much that two
// files could share one.
func uniqueTime(fi fs.FileInfo) time.Time {
	if t := fi.ModTime(); t.Nanosecond()%int(time.Millisecond) != 0 {
		return t
	}
	return time.Time{}
}
