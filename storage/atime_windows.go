package storage

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns when a file was last read, and whether that is known.
func accessTime(fi fs.FileInfo) (time.Time, bool) {
	data, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, data.LastAccessTime.Nanoseconds()), true
}
