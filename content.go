package cachecontrol

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// maxKeyedContent is the length of the longest content of a request that can be part of a key.
const maxKeyedContent = 1 << 20

// takeContent reads the content of a request into memory and computes the digest for its key. The query then has a copy of the
// request, whose GetBody returns what was read. If the content cannot be part of a key, takeContent returns the reason, and the
// copy carries the content of the request. It returns an error if the request ends first.
//
// GetBody of the caller's request is not used for this. It might return other bytes than the body, and the response would
// answer requests that it is not for.
func (e *engine) takeContent(q *query) (rules.Reason, error) {
	method := cmp.Or(q.req.Method, http.MethodGet)
	switch {
	case len(q.req.Trailer) > 0, q.req.ContentLength > maxKeyedContent:
		return rules.BodyNotCacheable, nil
	case !hasBody(q.req):
		q.digest = contentDigest(method, q.header, noContent, nil)
		return rules.ReasonNone, nil
	}
	c, err := readContent(q.req)
	if err != nil {
		return rules.ReasonNone, err
	}
	req := *q.req
	q.req = &req
	if n := int64(len(c.read)); c.err != nil || n > maxKeyedContent || req.ContentLength > 0 && n != req.ContentLength {
		req.Body = &passedBody{c.rest(req.Body), req.Body}
		return rules.BodyNotCacheable, nil
	}
	req.Body.Close()
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.read)), nil }
	req.Body, _ = req.GetBody()
	content, form := e.normalized(q, c.read)
	q.digest = contentDigest(method, q.header, form, content)
	return rules.ReasonNone, nil
}

// normalized returns the content for the key, as Transport.NormalizeContent returns it, and whether it has done so.
func (e *engine) normalized(q *query, content []byte) ([]byte, contentForm) {
	kind := q.header["Content-Type"]
	if e.normalize == nil || q.cc.NoTransform || len(kind) != 1 || q.header["Content-Encoding"] != nil {
		return content, asSent
	}
	if normal := e.normalize(kind[0], bytes.Clone(content)); normal != nil {
		return normal, normalForm
	}
	return content, asSent
}

// contentRead is the beginning of the body of a request, at most maxKeyedContent bytes and one more.
type contentRead struct {
	read     []byte
	err      error // why there is no more; nil at the end of the body
	panicked any   // value of a panic in the body
}

// errNoContent is the error of a body that has ended the goroutine of its reader.
var errNoContent = errors.New("cachecontrol: the body of the request has not returned from Read")

// readContent reads the body of a request. If the request ends before Read returns, readContent closes the body and returns
// an error, as http.Transport does.
func readContent(req *http.Request) (contentRead, error) {
	body, ended := req.Body, make(chan contentRead, 1)
	go func() {
		c := contentRead{err: errNoContent}
		defer func() {
			c.panicked = recover()
			ended <- c
		}()
		room := min(max(req.ContentLength, 0), maxKeyedContent) + bytes.MinRead
		b := bytes.NewBuffer(make([]byte, 0, room))
		_, c.err = b.ReadFrom(io.LimitReader(body, maxKeyedContent+1))
		c.read = b.Bytes()
	}()
	select {
	case c := <-ended:
		if c.panicked != nil {
			body.Close()
			panic(c.panicked)
		}
		return c, nil
	case <-req.Context().Done():
		go body.Close() // it may wait for Read
		return contentRead{}, context.Cause(req.Context())
	//lint:ignore SA1019 http.Client sets it, and so do old programs
	case <-req.Cancel:
		go body.Close()
		return contentRead{}, context.Canceled
	}
}

// rest returns a reader of the whole body, which begins with what was read of it.
func (c *contentRead) rest(body io.Reader) io.Reader {
	read := bytes.NewReader(c.read)
	switch {
	case c.err != nil:
		return io.MultiReader(read, failingReader{c.err})
	case len(c.read) > maxKeyedContent:
		return io.MultiReader(read, body)
	}
	return read
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// passedBody is the body of a request whose content was read, but is not part of a key.
type passedBody struct {
	io.Reader
	io.Closer
}
