package main

import "syscall"

// errRefused is the text of the system's error, which has no number here.
const errRefused = syscall.ErrorString("connection refused")
