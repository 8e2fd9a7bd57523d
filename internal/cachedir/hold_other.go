//go:build !unix || solaris || aix

package cachedir

import (
	"os"

	"github.com/gofrs/flock"
)

// hold does nothing here. On Windows an open file cannot be removed.
func hold(*os.File) {}

// newLock returns the lock with the given file name. If create is true, the file is created if necessary. It
// does not follow links.
func newLock(name string, create bool) (*flock.Flock, error) {
	if fi, err := os.Lstat(name); err == nil && fi.Mode()&(os.ModeSymlink|os.ModeIrregular) != 0 {
		return nil, &os.PathError{Op: "lock", Path: name, Err: errIrregular}
	}
	if create {
		return flock.New(name), nil
	}
	return flock.New(name, flock.SetFlag(lockFlag)), nil
}
