package directory

import (
	"syscall"
)

const noAccessTime = syscall.O_NOATIME
