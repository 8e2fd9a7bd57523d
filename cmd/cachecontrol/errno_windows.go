package main

import "syscall"

// errRefused is the number of Winsock. syscall.ECONNREFUSED is a number of Go, which Windows never returns.
const errRefused = syscall.Errno(10061)
