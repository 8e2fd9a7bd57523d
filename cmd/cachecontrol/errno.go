//go:build !plan9 && !windows

package main

import "syscall"

const errRefused = syscall.ECONNREFUSED
