//go:build !unix || solaris || aix

package storage

import (
	"os"

	"github.com/gofrs/flock"
)

// hold says to others that somebody writes f, until it is closed. On Windows nobody can remove it meanwhile anyway.
func hold(*os.File) {}

// newLock returns the lock whose file has that name.
func newLock(name string) *flock.Flock { return flock.New(name) }
