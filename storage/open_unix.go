//go:build unix

package storage

import (
	"io/fs"
	"os"
	"syscall"
)

// open is os.Open without the five system calls that find out whether the file can be polled, which take longer than
// reading a small entry.
func open(path string) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != syscall.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
