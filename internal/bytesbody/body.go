// Package bytesbody is the body of a response that is in memory.
package bytesbody

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"
)

// closed is the offset of a body that was closed.
const closed = math.MinInt64 / 2

// Body reads bytes that stay where they are. Two goroutines that read it at once, as they
// may read a body of net/http's, each have other bytes. The zero value is empty.
type Body struct {
	data []byte
	off  atomic.Int64
}

// New returns a body of data, which must not be changed any more.
func New(data []byte) *Body { return &Body{data: data} }

// Reset has the body be one of data. Nobody may be reading it.
func (b *Body) Reset(data []byte) {
	b.data = data
	b.off.Store(0)
}

// Bytes returns all bytes of the body, read or not. They must not be changed.
func (b *Body) Bytes() []byte { return b.data }

// take returns the next n bytes, or as many as there are.
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

// Close has every later Read, WriteTo and Seek fail.
func (b *Body) Close() error {
	b.off.Store(closed)
	return nil
}

// Seek moves pos in a body of the given size, for bodies of other kinds too.
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
