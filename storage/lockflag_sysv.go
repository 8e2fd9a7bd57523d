//go:build solaris || aix

package storage

import "os"

// lockFlag opens a lock file that is there. These systems lock no file that cannot be written to.
const lockFlag = os.O_RDWR
