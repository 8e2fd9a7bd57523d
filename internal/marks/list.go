package marks

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/cachekey"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

const (
	// maxPrefixes is the number of prefixes that a list remembers. If there are more, all responses that were requested
	// before the oldest of them was invalidated count as invalidated.
	maxPrefixes = 128

	// maxPrefixBytes is the length of the longest prefix.
	maxPrefixBytes = 512
)

// list is what is stored under storage.MarksKey: the prefixes that were invalidated, and when everything was. Each
// invalidation, also that of a group, has the next number, its version. A list does not change.
type list struct {
	id       uint64 // random
	version  uint64 // of the latest invalidation
	cleared  uint64 // version at which the store was cleared
	floor    uint64 // version at which every prefix was invalidated
	prefixes []prefix
}

// prefix is a prefix of plain keys.
type prefix struct {
	text    string
	version uint64
}

// listMagic begins an encoded list. The last byte is the version of the format.
const listMagic = "cml\x01"

// append appends the encoded list to b.
func (l *list) append(b []byte) []byte {
	b = append(b, listMagic...)
	for _, n := range [...]uint64{l.id, l.version, l.cleared, l.floor} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	for _, p := range l.prefixes {
		b = binary.BigEndian.AppendUint64(b, p.version)
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.text)))
		b = append(b, p.text...)
	}
	return b
}

// parseList parses an encoded list. It returns nil if b is none.
func parseList(b []byte) *list {
	text, ok := strings.CutPrefix(string(b), listMagic)
	if !ok || len(text) < 4*8 {
		return nil
	}
	number := func() uint64 {
		n := binary.BigEndian.Uint64([]byte(text[:8]))
		text = text[8:]
		return n
	}
	l := &list{id: number(), version: number(), cleared: number(), floor: number()}
	for len(text) > 0 {
		if len(text) < 8+2 || len(l.prefixes) == maxPrefixes {
			return nil
		}
		p := prefix{version: number()}
		n := int(text[0])<<8 | int(text[1])
		if text = text[2:]; n > len(text) || n > maxPrefixBytes {
			return nil
		}
		p.text, text = text[:n], text[n:]
		l.prefixes = append(l.prefixes, p)
	}
	if l.id == 0 {
		return nil
	}
	return l
}

// mark returns the mark of a response that is requested now.
func (l *list) mark() storage.Mark {
	if l == nil {
		return storage.Mark{}
	}
	return storage.Mark{List: l.id, Version: l.version}
}

// isAfter reports whether l is a later version than other, which may be nil, of the same list.
func (l *list) isAfter(other *list) bool {
	return l != nil && (other == nil || other.id == l.id && other.version < l.version)
}

// token identifies the version of the list.
func (l *list) token() uint64 { return l.id + l.version }

// next returns a copy with the next version.
func (l *list) next() *list {
	n := *l
	n.version++
	return &n
}

// withPrefix returns the list after the invalidation of a prefix.
func (l *list) withPrefix(text string) *list {
	n := l.next()
	n.prefixes = []prefix{{text, n.version}}
	for _, p := range l.prefixes { // the most recent ones first
		switch {
		case isUnder(p.text, text): // the new one includes it
		case len(n.prefixes) == maxPrefixes:
			n.floor = max(n.floor, p.version)
		default:
			n.prefixes = append(n.prefixes, p)
		}
	}
	return n
}

// withoutPrefixes returns the list with a floor in place of its prefixes. It is used if the store has no room for them.
func (l *list) withoutPrefixes() *list {
	n := *l
	n.prefixes, n.floor = nil, n.version
	return &n
}

// withAll returns the list after everything was invalidated.
func (l *list) withAll() *list {
	n := l.next()
	n.cleared, n.prefixes = n.version, nil
	return n
}

// hasInvalidated reports whether a prefix of a key was invalidated after a version.
func (l *list) hasInvalidated(key string, version uint64) bool {
	return l.floor > version || slices.ContainsFunc(l.prefixes, func(p prefix) bool { return p.version > version && isUnder(key, p.text) })
}

// isUnder reports whether a key, or a prefix, is that of prefix or of a URL below it. A prefix that ends in "/" includes
// all that begins with it. Otherwise "/", a query or a derived key must follow, as for the Path of a cookie (RFC 6265,
// section 5.1.4).
func isUnder(key, prefix string) bool {
	rest, ok := strings.CutPrefix(key, prefix)
	return ok && (rest == "" || strings.HasSuffix(prefix, "/") || strings.IndexByte("/?#", rest[0]) >= 0)
}

// originOf returns the scheme and the authority of the URL in a key.
func originOf(key string) string {
	_, rest, ok := strings.Cut(key, "://")
	if end := strings.IndexAny(rest, "/#"); ok && end >= 0 {
		return key[:len(key)-len(rest)+end]
	}
	return key
}

// partitionOf returns a number for the partition in a key, or 0 for the default one.
func partitionOf(key string) uint64 {
	i := strings.Index(key, cachekey.PartitionMark)
	if i < 0 {
		return 0
	}
	return hash(key[i:min(len(key), i+len(cachekey.PartitionMark)+16)])
}
