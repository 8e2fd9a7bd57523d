package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// floor is the least that a cache can do: look a URL up in a map, clone the header, because the caller may change
// it, and wrap the bytes in a response. It knows no rules, no bound and no writers, and so needs no lock.
type floor struct{ pages map[string]page }

func newFloor(url string, p page) *floor { return &floor{map[string]page{url: p}} }

func (f *floor) RoundTrip(req *http.Request) (*http.Response, error) {
	p, ok := f.pages[req.URL.String()]
	if !ok {
		return nil, http.ErrNotSupported
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: p.header.Clone(), Body: newBody(p.body), ContentLength: int64(len(p.body)), Request: req,
	}, nil
}

// newRawRead returns what opens a file with these bytes, reads it as the body of a response is read, and closes it:
// the least that a cache in files can do beside the floor.
func newRawRead(dir string, content []byte) (read func() (int64, error), err error) {
	name := filepath.Join(dir, "raw")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return nil, err
	}
	return func() (int64, error) {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return n, err
	}, nil
}

// newRawWrite returns what puts a file with these bytes where a FileCache has the n-th page, by system calls alone: those
// that make the directories that are missing, and those that put a whole file there, without a name before that or with one, whichever
// the system can.
func newRawWrite(dir string, content []byte) (write func(n int) error) {
	put := linkNew
	if probe := filepath.Join(dir, "probe"); put(probe, content) == nil {
		os.Remove(probe)
	} else {
		put = renameNew
	}
	missing := 0 // how many directories the last file needed: most need as many
	return func(n int) error {
		path := entryPath(dir, n)
		parent := filepath.Dir(path)
		made, err := makeDirs(parent, missing)
		if err == nil {
			err = put(path, content)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if made, err = makeDirs(parent, 1); err == nil {
				err = put(path, content)
			}
		}
		missing = made
		return err
	}
}

// renameNew writes a file under another name first.
func renameNew(path string, content []byte) error {
	temp := path + ".temp"
	fd, err := syscall.Open(temp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	_, err = syscall.Write(fd, content)
	if err = errors.Join(err, syscall.Close(fd)); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// makeDirs makes the last n directories that lead to dir, which is the last, and those before them that are missing. It returns how many
// it made, up to dir.
func makeDirs(dir string, n int) (made int, err error) {
	if n < 1 {
		return 0, nil
	}
	if n == 1 {
		err = syscall.Mkdir(dir, 0o700)
	}
	if n > 1 || errors.Is(err, fs.ErrNotExist) {
		if made, err = makeDirs(filepath.Dir(dir), max(n-1, 1)); err != nil {
			return made, err
		}
		err = syscall.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return 0, nil
	}
	return made + 1, err
}

// entryPath returns where a FileCache in dir has the n-th page.
func entryPath(dir string, n int) string {
	const sep = string(filepath.Separator)
	h := storage.Hash(numberedRequest(n).URL.String())
	return dir + sep + h[:1] + sep + h[1:2] + sep + h[2:3] + sep + h[3:4] + sep + h[4:5] + sep + h
}
