//go:build unix && !linux

package storage

import (
	"os"
	"time"
)

// setTime sets the modification time of a file that is open, and is at name, too.
func setTime(_ int, name string, at time.Time) error { return os.Chtimes(name, at, at) }
