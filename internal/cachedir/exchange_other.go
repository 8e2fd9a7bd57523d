//go:build !linux

package cachedir

import (
	"errors"
)

func exchange(a, b string) error { return errors.ErrUnsupported }

func renameNew(a, b string) error { return errors.ErrUnsupported }
