package cachedir

import (
	"syscall"
)

const noAccessTime = syscall.O_NOATIME
