package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
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
