package storage

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// setTime sets the modification time of a file that is open, and is at name, too. Linux before 5.8 needs the name.
func setTime(fd int, name string, at time.Time) error {
	t := unix.NsecToTimespec(at.UnixNano())
	if unix.UtimesNanoAt(fd, "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH) == nil {
		return nil
	}
	return os.Chtimes(name, at, at)
}
