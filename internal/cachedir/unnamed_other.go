//go:build !linux

package cachedir

import (
	"errors"
	"io/fs"
	"time"
)

// unnamed is a file that has no name yet. This system does not support them.
type unnamed struct{}

func newUnnamed(string, []byte, fs.FileMode, time.Time) (unnamed, error) {
	return unnamed{}, errors.ErrUnsupported
}

func (unnamed) link(string) error { return errors.ErrUnsupported }

func (unnamed) stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

func (unnamed) close() {}
