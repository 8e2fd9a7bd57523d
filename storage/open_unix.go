//go:build unix

package storage

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// open is os.Open without the five system calls that find out whether the file can be polled, which take longer than
// reading a small entry.
func open(path string) (*os.File, error) { return openWith(path, syscall.O_RDONLY) }

// openQuietly is open for one who only looks: if it can be helped, the access time of the file, which says when its
// entry was last used, stays.
func openQuietly(path string) (*os.File, error) {
	f, err := openWith(path, syscall.O_RDONLY|noAccessTime)
	if errors.Is(err, fs.ErrPermission) && noAccessTime != 0 { // only the owner may
		f, err = open(path)
	}
	return f, err
}

// openNew makes a file that only we may read, and opens it for writing, too.
func openNew(path string) (*os.File, error) {
	return openWith(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL)
}

func openWith(path string, flags int) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o600)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != syscall.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
