package storage

import (
	"io/fs"
	"os"
)

// lstat is os.Lstat, but its result identifies the file even after the file has been renamed. On Windows a fs.FileInfo holds only a
// path at first; os.SameFile opens that path to learn the file's number when it first needs it.
func lstat(path string) (fs.FileInfo, error) {
	fi, err := os.Lstat(path)
	if err == nil {
		os.SameFile(fi, fi)
	}
	return fi, err
}

// entryInfo returns the lstat of an entry of the directory dir. The listing itself holds no file numbers on some file systems.
func entryInfo(dir string, e fs.DirEntry) (fs.FileInfo, error) { return lstat(dir + `\` + e.Name()) }
