//go:build solaris || aix

package cachedir

import (
	"os"
)

// lockFlag is the flag for opening an existing lock file. These systems can only lock a file that is open for
// writing.
const lockFlag = os.O_RDWR
