//go:build unix && !solaris && !aix

package storage

import (
	"os"
	"syscall"
)

// hold says to others that somebody writes f, until it is closed. A file system without such locks goes without.
func hold(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
