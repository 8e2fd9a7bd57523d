// Package parttest is for tests: files whose bytes show whether they are where they belong, and attacks on the stored parts of a
// file.
package parttest

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

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// File is a file whose bytes depend on its version and their offset, so that each byte shows whether it belongs where it is. The bytes
// are computed when they are read, so it may be longer than the memory.
type File struct {
	Version uint64
	Size    int64
}

// Tag returns the entity tag.
func (f File) Tag() string { return `"` + strconv.FormatUint(f.Version, 16) + `"` }

// ParseTag returns the version with this tag.
func ParseTag(tag string) (version uint64, err error) {
	return strconv.ParseUint(strings.Trim(tag, `"`), 16, 64)
}

// Fill fills p with the bytes at off.
func (f File) Fill(p []byte, off int64) {
	for len(p) > 0 {
		var b block
		n := copy(p, f.bytes(&b, off, len(p)))
		p, off = p[n:], off+int64(n)
	}
}

// Wrong returns the index of the first byte of p, which should have the bytes at off, that the file does not have there, or -1.
//
//go:norace
func (f File) Wrong(p []byte, off int64) int {
	for i := 0; i < len(p); {
		var b block
		want := f.bytes(&b, off+int64(i), len(p)-i)
		if !bytes.Equal(p[i:i+len(want)], want) {
			for ; p[i] == want[0]; i++ {
				want = want[1:]
			}
			return i
		}
		i += len(want)
	}
	return -1
}

// A block is memory for some bytes of a file. The race detector, which is slow, does not see how they are computed.
type block [4 << 10]byte

// bytes returns the bytes at off, at most n, in b.
//
//go:norace
func (f File) bytes(b *block, off int64, n int) []byte {
	skip := int(off & 7)
	end := min(len(b), skip+n)
	for i := 0; i < end; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], f.word(off>>3+int64(i)>>3))
	}
	return b[skip:end]
}

// word returns the eight bytes at 8*i.
func (f File) word(i int64) uint64 {
	x := (uint64(i) + f.Version<<40) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

// ErrWrong is the error for a body with bytes that the file does not have.
var ErrWrong = errors.New("wrong bytes")

// Check reads r, which should return the bytes from off to end, and returns how many it has read. The error is nil if r has exactly
// these, and ErrWrong if it has others or more.
func (f File) Check(r io.Reader, off, end int64) (n int64, err error) {
	got := make([]byte, 32<<10)
	for {
		k, err := r.Read(got)
		if int64(k) > end-off-n {
			return n, fmt.Errorf("%w: more than %d", ErrWrong, end-off)
		}
		if i := f.Wrong(got[:k], off+n); i >= 0 {
			return n, fmt.Errorf("%w: at %d of version %x", ErrWrong, off+n+int64(i), f.Version)
		}
		n += int64(k)
		switch {
		case err == io.EOF && n < end-off:
			return n, fmt.Errorf("%w: only %d of %d", ErrWrong, n, end-off)
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// Reader returns a reader of the file, for http.ServeContent.
func (f File) Reader() io.ReadSeeker { return &reader{File: f} }

type reader struct {
	File
	off int64
}

func (r *reader) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), r.Size-r.off))
	if n <= 0 {
		return 0, io.EOF
	}
	r.Fill(p[:n], r.off)
	r.off += int64(n)
	return n, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.Size
	}
	r.off = offset
	return offset, nil
}

// ServeHTTP serves the file.
func (f File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Etag", f.Tag())
	h.Set("Cache-Control", "max-age=3600")
	h.Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f.Reader())
}

// RoundTrip answers a request for the file or for one range of it.
func (f File) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: f.Size,
		Header: http.Header{"Etag": {f.Tag()}, "Cache-Control": {"max-age=86400"}, "Content-Type": {"application/octet-stream"}},
	}
	start := int64(0)
	asked, ranged := rules.ParseRange(req.Header["Range"])
	if tag := req.Header.Get("If-Range"); tag != "" && tag != f.Tag() {
		ranged = false
	}
	switch from, end, ok := asked.Within(f.Size); {
	case req.Header.Get("If-None-Match") == f.Tag():
		resp.Status, resp.StatusCode, resp.ContentLength = "304 Not Modified", http.StatusNotModified, 0
		resp.Body = http.NoBody
		return resp, nil
	case ranged && ok:
		resp.Status, resp.StatusCode, resp.ContentLength = "206 Partial Content", http.StatusPartialContent, end-from
		resp.Header.Set("Content-Range", rules.ContentRange{First: from, Last: end - 1, Total: f.Size}.String())
		start = from
	case ranged:
		resp.Status, resp.StatusCode, resp.ContentLength = "416 Range Not Satisfiable", http.StatusRequestedRangeNotSatisfiable, 0
		resp.Header.Set("Content-Range", "bytes */"+strconv.FormatInt(f.Size, 10))
	}
	resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	resp.Body = io.NopCloser(io.LimitReader(&reader{f, start}, resp.ContentLength))
	return resp, nil
}
