//go:build !linux

package directory

import (
	"errors"
)

func exchange(a, b string) error { return errors.ErrUnsupported }

func renameNew(a, b string) error { return errors.ErrUnsupported }
