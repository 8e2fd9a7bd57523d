package storage

import (
	"crypto/sha256"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// ParseDocument reads a document that holds an entry and its body, and verifies the body: for a Store that keeps
// the two as one value. The body of the Response is in memory, part of doc. The error is an *UnreadableError, which has
// the key.
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
		// A document without a sum of ours is told from its successors by its bytes.
		e.Stamp = sha256.Sum256(doc)
	}
	return e, body, nil
}

// SameBody reports whether two entries that ParseDocument returned, or Clones of them, were read with the same body.
func SameBody(a, b *serialize.Entry) bool {
	return sameBody(a, b) || a.Stamp != nil && a.Stamp == b.Stamp
}
