//go:build unix && !linux

package cachedir

import (
	"os"
	"time"
)

// setTime sets the modification time of an open file with the path name.
func setTime(_ int, name string, at time.Time) error { return os.Chtimes(name, at, at) }

// setTimes sets the times of the file at path. A zero time is not set.
func setTimes(path string, access, modified time.Time) error {
	return os.Chtimes(path, access, modified)
}
