package storage

import "golang.org/x/sys/unix"

// exchange swaps two files. Where the file system cannot, it returns an error and changes nothing.
func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// renameNew renames a to b if there is nothing at b. Otherwise, and where the file system cannot, it returns an error and
// changes nothing.
func renameNew(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_NOREPLACE)
}
