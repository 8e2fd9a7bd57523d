package cachedir

import (
	"io/fs"
	"os"
)

// lstat is like os.Lstat, but its result identifies the file even after the file has been renamed. On
// Windows, a fs.FileInfo at first holds only a path; os.SameFile opens the path to get the file's ID when it
// first needs it.
func lstat(path string) (fs.FileInfo, error) {
	fi, err := os.Lstat(path)
	if err == nil {
		os.SameFile(fi, fi)
	}
	return fi, err
}

// entryInfo returns the lstat of an entry of the directory dir. On some file systems the listing has no file
// IDs.
func entryInfo(dir string, e fs.DirEntry) (fs.FileInfo, error) { return lstat(dir + `\` + e.Name()) }
