package cachedir

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// rangesName is the name of an empty file that marks a cache directory with entries that have a Range.
// Without the file, a miss does not look for such entries. If the file is lost, they are not found, and are
// fetched and stored again.
const rangesName = ".ranges"

// rangesEvery is the interval at which a process checks whether others have stored entries with a Range.
const rangesEvery = time.Second

// hasRanges reports whether an entry with a Range has ever been stored. It may miss what others did in the
// last second.
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

// noteRange creates the file if e has a Range. It must be called before e becomes visible. If the file cannot
// be created, only this process knows of the entry.
func (t *tree) noteRange(e *storage.Entry) {
	if e.Range == nil {
		return
	}
	t.ranges.Store(true)
	if exists(t.rangesPath) { // checked each time, because the directory may have been removed
		return
	}
	t.within(t.dir, false, func() error { return writeNew(t.rangesPath, nil, t.fileMode, newTime()) })
}

// HasRanges implements storage.RangeReporter.
func (c *FileCache) HasRanges() bool { return c != nil && c.tree != nil && c.tree.hasRanges() }

// HasRanges implements storage.RangeReporter.
func (c *SeparateBodyFileCache) HasRanges() bool {
	return c != nil && c.tree != nil && c.tree.hasRanges()
}
