package main

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// floor does the minimum that a cache must do. It looks a URL up in a map, clones the header, because the caller may
// modify it, and wraps the bytes in a response. It has no rules, no bound and no writers, so it needs no lock.
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

// newRawRead returns a function that opens a file with these bytes, reads it as the body of a response is read, and
// closes it. This is the minimum that a cache in files must do in addition to the floor.
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

// newAES returns a function that decrypts and authenticates these bytes in chunks with AES-256-GCM. This is the minimum that
// a sealed store must do in addition to the store behind it.
func newAES(content []byte) (open func() error, err error) {
	const chunk = 64 << 10 // as storage.Sealed has them
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize()) // the same for all, which only a benchmark may do
	var sealed [][]byte
	for part := range slices.Chunk(content, chunk) {
		sealed = append(sealed, aead.Seal(nil, nonce, part, nil))
	}
	room := make([]byte, 0, chunk)
	return func() error {
		for _, part := range sealed {
			if _, err := aead.Open(room, nonce, part, nil); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// newRawWrite returns a function that writes a file with these bytes to the path of the n-th page in a FileCache,
// using only system calls. They make the missing directories and put the whole file there, by linking a file without
// a name if the system supports that, and by renaming otherwise.
func newRawWrite(dir string, content []byte) (write func(n int) error) {
	put := linkNew
	if probe := filepath.Join(dir, "probe"); put(probe, content) == nil {
		os.Remove(probe)
	} else {
		put = renameNew
	}
	missing := 0 // the number of directories that the last file needed; most files need the same number
	return func(n int) error {
		path := entryPath(dir, numberedRequest(n).URL.String())
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

// renameNew writes a file under a temporary name and renames it to path.
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

// makeDirs makes the last n directories of the path dir, and those before them that are missing. It returns how many
// it has made.
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

// entryPath returns the path of the entry under key of a FileCache in dir.
func entryPath(dir, key string) string {
	const sep = string(filepath.Separator)
	h := cachedir.Hash(key)
	return dir + sep + h[:1] + sep + h[1:2] + sep + h[2:3] + sep + h[3:4] + sep + h[4:5] + sep + h
}
