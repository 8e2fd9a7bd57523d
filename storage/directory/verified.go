package directory

import (
	"hash/maphash"
	"io/fs"
	"sync/atomic"
)

// verifiedSet remembers which files have passed verification, so that a process verifies each body once;
// computing a checksum takes twice as long as reading the body. A file is the same if its path, size, time
// and expected checksum are. The size of the set is fixed; new files replace old ones. The zero value is
// empty.
type verifiedSet [2048]atomic.Uint64

var verifiedSeed = maphash.MakeSeed()

func mark(path string, fi fs.FileInfo, sum uint32) uint64 {
	return maphash.Comparable(verifiedSeed, struct {
		path       string
		size, time int64
		sum        uint32
	}{path, fi.Size(), fi.ModTime().UnixNano(), sum}) | 1 // 0 is an empty slot
}

func (s *verifiedSet) has(mark uint64) bool { return s[mark>>1%uint64(len(s))].Load() == mark }
func (s *verifiedSet) add(mark uint64)      { s[mark>>1%uint64(len(s))].Store(mark) }
