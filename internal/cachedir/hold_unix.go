//go:build unix && !solaris && !aix

package cachedir

import (
	"os"
	"syscall"

	"github.com/gofrs/flock"
)

// hold marks f as being written, until it is closed. File systems without such locks ignore it.
func hold(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// newLock returns the lock with the given file name. If create is true, the file is created if necessary. It
// does not follow links, and does not block if the file is a pipe.
func newLock(name string, create bool) (*flock.Flock, error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOFOLLOW
	if create {
		flags |= os.O_CREATE
	}
	return flock.New(name, flock.SetFlag(flags)), nil
}
