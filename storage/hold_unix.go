//go:build unix && !solaris && !aix

package storage

import (
	"os"
	"syscall"

	"github.com/gofrs/flock"
)

// hold says to others that somebody writes f, until it is closed. A file system without such locks goes without.
func hold(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// newLock returns the lock whose file has that name. Taking it does not wait where that is a pipe.
func newLock(name string) *flock.Flock {
	return flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDONLY|syscall.O_NONBLOCK))
}
