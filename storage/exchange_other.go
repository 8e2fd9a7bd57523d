//go:build !linux

package storage

import "errors"

func exchange(a, b string) error { return errors.ErrUnsupported }

func renameNew(a, b string) error { return errors.ErrUnsupported }
