package storage

import (
	"hash/maphash"
	"io/fs"
	"sync/atomic"
)

// verifiedSet remembers which files have been read with the right sum, so that the hits of a process sum a body once:
// that takes twice as long as reading it. A file counts as the same while its path, size and time are, and the sum
// it should have. The set has a fixed size, and forgets. The zero value is empty.
type verifiedSet [2048]atomic.Uint64

var verifiedSeed = maphash.MakeSeed()

func mark(path string, fi fs.FileInfo, sum uint32) uint64 {
	return maphash.Comparable(verifiedSeed, struct {
		path       string
		size, time int64
		sum        uint32
	}{path, fi.Size(), fi.ModTime().UnixNano(), sum}) | 1 // 0 is an empty place
}

func (s *verifiedSet) has(mark uint64) bool { return s[mark>>1%uint64(len(s))].Load() == mark }
func (s *verifiedSet) add(mark uint64)      { s[mark>>1%uint64(len(s))].Store(mark) }
