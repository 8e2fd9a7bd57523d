//go:build unix && !linux

package cachedir

import (
	"os"
	"syscall"
)

// refusesLinks reports whether open refuses links in every part of a path, not only in the last.
func refusesLinks() bool { return false }

// openOnce is open(2), but refuses a link in the last part of the path.
func openOnce(path string, flags int) (int, error) {
	return syscall.Open(path, flags|syscall.O_NOFOLLOW, defaultFileMode)
}

func openReading(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW|flags, 0)
}

// checkDir returns false, because this system cannot check all parts of a path at once.
func checkDir(string) (known bool, err error) { return false, nil }
