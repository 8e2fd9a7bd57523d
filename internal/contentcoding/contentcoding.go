// Package contentcoding decodes content codings (RFC 9110, section 8.4) as net/http does for a caller that set no
// Accept-Encoding.
package contentcoding

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// AcceptEncoding is the Accept-Encoding for all codings that this package can decode. Python's requests sends the same,
// so that Vary: Accept-Encoding matches across languages.
const AcceptEncoding = "gzip, deflate"

// maxKept limits the decoded body that is passed to keep.
const maxKept = 8 << 20

// maxDrained limits the bytes that are read after the end of the coded data, to reach the end of the body.
const maxDrained = 64 << 10

// Coding is a parsed Content-Encoding: the codings in the order in which they were applied.
type Coding struct {
	names []string
	known bool // all of them can be decoded
}

// Parse parses the lines of a Content-Encoding.
func Parse(lines []string) Coding {
	c := Coding{known: true}
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

// IsIdentity reports whether no coding was applied.
func (c Coding) IsIdentity() bool { return len(c.names) == 0 }

// IsKnown reports whether this package can decode all codings.
func (c Coding) IsKnown() bool { return c.known }

// NeedsDecoding reports whether there is a coding, and this package can decode it.
func (c Coding) NeedsDecoding() bool { return c.known && !c.IsIdentity() }

// AcceptedBy reports whether accepts returns true for all codings, or for "identity" if there are none.
func (c Coding) AcceptedBy(accepts func(name string) bool) bool {
	if c.IsIdentity() {
		return accepts("identity")
	}
	return !slices.ContainsFunc(c.names, func(name string) bool { return !accepts(name) })
}

// Equal reports whether the same codings were applied.
func (c Coding) Equal(other Coding) bool { return slices.Equal(c.names, other.names) }

// Decode decodes body, the coded body of resp, and removes the fields about the coded body from resp. If the decoded
// body is read to its end, so is body, and keep is called with the decoded body unless that is too long. If the body
// cannot be decoded, damaged is called with the error, unless reading body has failed. Both may be nil.
func (c Coding) Decode(resp *http.Response, body io.ReadCloser, keep func([]byte), damaged func(error)) {
	RemoveFields(resp)
	resp.Body = &decodedBody{coded: sourceReader{ReadCloser: body}, names: c.names, keep: keep, damaged: damaged}
}

// RemoveFields removes the fields about the coded body from resp, whose body is decoded.
func RemoveFields(resp *http.Response) {
	for _, name := range [...]string{"Content-Encoding", "Content-Length", "Content-Digest", "Repr-Digest", "Content-Md5", "Digest"} {
		delete(resp.Header, name)
	}
	resp.ContentLength = -1
	resp.Uncompressed = true
}

// AfterCloser is a body that may be read on in the background after it is closed.
type AfterCloser interface {
	// CloseAfter is like Close, but may call rest in the background to read the remaining body.
	CloseAfter(rest func(io.Reader)) error
}

// decodedBody starts decoding at the first Read, so that the response is returned before its body arrives.
type decodedBody struct {
	coded sourceReader
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
		b.r, b.err = newDecoder(&b.coded, b.names)
		b.report()
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if b.keep != nil {
		if b.kept.Len()+n > maxKept {
			b.keep, b.kept = nil, bytes.Buffer{}
		} else {
			b.kept.Write(p[:n])
		}
	}
	if err == io.EOF {
		// A decoder may stop before the end of the coded body. It is stored only if its end is read.
		if _, drainErr := io.CopyN(io.Discard, &b.coded, maxDrained); drainErr != io.EOF && drainErr != nil {
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
	coded, ok := b.coded.ReadCloser.(AfterCloser)
	if !ok || !b.turn.TryLock() {
		return b.coded.Close()
	}
	b.turn.Unlock() // no Read comes after this
	return coded.CloseAfter(b.rest)
}

// rest decodes the rest of the coded body, so that a damaged body does not stay stored.
func (b *decodedBody) rest(coded io.Reader) {
	b.turn.Lock()
	defer b.turn.Unlock()
	b.coded.ReadCloser = io.NopCloser(coded)
	var err error
	for buf := make([]byte, 8<<10); err == nil; {
		_, err = b.next(buf)
	}
}

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
