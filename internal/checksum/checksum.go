// Package checksum computes the checksum of bodies: CRC-32C.
package checksum

import (
	"hash/crc32"
)

// Castagnoli's polynomial is used because amd64 and arm64 compute it in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the checksum of a body.
func Sum(body []byte) uint32 { return Update(0, body) }

// Update returns the checksum of a body that continues with p. sum is the checksum of the bytes
// before p, or 0 if there are none.
func Update(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }
