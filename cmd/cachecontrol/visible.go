package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// visible is a file system of the regular files and directories below a directory, without those of which a name begins with a dot, as
// keys, histories and repositories do. It follows links within the directory to what is visible there.
type visible struct{ root *os.Root }

// maxLinks is how many links there may be on the way to a file.
const maxLinks = 40

func (v visible) Open(name string) (fs.File, error) {
	real, info, ok := v.resolve(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	// Between the look and the opening, something else may have got the name: a pipe, which would keep the opening waiting, or a link.
	f, err := v.root.OpenFile(real, os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if info.IsDir() {
		return visibleDir{f, v, name}, nil
	}
	return f, nil
}

// resolve follows the links in a name. It returns a name without links for the same regular file or directory, and reports false if the
// name, or one that a link leads to, is not visible.
func (v visible) resolve(name string) (real string, info fs.FileInfo, ok bool) {
	if !fs.ValidPath(name) {
		return "", nil, false
	}
	var done []string
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..": // of a link
			if len(done) == 0 {
				return "", nil, false
			}
			done, info = done[:len(done)-1], nil
			continue
		case hidden(part):
			return "", nil, false
		}
		local, err := filepath.Localize(part)
		if err != nil {
			return "", nil, false
		}
		next := filepath.Join(append(done, local)...)
		if info, err = v.root.Lstat(next); err != nil {
			return "", nil, false
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = append(done, local)
			continue
		}
		target, err := v.root.Readlink(next)
		if links++; err != nil || links > maxLinks || target == "" || os.IsPathSeparator(target[0]) || filepath.VolumeName(target) != "" {
			return "", nil, false
		}
		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}
	real = filepath.Join(append([]string{"."}, done...)...)
	if info == nil {
		var err error
		if info, err = v.root.Lstat(real); err != nil {
			return "", nil, false
		}
	}
	return real, info, info.Mode().IsRegular() || info.IsDir()
}

// hidden reports whether a name is not visible. On Windows a file may also have a short name, which has no dot at its begin.
func hidden(part string) bool {
	if strings.HasPrefix(part, ".") {
		return true
	}
	_, number, ok := strings.Cut(part, "~")
	return ok && runtime.GOOS == "windows" && number != "" && '0' <= number[0] && number[0] <= '9'
}

// visibleDir lists what is visible of a directory.
type visibleDir struct {
	fs.ReadDirFile
	v    visible
	name string
}

func (d visibleDir) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := d.ReadDirFile.ReadDir(n)
	shown := list[:0]
	for _, e := range list {
		if _, _, ok := d.v.resolve(path.Join(d.name, e.Name())); ok {
			shown = append(shown, e)
		}
	}
	return shown, err
}
