package main

import (
	"io/fs"
	"strings"
)

// visible is a file system without what has a name that begins with a dot: keys, histories and repositories.
type visible struct{ fs.FS }

func (v visible) Open(name string) (fs.File, error) {
	if hidden(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := v.FS.Open(name)
	if d, ok := f.(fs.ReadDirFile); ok && err == nil {
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return visibleDir{d}, nil
		}
	}
	return f, err
}

func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." {
			return true
		}
	}
	return false
}

// visibleDir lists what is visible of a directory.
type visibleDir struct{ fs.ReadDirFile }

func (d visibleDir) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := d.ReadDirFile.ReadDir(n)
	shown := list[:0]
	for _, e := range list {
		if !hidden(e.Name()) {
			shown = append(shown, e)
		}
	}
	return shown, err
}
