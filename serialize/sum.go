package serialize

import "hash/crc32"

// Castagnoli's polynomial has an instruction of its own on amd64 and arm64.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the checksum of a body, CRC-32C.
func Sum(body []byte) uint32 { return UpdateSum(0, body) }

// UpdateSum returns the checksum of a body that continues with p, where sum is that of what came before;
// 0 at the start.
func UpdateSum(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }
