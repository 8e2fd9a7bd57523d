//go:build !linux

package main

import "errors"

// linkNew writes a file that has no name, and links it to path.
func linkNew(path string, content []byte) error { return errors.ErrUnsupported }
