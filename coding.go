package cachecontrol

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// acceptEncoding is the Accept-Encoding that the Transport sends if the caller set none. Python's requests sends the same, so that
// Vary: Accept-Encoding matches across languages.
const acceptEncoding = "gzip, deflate"

// maxDecodedKept limits the decoded body that is kept in addition to the coded one.
const maxDecodedKept = 8 << 20

// maxDrained limits the bytes that are read after the end of the coded data, to reach the end of the body.
const maxDrained = 64 << 10

// coding is a parsed Content-Encoding: the codings in the order in which they were applied.
type coding struct {
	names []string
	known bool // all of them can be decoded
}

// parseCoding reads the lines of a Content-Encoding (RFC 9110, section 8.4).
func parseCoding(lines []string) coding {
	c := coding{known: true}
	for _, line := range lines {
		for _, name := range strings.Split(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
				continue
			case "x-gzip":
				name = "gzip"
			case "gzip", "deflate":
			default:
				c.known = false
			}
			c.names = append(c.names, name)
		}
	}
	return c
}

// coded reports whether any coding was applied.
func (c coding) coded() bool { return len(c.names) > 0 }

// decodes reports whether the Transport decodes such a body for a caller that set no Accept-Encoding.
func (c coding) decodes() bool { return c.coded() && c.known }

// decode changes the response as net/http does for a caller that set no Accept-Encoding: the body is decoded, and the fields about
// the coded body are removed. Reading the decoded body to its end reads body to its end. Then keep is called with the decoded
// body. If the body cannot be decoded, damaged is called with the error, unless reading body has failed. Both may be nil.
func (c coding) decode(resp *http.Response, body io.ReadCloser, keep func([]byte), damaged func(error)) {
	c.plain(resp)
	resp.Body = &decodedBody{coded: &sourceReader{ReadCloser: body}, names: c.names, keep: keep, damaged: damaged}
}

// plain removes the fields about the coded body from the response.
func (c coding) plain(resp *http.Response) {
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Uncompressed = true
}

// decodedBody starts decoding at the first Read, so that the response is returned before its body arrives.
type decodedBody struct {
	coded *sourceReader
	names []string

	closed  atomic.Bool
	turn    sync.Mutex // guards the following fields
	r       io.Reader
	err     error
	kept    bytes.Buffer
	keep    func([]byte)
	damaged func(error)
}

// sourceReader remembers whether reading has failed.
type sourceReader struct {
	io.ReadCloser
	failed bool
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.failed = s.failed || err != nil && err != io.EOF
	return n, err
}

func (b *decodedBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(p)
}

// next reads from the decoder even if the body is closed.
func (b *decodedBody) next(p []byte) (int, error) {
	if b.err == nil && b.r == nil {
		b.r, b.err = newDecoder(b.coded, b.names)
		b.report()
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if b.keep != nil {
		if b.kept.Len()+n > maxDecodedKept {
			b.keep, b.kept = nil, bytes.Buffer{}
		} else {
			b.kept.Write(p[:n])
		}
	}
	if err == io.EOF {
		// A decoder may stop before the end of the coded body. It is stored only if its end is read.
		if _, drainErr := io.CopyN(io.Discard, b.coded, maxDrained); drainErr != io.EOF && drainErr != nil {
			err = drainErr
		} else if b.keep != nil {
			b.keep(b.kept.Bytes())
			b.keep = nil
		}
	}
	b.err = err
	b.report()
	return n, err
}

// report calls damaged if the body arrived completely but cannot be decoded.
func (b *decodedBody) report() {
	if b.err != nil && b.err != io.EOF && !b.coded.failed && b.damaged != nil {
		b.damaged(b.err)
		b.damaged = nil
	}
}

func (b *decodedBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	coded, ok := b.coded.ReadCloser.(interface {
		closeAfter(rest func(io.Reader)) error
	})
	if !ok || !b.turn.TryLock() {
		return b.coded.Close()
	}
	b.turn.Unlock() // no Read comes after this
	return coded.closeAfter(b.rest)
}

// rest decodes the rest of the coded body, so that a damaged body does not stay stored.
func (b *decodedBody) rest(coded io.Reader) {
	b.turn.Lock()
	defer b.turn.Unlock()
	b.coded.ReadCloser = io.NopCloser(coded)
	io.Copy(io.Discard, readerFunc(b.next))
}

// readerFunc is a function that reads.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func newDecoder(r io.Reader, names []string) (io.Reader, error) {
	for i := len(names) - 1; i >= 0; i-- {
		var err error
		switch names[i] {
		case "gzip":
			r, err = gzip.NewReader(r)
			if err == io.EOF {
				return bytes.NewReader(nil), nil // an empty body has nothing to decode
			}
		case "deflate":
			r, err = newInflater(r)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// newInflater decodes "deflate" in the zlib format, as it is defined, and without it, as some servers send it.
func newInflater(r io.Reader) (io.Reader, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(2)
	if err != nil && len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return bytes.NewReader(nil), nil
		}
		return nil, err
	}
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(br)
	}
	return flate.NewReader(br), nil
}
