package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// checkSpace returns an error if the disk of a directory has no room for these bytes and files.
func checkSpace(dir string, bytes, files int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	if free := int64(s.Bavail) * s.Bsize; free < bytes {
		return fmt.Errorf("%s has only %s of the %s that are needed; set TMPDIR to another disk, or -entries", dir, gigabytes(free), gigabytes(bytes))
	}
	if s.Files > 0 && int64(s.Ffree) < files {
		return fmt.Errorf("%s has room for %d more files only, of the %d that are needed", dir, s.Ffree, files)
	}
	return nil
}
