package storage

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// rangesName is the name of an empty file in a cache directory, which says that entries with a Range were stored there: who has
// none to look for is spared a look-up on each miss. Where it was lost, such entries are not found, and are stored anew.
const rangesName = ".ranges"

// rangesEvery is how often a process looks whether others have stored entries with a Range.
const rangesEvery = time.Second

// hasRanges reports false where no entry with a Range was ever stored, until a second ago at least.
func (t *tree) hasRanges() bool {
	if t.ranges.Load() {
		return true
	}
	now := time.Now()
	if now.Sub(time.Unix(0, t.rangesAt.Load())).Abs() < rangesEvery {
		return false
	}
	t.rangesAt.Store(now.UnixNano())
	if !exists(t.rangesPath) {
		return false
	}
	t.ranges.Store(true)
	return true
}

// noteRange notes that e is about to be seen, if it has a Range. Where others cannot be told, this process knows.
func (t *tree) noteRange(e *serialize.Entry) {
	if e.Range == nil {
		return
	}
	t.ranges.Store(true)
	if exists(t.rangesPath) { // not only once: somebody may have removed the directory
		return
	}
	t.within(t.dir, false, func() error { return writeNew(t.rangesPath, nil, t.fileMode, newTime()) })
}

// HasRanges reports false where no entry with a Range was ever stored in the directory. What other processes have stored it may
// tell a second later.
func (c *FileCache) HasRanges() bool { return c != nil && c.tree != nil && c.tree.hasRanges() }

// HasRanges reports false where no entry with a Range was ever stored in the directory. What other processes have stored it may
// tell a second later.
func (c *SeparateBodyFileCache) HasRanges() bool {
	return c != nil && c.tree != nil && c.tree.hasRanges()
}
