// Package bytesbody implements the body of a response in memory.
package bytesbody

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"
)

// closed is the offset of a closed body.
const closed = math.MinInt64 / 2

// Body reads bytes in memory without copying them. If two goroutines read it at once, as they may read a body
// of net/http, each gets different bytes. The zero value is an empty body.
type Body struct {
	data []byte
	off  atomic.Int64
}

// New returns a body of data, which must not be modified afterwards.
func New(data []byte) *Body { return &Body{data: data} }

// Reset makes b a body of data. It must not be called while b is being read.
func (b *Body) Reset(data []byte) {
	b.data = data
	b.off.Store(0)
}

// Bytes returns all bytes of the body, whether they have been read or not. They must not be modified.
func (b *Body) Bytes() []byte { return b.data }

// take returns the next n bytes, or fewer at the end.
func (b *Body) take(n int64) []byte {
	for {
		off := b.off.Load()
		if off < 0 {
			return nil
		}
		end := off + min(n, int64(len(b.data))-off)
		if end <= off {
			return nil
		}
		if b.off.CompareAndSwap(off, end) {
			return b.data[off:end]
		}
	}
}

func (b *Body) Read(p []byte) (int, error) {
	off := b.off.Load()
	if off >= int64(len(b.data)) {
		return 0, io.EOF
	}
	if off < 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	return copy(p, b.take(int64(len(p)))), nil
}

func (b *Body) WriteTo(w io.Writer) (int64, error) {
	rest := b.take(int64(len(b.data)))
	if b.off.Load() < 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(rest) == 0 {
		return 0, nil
	}
	n, err := w.Write(rest)
	if n < len(rest) {
		b.off.Add(int64(n - len(rest)))
		if err == nil {
			err = io.ErrShortWrite
		}
	}
	return int64(n), err
}

func (b *Body) Seek(offset int64, whence int) (int64, error) {
	off := b.off.Load()
	if off < 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	_, err := Seek(&off, int64(len(b.data)), offset, whence)
	if err == nil {
		b.off.Store(off)
	}
	return off, err
}

// Close makes all later calls of Read, WriteTo and Seek fail.
func (b *Body) Close() error {
	b.off.Store(closed)
	return nil
}

// Seek sets *pos in a body of the given size. Other kinds of body use it, too.
func Seek(pos *int64, size, offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += *pos
	case io.SeekEnd:
		offset += size
	default:
		return 0, errors.New("seek: invalid whence")
	}
	if offset < 0 {
		return 0, errors.New("seek: negative position")
	}
	*pos = offset
	return offset, nil
}
