package cachekey

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
)

// The suffixes of keys that are derived from a plain key. They begin with "#", like ViaSuffix, so that no plain key
// looks like a derived one.
const (
	PartitionMark = "#partition="
	PartialSuffix = "#partial" // of the list of the stored parts
	PartSuffix    = "#part="
	VariantSuffix = "#variant="
	MethodSuffix  = "#method="
	MethodsSuffix = "#methods" // of the index of the keys with MethodSuffix
	SearchSuffix  = "#search=" // of responses with No-Vary-Search; a generation follows
	SearchesIndex = "#search"  // of the index of the keys with SearchSuffix
	NoticeSuffix  = "#notice"  // of an entry that tells other processes that a URL was invalidated
	MarksSuffix   = "#marks"   // of the invalidated groups of an origin; alone, of all other marks
)

// InvalidationSuffix returns the end of a key whose entry says what was invalidated, so that no old copy of it must be used. It returns
// "" for any other key.
func InvalidationSuffix(key string) string {
	i := strings.LastIndexByte(key, '#')
	if i < 0 {
		return ""
	}
	suffix := key[i:]
	if shard, ok := strings.CutPrefix(suffix, MarksSuffix); ok && IsNumber(shard) || suffix == NoticeSuffix {
		return suffix
	}
	return ""
}

// Query returns the raw query of a plain key.
func Query(plain string) string {
	_, query, _ := cutQuery(plain)
	return query
}

// AppendSearches appends to b the key of the index for all queries of the URL with this plain key.
func AppendSearches(b []byte, plain string) []byte {
	before, _, after := cutQuery(plain)
	return append(append(append(b, before...), after...), SearchesIndex...)
}

// Search returns the key of a response that is stored for all queries with this canonical form. plain is the plain key of a URL
// with any of them.
func Search(plain, canonical, generation string) string {
	before, _, after := cutQuery(plain)
	if canonical != "" {
		before += "?" + canonical
	}
	return before + after + SearchSuffix + generation
}

// cutQuery cuts the query out of a plain key. after begins with "#", or is empty.
func cutQuery(plain string) (before, query, after string) {
	if i := strings.IndexByte(plain, '#'); i >= 0 {
		plain, after = plain[:i], plain[i:]
	}
	before, query, _ = strings.Cut(plain, "?")
	return before, query, after
}

// Part returns the key of a part of the response with this plain key.
func Part(plain string, id uint64) string { return plain + PartSuffix + strconv.FormatUint(id, 16) }

// Selecting is a selecting header field of a variant, with its name in canonical form and its value in a normal form.
type Selecting struct {
	Name, Value string
	Present     bool
}

// Variant returns the key of another variant. It is derived from the plain key, the generation of the entry stored
// there, and the n selecting header fields that field returns.
func Variant(key, generation string, n int, field func(i int) Selecting) string {
	sum := sha256.New()
	for i := range n {
		f := field(i)
		io.WriteString(sum, f.Name+"\x00")
		if f.Present {
			io.WriteString(sum, f.Value)
		}
		io.WriteString(sum, "\x00\x00")
	}
	return key + VariantSuffix + generation + "-" + hex.EncodeToString(sum.Sum(nil)[:16])
}
