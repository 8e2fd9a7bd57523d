package document

const (
	magic = "cc=4,"

	// maxItems limits the number of elements of all maps and lists in one part of a document: the
	// header, the selecting fields, or what is under "go". An element takes at least a byte in the
	// document and some dozens in memory.
	maxItems = 1 << 16

	// digestMark precedes a digest that replaces the value of a selecting field.
	digestMark = "\thmac-sha256 "

	// sumSize is the size in bytes of a checksum, and of the length of a body.
	sumSize = 4
)

// The type codes of MessagePack. In the library they are variables and not constants.
const (
	fixMap, fixArray, fixStr  = 0x80, 0x90, 0xa0
	codeNil, neverUsed        = 0xc0, 0xc1
	codeFalse, codeTrue       = 0xc2, 0xc3
	bin8, bin16, bin32        = 0xc4, 0xc5, 0xc6
	ext8, ext16, ext32        = 0xc7, 0xc8, 0xc9
	float32Code, float64Code  = 0xca, 0xcb
	uint8Code, uint16Code     = 0xcc, 0xcd
	uint32Code, uint64Code    = 0xce, 0xcf
	int8Code, int16Code       = 0xd0, 0xd1
	int32Code, int64Code      = 0xd2, 0xd3
	fixExt1, fixExt2, fixExt4 = 0xd4, 0xd5, 0xd6
	fixExt8, fixExt16         = 0xd7, 0xd8
	str8, str16, str32        = 0xd9, 0xda, 0xdb
	array16, array32          = 0xdc, 0xdd
	map16, map32              = 0xde, 0xdf
	negFixInt                 = 0xe0
)

// isStr reports whether c begins a string.
func isStr(c byte) bool { return c&0xe0 == fixStr || c >= str8 && c <= str32 }
