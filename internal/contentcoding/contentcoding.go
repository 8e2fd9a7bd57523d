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
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// builtin is the Accept-Encoding for the codings that this package decodes by itself. Python's requests sends the same, so
// that Vary: Accept-Encoding matches across languages.
const builtin = "gzip, deflate"

// maxKept limits the decoded body that is passed to keep.
const maxKept = 8 << 20

// maxRest limits what the decoders return for the rest of a body that was closed early. It is more than gzip or deflate can make of
// the 64 KiB that are read in the background by default.
const maxRest = 128 << 20

// maxStacked limits the codings of one body that is decoded.
const maxStacked = 8

// maxDrained limits the bytes that are read after the end of the coded data, to reach the end of the body.
const maxDrained = 64 << 10

// Codings are the codings that can be decoded: gzip, deflate, and those of the decoders that a program adds. A nil *Codings
// has only gzip and deflate.
type Codings struct {
	decoders map[string]Decoder
	accept   string // Accept-Encoding for all of them
}

// New returns Codings with these decoders, by the name of their coding in lower case. A decoder of gzip or deflate replaces that of
// this package.
func New(decoders map[string]Decoder) *Codings {
	if len(decoders) == 0 {
		return nil
	}
	c := &Codings{decoders: maps.Clone(decoders), accept: builtin}
	for _, name := range slices.Sorted(maps.Keys(decoders)) {
		if name != "gzip" && name != "deflate" {
			c.accept += ", " + name
		}
	}
	return c
}

// AcceptEncoding returns the Accept-Encoding for all codings that can be decoded.
func (c *Codings) AcceptEncoding() string {
	if c == nil {
		return builtin
	}
	return c.accept
}

// Coding is a parsed Content-Encoding. The zero value has no coding.
type Coding struct{ stack *stack }

// stack holds the codings in the order in which they were applied.
type stack struct {
	names []string // one at least
	known bool     // all of them can be decoded
	by    *Codings
}

// Parse parses the lines of a Content-Encoding.
func (c *Codings) Parse(lines []string) Coding {
	var names []string
	known := true
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
				continue
			case "x-gzip":
				name = "gzip"
			case "gzip", "deflate":
			default:
				known = known && c != nil && c.decoders[name] != nil
			}
			names = append(names, name)
		}
	}
	if names == nil {
		return Coding{}
	}
	return Coding{&stack{names, known && len(names) <= maxStacked, c}}
}

func (c Coding) names() []string {
	if c.stack == nil {
		return nil
	}
	return c.stack.names
}

// Same reports whether two Content-Encodings name the same codings.
func Same(a, b []string) bool {
	var c *Codings
	return c.Parse(a).Equal(c.Parse(b))
}

// IsIdentity reports whether no coding was applied.
func (c Coding) IsIdentity() bool { return c.stack == nil }

// IsKnown reports whether all codings can be decoded.
func (c Coding) IsKnown() bool { return c.stack == nil || c.stack.known }

// NeedsDecoding reports whether there is a coding, and it can be decoded.
func (c Coding) NeedsDecoding() bool { return c.stack != nil && c.stack.known }

// AcceptedBy reports whether accepts returns true for all codings, or for "identity" if there are none.
func (c Coding) AcceptedBy(accepts func(name string) bool) bool {
	if c.IsIdentity() {
		return accepts("identity")
	}
	return !slices.ContainsFunc(c.names(), func(name string) bool { return !accepts(name) })
}

// Equal reports whether the same codings were applied.
func (c Coding) Equal(other Coding) bool { return slices.Equal(c.names(), other.names()) }

// Decode decodes body, the coded body of resp, and removes the fields about the coded body from resp. If the decoded
// body is read to its end, so is body, and keep is called with the decoded body unless that is too long. If the body
// cannot be decoded, damaged is called with the error, unless reading body has failed. Both may be nil.
func (c Coding) Decode(resp *http.Response, body io.ReadCloser, keep func([]byte), damaged func(error)) {
	RemoveFields(resp)
	resp.Body = &decodedBody{coded: sourceReader{ReadCloser: body}, coding: c, keep: keep, damaged: damaged}
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
	// CloseAfter is like Close, but calls rest once, perhaps in the background, with a reader of the remaining body, or with nil if
	// nothing more is read.
	CloseAfter(rest func(io.Reader)) error
}

// decodedBody starts decoding at the first Read, so that the response is returned before its body arrives.
type decodedBody struct {
	coded  sourceReader
	coding Coding

	closed  atomic.Bool
	turn    sync.Mutex // guards the following fields
	r       io.Reader
	started bool
	closers []io.Closer // of the decoders
	err     error
	resting bool // the rest is decoded
	rested  int  // bytes that the decoders have returned for it
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
	n, err := b.read(p)
	if b.closed.Load() && b.turn.TryLock() { // Close has not waited for this Read
		b.release()
		b.turn.Unlock()
	}
	return n, err
}

func (b *decodedBody) read(p []byte) (int, error) {
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
	if b.err == nil && !b.started {
		b.started = true
		b.r, b.err = b.newDecoder()
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
		} else if b.keep != nil && b.rested <= maxRest {
			b.keep(b.kept.Bytes())
			b.keep = nil
		}
	}
	b.err = err
	b.report()
	return n, err
}

// report releases the decoders at the end of the body. It calls damaged if the body arrived completely but cannot be decoded.
func (b *decodedBody) report() {
	if b.err == nil {
		return
	}
	b.release()
	if b.err != io.EOF && !b.coded.failed && b.rested <= maxRest && b.damaged != nil {
		b.damaged(b.err)
		b.damaged = nil
	}
}

// release closes the decoders. The caller holds turn.
func (b *decodedBody) release() {
	closers := b.closers
	b.r, b.closers = nil, nil
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	for _, c := range closers {
		closeDecoder(c)
	}
}

func (b *decodedBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	coded, ok := b.coded.ReadCloser.(AfterCloser)
	if !b.turn.TryLock() {
		return b.coded.Close() // the Read that is under way releases the decoders
	}
	if !ok {
		b.release()
	}
	b.turn.Unlock() // no Read comes after this
	if !ok {
		return b.coded.Close()
	}
	return coded.CloseAfter(b.rest)
}

// rest decodes the rest of the coded body, so that a damaged body does not stay stored.
func (b *decodedBody) rest(coded io.Reader) {
	b.turn.Lock()
	defer b.turn.Unlock()
	if coded == nil {
		b.release()
		return
	}
	b.coded.ReadCloser = io.NopCloser(coded)
	var err error
	b.resting = true
	for buf := make([]byte, 8<<10); err == nil; {
		_, err = b.next(buf)
	}
	b.release()
}

// stage is what a decoder returns. It limits what all decoders of a body together return for the rest of it. The last one may return
// little although the others return much.
type stage struct {
	io.Reader
	b *decodedBody
}

var errTooMuch = errors.New("cachecontrol: the rest of the body is too long to be decoded")

func (s stage) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if s.b.resting {
		if s.b.rested += n; s.b.rested > maxRest {
			err = errTooMuch
		}
	}
	return n, err
}

// newDecoder returns a reader of the decoded body.
func (b *decodedBody) newDecoder() (io.Reader, error) {
	var r io.Reader = &b.coded
	for _, name := range slices.Backward(b.coding.names()) {
		var err error
		if r, err = b.decoderOf(name, r); err != nil {
			return nil, err
		}
		r = stage{r, b}
	}
	return r, nil
}

func (b *decodedBody) decoderOf(name string, coded io.Reader) (io.Reader, error) {
	if by := b.coding.stack.by; by != nil && by.decoders[name] != nil {
		d, err := newAdded(name, by.decoders[name], coded)
		if d != nil {
			b.closers = append(b.closers, d)
		}
		if d == nil || err != nil {
			return bytes.NewReader(nil), err
		}
		return d, nil
	}
	switch name {
	case "gzip":
		r, err := gzip.NewReader(coded)
		if err == io.EOF {
			return bytes.NewReader(nil), nil // an empty body has nothing to decode
		}
		return r, err
	case "deflate":
		return newInflater(coded)
	}
	return coded, nil
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
