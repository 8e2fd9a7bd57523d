//go:build !unix

package storage

import "os"

func open(path string) (*os.File, error) { return os.Open(path) }

func openQuietly(path string) (*os.File, error) { return os.Open(path) }

func openNew(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
