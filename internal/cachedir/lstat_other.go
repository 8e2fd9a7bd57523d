//go:build !windows

package cachedir

import (
	"io/fs"
	"os"
)

// lstat is like os.Lstat. Its result identifies the file even after the file has been renamed.
func lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// entryInfo returns the lstat of an entry of the directory dir.
func entryInfo(_ string, e fs.DirEntry) (fs.FileInfo, error) { return e.Info() }
