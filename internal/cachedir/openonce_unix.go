//go:build unix

package cachedir

import (
	"io/fs"
	"syscall"
)

// openDescriptor is open(2), but does not follow links.
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
