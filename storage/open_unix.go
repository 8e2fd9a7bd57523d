//go:build unix

package storage

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

// open is os.Open for a path where other users may have put something. It follows no link, and does not wait until a pipe has a writer.
// For regular files O_NONBLOCK saves four of the five system calls by which os.Open finds out whether a file can be polled.
func open(path string) (*os.File, error) { return openReading(path, 0) }

// readDir is os.ReadDir, but follows no link.
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

// isLoop reports whether err says that a path was not opened because there is a link in it.
func isLoop(err error) bool {
	const freeBSD, netBSD = syscall.EMLINK, "inappropriate file type or format"
	var errno syscall.Errno
	return errors.As(err, &errno) && (errno == syscall.ELOOP || errno == freeBSD || errno.Error() == netBSD)
}

// openQuietly is open for one who only looks: if it can be helped, the access time of the file, which says when its
// entry was last used, stays.
func openQuietly(path string) (*os.File, error) {
	f, err := openReading(path, noAccessTime)
	if errors.Is(err, fs.ErrPermission) && noAccessTime != 0 { // only the owner may
		f, err = open(path)
	}
	return f, err
}

// openNew creates a file that only this user may read, and opens it for reading and writing.
func openNew(path string) (*os.File, error) {
	fd, err := openDescriptor(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openDescriptor is open(2). It follows no link.
func openDescriptor(path string, flags int) (int, error) {
	for {
		fd, err := openOnce(path, flags|syscall.O_CLOEXEC)
		if err == nil {
			return fd, nil
		}
		if err != syscall.EINTR {
			return 0, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// writeNew makes a file that holds p, with that mode and modification time. Where that fails the file is gone. An *os.File
// would cost as much as writing a small entry.
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

// fill writes p to a file that is open, and at name, too, and gives it a mode and a modification time.
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

// exists reports whether there is something at path. What cannot be told counts as there.
func exists(path string) bool {
	var st syscall.Stat_t
	for {
		if err := syscall.Lstat(path, &st); err != syscall.EINTR {
			return err != syscall.ENOENT
		}
	}
}
