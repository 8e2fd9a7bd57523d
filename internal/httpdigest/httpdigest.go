// Package httpdigest verifies the digests of messages and representations (RFC 9530).
package httpdigest

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/dunglas/httpsfv"
)

// algorithms are the algorithms that RFC 9530 recommends. All others are ignored.
var algorithms = [...]struct {
	name string
	hash func() hash.Hash
}{
	{"sha-256", sha256.New},
	{"sha-512", sha512.New},
}

// sums holds a digest for each algorithm, or nil if there is none.
type sums [len(algorithms)][]byte

// parse returns the digests in the lines of a Content-Digest or Repr-Digest. A field that is not well formed has none, and a
// member of another type than a byte sequence is ignored.
func parse(lines []string) (s sums) {
	if len(lines) == 0 {
		return s
	}
	d, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return s
	}
	for i, a := range algorithms {
		if m, ok := d.Get(a.name); ok {
			if item, ok := m.(httpsfv.Item); ok {
				s[i], _ = item.Value.([]byte)
			}
		}
	}
	return s
}

// Differ reports whether two fields have different digests by the same algorithm.
func Differ(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	first, second := parse(a), parse(b)
	for i := range algorithms {
		if first[i] != nil && second[i] != nil && !bytes.Equal(first[i], second[i]) {
			return true
		}
	}
	return false
}

// Verifier computes the digests of what is written to it, and compares them with the ones that are expected. A nil Verifier expects
// none.
type Verifier struct {
	hashes [len(algorithms)]hash.Hash // nil if the digest by an algorithm is not needed
	wanted []sums
}

// Expect adds the digests in the lines of a field.
func (v *Verifier) Expect(lines []string) {
	s := parse(lines)
	for i, sum := range s {
		if sum != nil && v.hashes[i] == nil {
			v.hashes[i] = algorithms[i].hash()
		}
	}
	v.wanted = append(v.wanted, s)
}

// ExpectLater prepares for digests that are known only after everything has been written: see Late.
func (v *Verifier) ExpectLater() {
	for i := range v.hashes {
		if v.hashes[i] == nil {
			v.hashes[i] = algorithms[i].hash()
		}
	}
}

// Late adds the digests in the lines of a field, after everything has been written. Without ExpectLater, a digest whose algorithm no
// other field has is ignored.
func (v *Verifier) Late(lines []string) { v.wanted = append(v.wanted, parse(lines)) }

// Write adds p to what is verified. It never fails.
func (v *Verifier) Write(p []byte) (int, error) {
	if v != nil {
		for _, h := range v.hashes {
			if h != nil {
				h.Write(p)
			}
		}
	}
	return len(p), nil
}

// Matches reports whether all expected digests are those of what was written.
func (v *Verifier) Matches() bool {
	if v == nil {
		return true
	}
	for i, h := range v.hashes {
		if h == nil {
			continue
		}
		sum := h.Sum(nil)
		for _, w := range v.wanted {
			if w[i] != nil && !bytes.Equal(w[i], sum) {
				return false
			}
		}
	}
	return true
}
