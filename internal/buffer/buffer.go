// Package buffer buffers bodies in memory.
package buffer

import (
	"errors"
	"fmt"
)

// MaxHead limits the metadata of an entry in bytes. Longer metadata is neither stored nor read, so that a damaged or
// hostile document costs little. A header of 1 MiB, ten times what servers and proxies commonly accept, still fits
// even if each of its fields is written twice, as in a document of the package serialize.
const MaxHead = 2 << 20

var (
	// ErrTooLarge is storage.ErrTooLarge.
	ErrTooLarge = errors.New("storage: entry too large for this store")

	// ErrHeadTooLong is returned if the metadata of an entry exceeds MaxHead or has more than 65,536 elements in
	// one of its parts.
	ErrHeadTooLong = fmt.Errorf("%w: metadata longer than 2 MiB", ErrTooLarge)

	// ErrEnded is returned by a Writer that has ended.
	ErrEnded = errors.New("storage: write after Commit or Abort")
)

// Buffer buffers a body of at most Room bytes in memory.
type Buffer struct {
	Data []byte
	Room int64
	Hint int64 // the expected length, or -1
	Err  error
}

// trustedHint limits the memory that is allocated because of an announced length before that many bytes have
// arrived.
const trustedHint = 1 << 20

// Write appends p, or returns ErrTooLarge.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.Err != nil {
		return 0, b.Err
	}
	need := int64(len(b.Data)) + int64(len(p))
	if need > b.Room {
		b.Data, b.Err = nil, ErrTooLarge
		return 0, b.Err
	}
	if need > int64(cap(b.Data)) {
		size := min(b.Hint, b.Room)
		if need <= trustedHint {
			size = min(size, trustedHint)
		}
		if size >= need {
			b.Data = append(make([]byte, 0, size), b.Data...)
		}
	}
	b.Data = append(b.Data, p...)
	return len(p), nil
}

// Compact returns the body in a slice with little unused capacity, so that its length is about the memory it
// takes.
func (b *Buffer) Compact() []byte {
	if spare := cap(b.Data) - len(b.Data); spare > 64 && spare > len(b.Data)/16 {
		return append(make([]byte, 0, len(b.Data)), b.Data...)
	}
	return b.Data
}
