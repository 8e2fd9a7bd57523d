package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// visible is a file system of the regular files and directories below root. It hides those whose path has a name that
// begins with a dot, as many keys, histories and repositories do. It follows symbolic links only to what is visible.
type visible struct{ root *os.Root }

// maxLinks is the maximum number of symbolic links in the path of a file.
const maxLinks = 40

func (v visible) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	real, info, ok := v.resolve(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	// Since resolve, the file may have been replaced by a pipe, on which opening would block, or by a link.
	f, err := v.root.OpenFile(real, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	// A new pipe may have the number of the file that it replaced.
	if err != nil || !os.SameFile(info, opened) || opened.Mode().Type() != info.Mode().Type() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if info.IsDir() {
		return visibleDir{f, v, name}, nil
	}
	return f, nil
}

// resolve follows the links in name, a valid path, and returns a name without links for the same regular file or
// directory. It reports false if name, or the target of a link, is not visible.
func (v visible) resolve(name string) (real string, info fs.FileInfo, ok bool) {
	var done []string
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && len(done) > 0: // only in the target of a link
			done = done[:len(done)-1]
			continue
		case hidden(part): // also ".." above the root
			return "", nil, false
		}
		local, err := filepath.Localize(part)
		if err != nil {
			return "", nil, false
		}
		next := filepath.Join(append(done, local)...)
		info, err := v.root.Lstat(next)
		if err != nil {
			return "", nil, false
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = append(done, local)
			continue
		}
		target, err := v.root.Readlink(next)
		if links++; err != nil || links > maxLinks || !isRelative(target) {
			return "", nil, false
		}
		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}
	real = filepath.Join(append([]string{"."}, done...)...)
	info, err := v.root.Lstat(real)
	return real, info, err == nil && (info.Mode().IsRegular() || info.IsDir())
}

// isRelative reports whether the target of a link is relative.
func isRelative(target string) bool {
	return target != "" && !os.IsPathSeparator(target[0]) && filepath.VolumeName(target) == ""
}

// hidden reports whether a name is hidden. On Windows it hides all short names, because they do not keep a leading dot.
func hidden(part string) bool {
	if strings.HasPrefix(part, ".") {
		return true
	}
	_, number, ok := strings.Cut(part, "~")
	return ok && runtime.GOOS == "windows" && number != "" && '0' <= number[0] && number[0] <= '9'
}

// visibleDir is a directory that lists only visible files.
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
