package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A content is a body whose bytes depend on its version and their offset, so that each byte shows whether it belongs where it is. It
// is computed when it is read, so it may be longer than the memory.
type content struct {
	version uint64
	size    int64
}

func (c content) tag() string { return `"` + strconv.FormatUint(c.version, 16) + `"` }

// parseTag returns the version with this tag.
func parseTag(tag string) (version uint64, err error) {
	return strconv.ParseUint(strings.Trim(tag, `"`), 16, 64)
}

// fill fills p with the bytes at off.
func (c content) fill(p []byte, off int64) {
	for len(p) > 0 {
		x := (uint64(off)>>3 + c.version<<40) * 0x9e3779b97f4a7c15
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 32
		if skip := off & 7; skip > 0 || len(p) < 8 {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], x)
			n := copy(p, word[skip:])
			p, off = p[n:], off+int64(n)
			continue
		}
		binary.LittleEndian.PutUint64(p, x)
		p, off = p[8:], off+8
	}
}

// errWrongByte is the error for a body with bytes that the content does not have.
var errWrongByte = errors.New("wrong bytes")

// check reads r, which should have the bytes from off to end, and returns how many it has read. The error is nil if r has exactly
// these, and errWrongByte if it has others or more.
func (c content) check(r io.Reader, off, end int64) (n int64, err error) {
	got, want := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		k, err := r.Read(got)
		if int64(k) > end-off-n {
			return n, fmt.Errorf("%w: more than %d", errWrongByte, end-off)
		}
		c.fill(want[:k], off+n)
		if !bytes.Equal(got[:k], want[:k]) {
			return n, fmt.Errorf("%w: between %d and %d of version %x", errWrongByte, off+n, off+n+int64(k), c.version)
		}
		n += int64(k)
		switch {
		case err == io.EOF && n < end-off:
			return n, fmt.Errorf("%w: only %d of %d", errWrongByte, n, end-off)
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// reader returns a reader of the content, for http.ServeContent.
func (c content) reader() io.ReadSeeker { return &contentReader{content: c} }

type contentReader struct {
	content
	off int64
}

func (r *contentReader) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), r.size-r.off))
	if n <= 0 {
		return 0, io.EOF
	}
	r.fill(p[:n], r.off)
	r.off += int64(n)
	return n, nil
}

func (r *contentReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.size
	}
	r.off = offset
	return offset, nil
}

// serve answers a request for the content.
func (c content) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Etag", c.tag())
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, c.reader())
}
