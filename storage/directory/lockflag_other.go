//go:build !unix

package directory

import (
	"os"
)

// lockFlag is the flag for opening an existing lock file.
const lockFlag = os.O_RDONLY
