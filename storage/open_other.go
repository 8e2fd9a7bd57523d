//go:build !unix

package storage

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

func open(path string) (*os.File, error) { return os.Open(path) }

func openQuietly(path string) (*os.File, error) { return os.Open(path) }

func openNew(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// writeNew makes a file that holds p, with that mode and modification time. Where that fails the file is gone.
func writeNew(name string, p []byte, mode fs.FileMode, at time.Time) error {
	f, err := openNew(name)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil && mode != defaultFileMode {
		err = os.Chmod(name, mode)
	}
	if err == nil {
		err = os.Chtimes(name, at, at)
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}

// exists reports whether there is something at path. What cannot be told counts as there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
