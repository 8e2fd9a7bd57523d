package cachedir

import (
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
