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
func open(path string) (*os.File, error) { return openWith(path, 0) }

// openQuietly is open for one who only looks: if it can be helped, the access time of the file, which says when its
// entry was last used, stays.
func openQuietly(path string) (*os.File, error) {
	f, err := openWith(path, noAccessTime)
	if errors.Is(err, fs.ErrPermission) && noAccessTime != 0 { // only the owner may
		f, err = open(path)
	}
	return f, err
}

func openWith(path string, flags int) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|flags, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != syscall.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
