//go:build unix && !linux

package storage

import (
	"os"
	"time"
)

// setTime sets the modification time of a file that is open, and is at name, too.
func setTime(_ int, name string, at time.Time) error { return os.Chtimes(name, at, at) }

// setTimes sets the times of the file at path. A zero time stays as it is.
func setTimes(path string, access, modified time.Time) error {
	return os.Chtimes(path, access, modified)
}
