// Package buffer buffers bodies in memory.
package buffer

import (
	"errors"
)

var (
	// ErrTooLarge is storage.ErrTooLarge.
	ErrTooLarge = errors.New("storage: body too large for this store")

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
