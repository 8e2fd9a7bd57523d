package storage

import (
	"crypto/sha256"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// ParseDocument parses and verifies a document that holds an entry and its body. It is for Stores that keep
// both in one value. The body of the Response shares doc's memory. The error is an *UnreadableError with the
// key.
func ParseDocument(key string, doc []byte) (*Response, error) {
	e, body, err := parse(key, doc)
	if err != nil {
		return nil, err
	}
	return newMemoryHit(e, body, nil), nil
}

func parse(key string, doc []byte) (*serialize.Entry, []byte, error) {
	e, body, err := serialize.Unmarshal(doc)
	if err == nil {
		err = settle(e, int64(len(body)))
	}
	if err == nil && !e.Foreign && serialize.Sum(body) != e.Sum {
		err = errSum
	}
	if err != nil {
		return nil, nil, &UnreadableError{Key: key, Err: err}
	}
	if e.Foreign {
		// The checksum of the whole document identifies an entry that has no checksum.
		e.Stamp = sha256.Sum256(doc)
	}
	return e, body, nil
}

// SameBody reports whether the bodies of two entries are the same. Each must be returned by ParseDocument or
// be a Clone of such an entry.
func SameBody(a, b *serialize.Entry) bool {
	return sameBody(a, b) || a.Stamp != nil && a.Stamp == b.Stamp
}
