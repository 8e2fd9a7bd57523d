// Package storage defines Store, which keeps the HTTP responses of a Transport, and implements it in memory.
//
//	NewDictCache    in memory, bounded; the default store of a Transport
//	Tiered          a DictCache in front of a store that several machines share
//	Sealed          encrypts what it stores in another store
//
// Other packages implement other stores:
//
//	directory                directories that can be shared with Python's CacheControl
//	kv                       anything that gets, sets and deletes values of bytes
//	rediscache, memcached    servers that several machines share
//
// The package storagetest tests implementations of Store.
package storage

import (
	"context"
	"errors"
	"io"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
)

var (
	// ErrNotFound is returned if there is no usable entry under the key.
	ErrNotFound = errors.New("storage: not found")

	// ErrUnreadable is returned if there is an entry that cannot be used: it is truncated, its format version, a
	// type or the checksum is wrong, or the body belongs to another entry. It wraps ErrNotFound, so that such an
	// entry is treated as missing.
	ErrUnreadable error = unreadableError{}

	// ErrChanged is returned by Update if the stored body is not the one that the entry was read with, and by
	// CommitIf and UpdateIf if their function returns false.
	ErrChanged = errors.New("storage: the stored body has changed")

	// ErrTooLarge is returned if an entry is larger than the store allows, or if its metadata is longer than 2 MiB
	// or has more than 65,536 elements in one of its parts.
	ErrTooLarge = buffer.ErrTooLarge

	// ErrClosed is returned if the store is closed.
	ErrClosed = errors.New("storage: closed")

	// ErrSuspended is returned if the store did not call its server because the server failed to answer a
	// moment ago. The call that failed returned another error.
	ErrSuspended = errors.New("storage: suspended after a failure")
)

// MarksKey is the key of the entry that lists the prefixes of URLs which were invalidated, and when the Store was cleared:
// see "Invalidated groups and prefixes" in docs/storage.md. It must stay in the Store for as long as any other entry. A
// Store that evicts entries should not evict it; it takes at most 128 KiB.
const MarksKey = cachekey.MarksSuffix

// Store stores entries and their bodies.
//
// Keys are opaque, may contain any byte, and may be long. All methods are safe for concurrent use. Several
// processes may use the same store if its documentation says so. A method that takes a context may give up
// when the context ends. An entry is visible either completely or not at all: never before Commit, and never
// with the body of another entry.
type Store interface {
	// Get returns the entry under key, or an error that wraps ErrNotFound. The caller must close its Body,
	// and can read it to the end even if the entry is replaced or deleted meanwhile.
	Get(ctx context.Context, key string) (*Response, error)

	// Create returns a Writer for the body of a new entry. Commit replaces any entry stored under key. The
	// store retains e. Until Commit the caller may still set e.Trailer, e.Generation and e.Variants, but must
	// not change anything else. The store computes the length and checksum of the body itself; e.Length is
	// only a hint, the expected length or -1.
	Create(ctx context.Context, key string, e *Entry) (Writer, error)

	// Update replaces the metadata of the entry under key with e, a modified Clone of the entry that Get
	// returned. The body is kept. If there is no entry under key, Update returns an error that wraps
	// ErrNotFound; if the entry has another body by now, it returns one that wraps ErrChanged. In both cases
	// nothing is changed.
	Update(ctx context.Context, key string, e *Entry) error

	// Delete removes the entry under key. Deleting a missing key is not an error.
	Delete(ctx context.Context, key string) error
}

// Writer writes the body of a new entry. Exactly one call of Commit or Abort ends it. Any call after that
// returns an error and changes nothing, except that Abort after Commit is allowed and does nothing. A Writer
// is not safe for concurrent use.
type Writer interface {
	io.Writer
	Commit() error // makes the entry visible
	Abort() error  // discards the entry
}

// Response is an entry with its body, as returned by a Store.
type Response struct {
	Entry *Entry // shared; must not be modified

	// Body returns the bytes as the origin sent them, Entry.Length in all. It may implement io.Seeker and
	// io.WriterTo. If the checksum of the body is wrong, reading ends in an error that wraps
	// ErrUnreadable.
	Body io.ReadCloser

	// Decoded is the body without its content codings, if the store was given it with DecodedKeeper.
	// Otherwise it is nil. It is shared and must not be modified.
	Decoded []byte
}

// unreadableError is the type of ErrUnreadable.
type unreadableError struct{}

func (unreadableError) Error() string { return "storage: unreadable entry" }

func (unreadableError) Unwrap() error { return ErrNotFound }
