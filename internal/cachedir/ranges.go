package cachedir

import (
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// rangesEvery is the interval at which a process checks whether others have stored entries with a Range.
const rangesEvery = time.Second

// hasRanges reports whether an entry with a Range has ever been stored. It may miss what others did in the
// last second.
func (t *tree) hasRanges() bool {
	if t == nil || t.ranges.Load() {
		return t != nil
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
