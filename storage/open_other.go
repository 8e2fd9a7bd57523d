//go:build !unix

package storage

import "os"

func open(path string) (*os.File, error) { return os.Open(path) }

func openQuietly(path string) (*os.File, error) { return os.Open(path) }
