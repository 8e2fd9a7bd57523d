package serialize

import "hash/crc32"

// Castagnoli's polynomial is used because amd64 and arm64 compute it in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the checksum (CRC-32C) of a body.
func Sum(body []byte) uint32 { return UpdateSum(0, body) }

// UpdateSum returns the checksum of a body that continues with p. sum is the checksum of the bytes
// before p, or 0 if there are none.
func UpdateSum(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }
