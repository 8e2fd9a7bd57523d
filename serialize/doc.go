// Package serialize converts stored responses to and from bytes. The format is the one that
// Python's CacheControl writes, with one addition that Python ignores.
//
// A document is the bytes "cc=4," followed by one MessagePack map:
//
//	{
//	  "response": {
//	    "headers": {str: str}, "status": int, "version": 10|11, "reason": str,
//	    "decode_content": bool, "body": bin
//	  },
//	  "vary": {str: str|nil},
//	  "go": {...}
//	}
//
// Python ignores unknown keys of the outer map, so everything that its format has no key for is
// under "go". An entry without that key was written by Python; see Entry.Foreign. The keys are
// written in this order, but they may be read in any order. The body is at the end of "response",
// and everything that is known only after the body follows it, so a document can be written while
// the body is being received.
//
// The last 4 bytes of a document written by this package are the value of "head_sum": the CRC-32C
// of all other bytes of the document except the body. A document that has "go" but no such
// checksum, or a wrong one, is rejected, so a damaged head is never mistaken for a stored response.
// The checksum of the body is also under "go". Documents written by Python have neither.
//
// Python keeps field values as Latin-1 text, and Go as the bytes that were received. In a document
// a byte of 0x80 or more is therefore the character with that value.
//
// The value of a selecting field may be a digest (see Field.Digest). The document then has the text
// "\thmac-sha256 " and the digest instead of the value. No field value begins with a tab.
package serialize
