package cachedir

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns the time when a file was last read, and reports whether it is known.
func accessTime(fi fs.FileInfo) (time.Time, bool) {
	data, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, data.LastAccessTime.Nanoseconds()), true
}
