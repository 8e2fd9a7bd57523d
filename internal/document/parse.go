package document

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// ErrSum is returned if the checksum of a body is wrong.
var ErrSum = errors.New("wrong checksum")

// Parse is like Unmarshal, but also verifies the body, and returns an error that wraps storage.ErrUnreadable.
func Parse(doc []byte) (*storage.Entry, []byte, error) {
	e, offset, length, err := Locate(doc)
	if err != nil {
		return nil, nil, err
	}
	return e, doc[offset : offset+length : offset+length], nil
}

// Locate is like Parse, but returns the offset and the length of the body in bytes.
func Locate(doc []byte) (e *storage.Entry, offset, length int64, err error) {
	r := reader{buf: doc, size: int64(len(doc))}
	e, offset, length, err = decode(&r)
	if err == nil {
		err = Settle(e, length)
	}
	if err == nil && !e.Foreign && checksum.Sum(doc[offset:offset+length]) != e.Sum {
		err = ErrSum
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%w: %w", storage.ErrUnreadable, err)
	}
	if e.Foreign {
		// The checksum of the whole document identifies an entry that has no checksum.
		e.Stamp = sha256.Sum256(doc)
	}
	return e, offset, length, nil
}

// Own returns a copy of e that a store can write as its own: Foreign and Stamp are not set. It shares
// e's header and slices.
func Own(e *storage.Entry) *storage.Entry {
	own := e.Copy()
	own.Foreign, own.Stamp = false, nil
	return own
}
