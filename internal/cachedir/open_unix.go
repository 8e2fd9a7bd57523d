//go:build unix

package cachedir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// open is os.Open for directories to which other users may write: it does not follow links, and does not
// block if the file is a pipe. For regular files, O_NONBLOCK also saves four of the five system calls by
// which os.Open finds out whether a file can be polled.
func open(path string) (*os.File, error) { return openReading(path, 0) }

// readDir is os.ReadDir, but does not follow links.
func readDir(dir string) ([]fs.DirEntry, error) {
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// isLoop reports whether err means that a path was not opened because it contains a link.
func isLoop(err error) bool {
	const freeBSD, netBSD = syscall.EMLINK, "inappropriate file type or format"
	var errno syscall.Errno
	return errors.As(err, &errno) && (errno == syscall.ELOOP || errno == freeBSD || errno.Error() == netBSD)
}

// openUnused opens a file without changing its access time. If the system cannot do that for this user, it returns the state of
// the file before it is read.
func openUnused(path string) (f *os.File, before fs.FileInfo, err error) {
	f, err = openReading(path, noAccessTime)
	refused := errors.Is(err, fs.ErrPermission) && noAccessTime != 0 // only the owner is permitted to
	if refused {
		f, err = open(path)
	}
	if err == nil && (refused || noAccessTime == 0) {
		before, _ = f.Stat()
	}
	return f, before, err
}

// openNew creates a file that only this user may read, and opens it for reading and writing.
func openNew(path string) (*os.File, error) {
	fd, err := openDescriptor(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// writeNew creates a file that contains p, with the given mode and modification time. If it fails, it removes
// the file. It does not use an *os.File, because that would cost as much as writing a small entry.
func writeNew(name string, p []byte, mode fs.FileMode, at time.Time) error {
	fd, err := openDescriptor(name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL)
	if err != nil {
		return err
	}
	err = fill(fd, name, p, mode, at)
	if closed := syscall.Close(fd); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(name)
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// fill writes p to an open file and sets the mode and the modification time of the file. name is its path or
// "".
func fill(fd int, name string, p []byte, mode fs.FileMode, at time.Time) (err error) {
	for len(p) > 0 && err == nil {
		var n int
		n, err = syscall.Write(fd, p)
		switch {
		case err == syscall.EINTR:
			err = nil
		case err == nil && n == 0:
			err = io.ErrShortWrite
		case err == nil:
			p = p[n:]
		}
	}
	if err == nil && mode != defaultFileMode {
		err = syscall.Fchmod(fd, uint32(mode))
	}
	if err == nil {
		err = setTime(fd, name, at)
	}
	return err
}

// exists reports whether there is a file at path. It returns true if that cannot be determined.
func exists(path string) bool {
	var st syscall.Stat_t
	for {
		if err := syscall.Lstat(path, &st); err != syscall.EINTR {
			return err != syscall.ENOENT
		}
	}
}
