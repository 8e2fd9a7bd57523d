package cachedir

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// setTime sets the modification time of an open file. name is its path or "". Linux before 5.8 needs the
// path.
func setTime(fd int, name string, at time.Time) error {
	t := unix.NsecToTimespec(at.UnixNano())
	if unix.UtimesNanoAt(fd, "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH) == nil {
		return nil
	}
	return setTimes(name, at, at)
}

// setTimes sets the times of the file at path. It does not follow links. A zero time is not set.
func setTimes(path string, access, modified time.Time) error {
	times := make([]unix.Timespec, 2)
	for i, t := range []time.Time{access, modified} {
		times[i] = unix.NsecToTimespec(t.UnixNano())
		if t.IsZero() {
			times[i] = unix.Timespec{Nsec: unix.UTIME_OMIT}
		}
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimensat", Path: path, Err: err}
	}
	return nil
}
