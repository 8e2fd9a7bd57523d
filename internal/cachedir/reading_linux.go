package cachedir

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func openReading(path string, flags int) (*os.File, error) {
	fd, err := openDescriptor(path, os.O_RDONLY|syscall.O_NONBLOCK|flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// checkDir returns an error if a part of the path of a directory is a link. known is false if it cannot check
// this.
func checkDir(dir string) (known bool, err error) {
	if !refusesLinks() {
		return false, nil
	}
	fd, err := openDescriptor(dir, unix.O_PATH|syscall.O_DIRECTORY)
	if err == nil {
		syscall.Close(fd)
	}
	return true, err
}
