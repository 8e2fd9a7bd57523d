package storage

import "syscall"

const noAccessTime = syscall.O_NOATIME
