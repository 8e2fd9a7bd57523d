//go:build !unix

package storage

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// open is os.Open for a path where other users may have put something: it follows no link.
func open(path string) (*os.File, error) {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errIrregular}
	}
	return os.Open(path)
}

func openQuietly(path string) (*os.File, error) { return open(path) }

// refusesLinks reports whether open refuses links in every part of a path, and not only in the last.
func refusesLinks() bool { return false }

// checkDir reports whether it knows that no part of the path of a directory is a link.
func checkDir(string) (known bool, err error) { return false, nil }

// isLoop reports whether err says that a path was not opened because there is a link in it.
func isLoop(err error) bool { return errors.Is(err, errIrregular) }

func readDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// setTimes sets the times of the file at path.
func setTimes(path string, access, modified time.Time) error {
	return os.Chtimes(path, access, modified)
}

func openNew(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, defaultFileMode)
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
