package cachedir

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns the time when a file was last read, and reports whether it is known.
func accessTime(fi fs.FileInfo) (time.Time, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(st.Atimespec.Unix()), true
}
