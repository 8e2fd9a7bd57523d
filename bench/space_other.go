//go:build !linux

package main

import "errors"

// checkSpace is supported only on Linux.
func checkSpace(string, int64, int64) error { return errors.ErrUnsupported }
