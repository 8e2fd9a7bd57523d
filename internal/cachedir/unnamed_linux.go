package cachedir

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unnamed is an open file that has no name yet. If it is closed without one, it is removed.
type unnamed struct{ fd int } // -1 if closed

// newUnnamed creates a file in dir that contains p, with the given mode and modification time.
func newUnnamed(dir string, p []byte, mode fs.FileMode, at time.Time) (unnamed, error) {
	fd, err := openDescriptor(dir, unix.O_TMPFILE|syscall.O_WRONLY)
	if err != nil {
		return unnamed{-1}, err
	}
	if err := fill(fd, "", p, mode, at); err != nil {
		syscall.Close(fd)
		return unnamed{-1}, &fs.PathError{Op: "write", Path: dir, Err: err}
	}
	return unnamed{fd}, nil
}

// link gives the file a name, which must not exist. Before Linux 6.10 that requires a privilege.
func (u unnamed) link(name string) error {
	return unix.Linkat(u.fd, "", unix.AT_FDCWD, name, unix.AT_EMPTY_PATH)
}

func (u unnamed) stat() (fs.FileInfo, error) { return descriptor{fd: u.fd}.Stat() }

func (u *unnamed) close() {
	if u.fd >= 0 {
		syscall.Close(u.fd)
	}
	u.fd = -1
}
