package cachedir

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// refusesLinks reports whether openat2 is available. With it, openDescriptor refuses links in every part of a
// path, not only in the last. It was added in Linux 5.6. On Android, a program that calls it is killed.
var refusesLinks = sync.OnceValue(func() bool {
	if runtime.GOOS == "android" {
		return false
	}
	fd, err := openat2("/", unix.O_PATH|syscall.O_DIRECTORY|syscall.O_CLOEXEC)
	if err != nil {
		return false
	}
	syscall.Close(fd)
	return true
})

func openat2(path string, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_NO_SYMLINKS}
	if flags&(syscall.O_CREAT|unix.O_TMPFILE&^syscall.O_DIRECTORY) != 0 {
		how.Mode = defaultFileMode
	}
	return unix.Openat2(unix.AT_FDCWD, path, &how)
}

// openOnce is open(2), but refuses links.
func openOnce(path string, flags int) (int, error) {
	if refusesLinks() {
		return openat2(path, flags)
	}
	return syscall.Open(path, flags|syscall.O_NOFOLLOW, defaultFileMode)
}

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
