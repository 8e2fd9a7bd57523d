//go:build !unix

package cachedir

import (
	"os"
)

// lockFlag is the flag for opening an existing lock file.
const lockFlag = os.O_RDONLY
