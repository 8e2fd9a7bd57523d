//go:build !plan9

package main

import "syscall"

const errRefused = syscall.ECONNREFUSED
