package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// replay returns the recorded response or error as net/http would.
func (x *interaction) replay(req *http.Request) (*http.Response, error) {
	if x.resp == nil {
		return nil, x.fail
	}
	r := x.resp
	resp := &http.Response{
		Status: r.status, StatusCode: r.code, Proto: r.proto, Header: r.header.Clone(), Body: http.NoBody, Request: req,
	}
	version := strings.TrimPrefix(r.proto, "HTTP/")
	major, minor, _ := strings.Cut(version, ".")
	resp.ProtoMajor, _ = strconv.Atoi(major)
	resp.ProtoMinor, _ = strconv.Atoi(minor)
	resp.TransferEncoding = resp.Header["Transfer-Encoding"]
	resp.Header.Del("Transfer-Encoding")

	if r.bodyless(req.Method) {
		if req.Method == http.MethodHead {
			resp.ContentLength = rules.ContentLength(r.header)
		}
		return resp, nil
	}
	body := r.body
	if r.gzip {
		switch accepted := req.Header.Values("Accept-Encoding"); {
		case len(accepted) == 0 && req.Header.Get("Range") == "":
			// http.Transport asked for gzip itself and decodes it.
			resp.Header.Del("Content-Encoding")
			resp.Uncompressed = true
		case strings.Contains(strings.ToLower(strings.Join(accepted, ",")), "gzip"):
			body = gzipped(body)
		default:
			resp.Header.Del("Content-Encoding")
		}
	}
	switch {
	case r.cut || x.fail != nil:
		resp.ContentLength = rules.ContentLength(r.header)
	case r.chunked() || r.stream || resp.Uncompressed:
		resp.ContentLength = -1
	default:
		resp.ContentLength = int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	b := &replayedBody{x: x, resp: resp, ctx: req.Context(), closed: make(chan struct{})}
	b.r.Reset(body)
	if len(r.trailer) > 0 {
		resp.Trailer = make(http.Header, len(r.trailer))
		for name := range r.trailer {
			resp.Trailer[name] = nil
		}
	}
	resp.Body = b
	return resp, nil
}

// A replayedBody ends in the same way as the recorded body.
type replayedBody struct {
	x      *interaction
	resp   *http.Response
	ctx    context.Context
	r      bytes.Reader
	once   sync.Once
	closed chan struct{}
}

// patience limits how long a body waits to be closed, if the recorded body was closed before its end.
const patience = 30 * time.Second

var errClosed = errors.New("http: read on closed response body")

func (b *replayedBody) Read(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, errClosed
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	default:
	}
	n, err := b.r.Read(p)
	switch {
	case err != io.EOF:
		return n, err
	case b.x.fail != nil:
		return n, b.x.fail
	case b.x.resp.cut:
		return n, b.wait()
	}
	for name, values := range b.x.resp.trailer {
		b.resp.Trailer[name] = values
	}
	return n, io.EOF
}

// wait returns when the body is closed or the request is cancelled. The recording has nothing after that.
func (b *replayedBody) wait() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.closed:
		return errClosed
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-timer.C:
		return fmt.Errorf("cachetest: the recording of %s ends here because its reader closed the body", b.x.req)
	}
}

func (b *replayedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
