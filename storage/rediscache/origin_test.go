package rediscache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-cachecontrol/cachecontrol"
)

// origin answers at once, with a body that follows from the path.
type origin struct{}

func (origin) RoundTrip(req *http.Request) (*http.Response, error) {
	body := bodyOf(req.URL.Path)
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header:        http.Header{"Cache-Control": {"max-age=3600"}, "Etag": {`"` + req.URL.Path + `"`}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// bodyOf makes bodies of 100 bytes to 60 KB.
func bodyOf(path string) string {
	sum := 0
	for _, c := range path {
		sum = sum*31 + int(c)
	}
	return strings.Repeat(path+"\n", 5+sum&0x7ff)
}

var errTorn = errors.New("another body")

// fetch makes a request. It returns how it was answered, and an error where it was not, or with another's body.
func fetch(tr *cachecontrol.Transport, path string) (cachecontrol.Outcome, error) {
	req, err := http.NewRequest("GET", "http://example.com"+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if string(body) != bodyOf(path) {
		return 0, fmt.Errorf("%w: %s, %d bytes", errTorn, path, len(body))
	}
	return cachecontrol.StatusOf(resp).Outcome, nil
}
