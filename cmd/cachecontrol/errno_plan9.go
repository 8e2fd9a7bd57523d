package main

import (
	"syscall"
)

// errRefused is the text of the system's error. Plan 9 has no error numbers.
const errRefused = syscall.ErrorString("connection refused")
