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

// acceptEncoding is what the Transport asks for where the caller said nothing: what Python's requests sends, so
// that Vary: Accept-Encoding matches across languages.
const acceptEncoding = "gzip, deflate"

// maxDecodedKept is the longest decoded body that is kept beside a coded one.
const maxDecodedKept = 8 << 20

// maxDrained is how much may follow what a decoder needed and still be read, to see the end.
const maxDrained = 64 << 10

// coding is what a Content-Encoding says: which codings were applied, in their order.
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

// coded says whether any coding was applied.
func (c coding) coded() bool { return len(c.names) > 0 }

// decodes says whether the Transport decodes such a body for a caller who left the negotiation to it.
func (c coding) decodes() bool { return c.coded() && c.known }

// decode makes the response what net/http gives to a caller who set no Accept-Encoding: the body decoded, without
// the fields that speak of the coded one. Reading it to the end reads body to the end. keep is given the decoded body once
// it was read to its end, and damaged is told why it cannot be decoded, where that is not because body ends in an
// error. Both may be nil.
func (c coding) decode(resp *http.Response, body io.ReadCloser, keep func([]byte), damaged func(error)) {
	c.plain(resp)
	resp.Body = &decodedBody{coded: &sourceReader{ReadCloser: body}, names: c.names, keep: keep, damaged: damaged}
}

// plain removes what the response says of its coded body.
func (c coding) plain(resp *http.Response) {
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Uncompressed = true
}

// decodedBody decodes on the first Read, so that the response is handed out before its body has come.
type decodedBody struct {
	coded *sourceReader
	names []string

	closed  atomic.Bool
	turn    sync.Mutex // guards what follows
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

// next reads on, whether the body is closed or not.
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
		// A decoder may stop before the end of what it decodes, which has to be seen for it to be stored.
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

// report tells of a body that came whole and cannot be decoded.
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

// rest decodes what is left of the coded body, so that one that is damaged does not stay stored.
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

// newInflater reads "deflate" as it is defined, in the zlib format, and as some servers send it, without.
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
