package cachekey

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
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
)

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
