package main

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// atomicFile is a file that appears under its name only once it is complete.
type atomicFile struct {
	*os.File
	name string // empty if the file is written in place
	done bool
}

// createFile creates a file for writing. An existing file that is not regular, such as /dev/null or a pipe, is written
// in place.
func createFile(name string) (*atomicFile, error) {
	mode := fs.FileMode(0o666)
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &atomicFile{File: f}, err
	case err == nil:
		mode = info.Mode().Perm()
		if name, err = filepath.EvalSymlinks(name); err != nil { // keep a symbolic link, replace its target
			return nil, err
		}
	}
	for try := 0; ; try++ {
		temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+strconv.FormatUint(rand.Uint64(), 36)+".partial")
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err == nil {
			return &atomicFile{File: f, name: name}, nil
		}
		if !errors.Is(err, fs.ErrExist) || try == 3 {
			return nil, err
		}
	}
}

// commit closes the file and renames it to its final name.
func (f *atomicFile) commit() error {
	err := f.Close()
	f.done = true
	if f.name == "" {
		return err
	}
	if err == nil {
		err = os.Rename(f.Name(), f.name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// abort removes the file, unless it was committed.
func (f *atomicFile) abort() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	if f.name != "" {
		os.Remove(f.Name())
	}
}
