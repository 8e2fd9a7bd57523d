//go:build !unix

package cachedir

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// open is os.Open for directories to which other users may write: it does not follow a link.
func open(path string) (f *os.File, err error) {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errIrregular}
	}
	// On Windows this fails for the moment in which another program renames or removes the file.
	err = untilClosed(10, func() (err error) {
		f, err = os.Open(path)
		return err
	})
	return f, err
}

// openUnused is open. It also returns the state of the file before it was opened, because these systems change its access time.
func openUnused(path string) (f *os.File, before fs.FileInfo, err error) {
	before, _ = lstat(path)
	f, err = open(path)
	return f, before, err
}

// refusesLinks reports whether open refuses links in every part of a path, not only in the last.
func refusesLinks() bool { return false }

// checkDir returns false, because this system cannot check all parts of a path at once.
func checkDir(string) (known bool, err error) { return false, nil }

// isLoop reports whether err means that a path was not opened because it contains a link.
func isLoop(err error) bool { return errors.Is(err, errIrregular) }

func readDir(dir string) (list []fs.DirEntry, err error) {
	err = untilClosed(10, func() (err error) {
		list, err = os.ReadDir(dir)
		return err
	})
	return list, err
}

func setTimes(path string, access, modified time.Time) error {
	return os.Chtimes(path, access, modified)
}

func openNew(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, defaultFileMode)
}

// writeNew creates a file that contains p, with the given mode and modification time. If it fails, it removes
// the file.
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

// exists reports whether there is a file at path. It returns true if that cannot be determined.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
