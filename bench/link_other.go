//go:build !linux

package main

import "errors"

// linkNew is supported only on Linux.
func linkNew(path string, content []byte) error { return errors.ErrUnsupported }
