//go:build !linux

package cachedir

import (
	"io/fs"
	"os"
)

func openQuick(path string) (*os.File, error) { return open(path) }

func sameInode(a, b fs.FileInfo) bool { return os.SameFile(a, b) }
