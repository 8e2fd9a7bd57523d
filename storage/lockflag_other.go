//go:build !unix

package storage

import "os"

// lockFlag opens a lock file that is there.
const lockFlag = os.O_RDONLY
