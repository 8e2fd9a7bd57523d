//go:build !unix || solaris || aix

package storage

import (
	"os"

	"github.com/gofrs/flock"
)

// hold marks f as being written until it is closed. On Windows nobody can remove it meanwhile anyway.
func hold(*os.File) {}

// newLock returns the lock whose file has that name, and is made if create is true. It follows no link.
func newLock(name string, create bool) (*flock.Flock, error) {
	if fi, err := os.Lstat(name); err == nil && fi.Mode()&(os.ModeSymlink|os.ModeIrregular) != 0 {
		return nil, &os.PathError{Op: "lock", Path: name, Err: errIrregular}
	}
	if create {
		return flock.New(name), nil
	}
	return flock.New(name, flock.SetFlag(lockFlag)), nil
}
