// Package storage keeps stored responses: in memory, in directories that Python's CacheControl can share,
// or in anything that implements Store or KV.
//
//	NewDictCache                  in memory, bounded; what a Transport has that is given no Store
//	NewFileCache                  a directory, one file for each entry
//	NewSeparateBodyFileCache      a directory, with bodies in files of their own; for long ones
//	Tiered                        a DictCache before a store that several machines share
//	FromKV, FromCache             over anything that gets, sets and deletes bytes
//
// rediscache and memcached below it are for several machines, and storagetest has the tests of a Store. OpenDirectory and
// Trim are for tools that look into a directory of a file cache, or bring it within a bound, while programs use it.
package storage

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

var (
	// ErrNotFound says that nothing usable is stored under the key. An entry that cannot be read is
	// reported as one that is not there: the error then also wraps an *UnreadableError.
	ErrNotFound = errors.New("storage: not found")

	// ErrChanged says that Update found another body stored than the one that its entry was read with.
	ErrChanged = errors.New("storage: the stored body has changed")

	// ErrTooLarge says that a body is longer than the store can keep.
	ErrTooLarge = errors.New("storage: body too large for this store")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("storage: closed")

	// ErrSuspended says that a store was not asked, because what is behind it has not answered a moment ago. The
	// failure itself was another error.
	ErrSuspended = errors.New("storage: suspended after a failure")
)

// Store keeps entries and their bodies.
//
// Keys are opaque, may hold any byte, and may be long. All methods are safe for concurrent use, and several
// processes may use one store where its documentation says so. A method that is given a context may give up
// when it ends. An entry is visible whole or not at all: never before Commit, and never with another
// entry's body.
type Store interface {
	// Get returns the entry under key, or an error that wraps ErrNotFound. The caller closes its Body, and
	// may read it to the end whatever happens to the key meanwhile.
	Get(ctx context.Context, key string) (*Response, error)

	// Create returns a Writer for the body of a new entry, which replaces what is stored under key once it
	// is committed. The store keeps e, whose Trailer, Generation and Variants alone may still be set until
	// Commit; it counts the body's length and sum itself (e.Length is a hint: -1, or the length to expect).
	Create(ctx context.Context, key string, e *serialize.Entry) (Writer, error)

	// Update stores e, a changed Clone of the entry that Get returned, in place of that entry's head; the
	// body stays. It returns an error that wraps ErrNotFound where there is no entry any more, and
	// ErrChanged where another body has taken its place; nothing is changed then.
	Update(ctx context.Context, key string, e *serialize.Entry) error

	// Delete removes the entry under key. That there is none is no error.
	Delete(ctx context.Context, key string) error
}

// Writer takes the body of an entry. Exactly one of Commit and Abort ends it; a call after the end returns an
// error and changes nothing, but Abort after Commit is allowed and does nothing. It is not for concurrent use.
type Writer interface {
	io.Writer
	Commit() error // makes the entry visible
	Abort() error  // forgets it
}

// Response is an entry with its body, as a Store returns it.
type Response struct {
	Entry *serialize.Entry // shared: not to be changed

	// Body reads the bytes that came over the wire, Entry.Length of them. It may implement io.Seeker and
	// io.WriterTo. A body whose checksum fails ends in an error that wraps an *UnreadableError.
	Body io.ReadCloser

	// Decoded is the body without its content codings, where the store was given it (see DecodedKeeper);
	// nil otherwise. It is shared and must not be changed.
	Decoded []byte
}

// DecodedKeeper is implemented by a Store that can keep the decoded form of a coded body beside it, so that it
// is not decoded anew at every hit.
type DecodedKeeper interface {
	// KeepDecoded gives the store the decoded body of the entry that it returned for key. The store may
	// ignore it, and does so where the entry is no longer the one that is stored.
	KeepDecoded(key string, e *serialize.Entry, body []byte)
}

// KV is all that a simple store must offer: CacheControl's BaseCache. FromKV makes it a Store.
type KV interface {
	// Get returns the value under key, or an error that wraps ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores value under key. After ttl it may be dropped; 0 means that no end is known.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes the value under key. That there is none is no error.
	Delete(ctx context.Context, key string) error
}

// UnreadableError says why an entry that exists could not be used: cut short, of another version, of the
// wrong types, with a wrong checksum, or with a body that is not its own.
type UnreadableError struct {
	Key string
	Err error
}

func (e *UnreadableError) Error() string { return "storage: unreadable entry: " + e.Err.Error() }

// Unwrap returns the cause. Where Get returned the error, errors.Is also finds ErrNotFound.
func (e *UnreadableError) Unwrap() []error { return []error{ErrNotFound, e.Err} }
