package cachedir

import (
	"golang.org/x/sys/unix"
)

// exchange swaps two files. If the file system does not support it, exchange changes nothing and returns an
// error.
func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// renameNew renames a to b if b does not exist. If it exists, or the file system does not support this,
// renameNew changes nothing and returns an error.
func renameNew(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE)
}
