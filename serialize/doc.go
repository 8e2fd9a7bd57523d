// Package serialize turns stored responses into bytes and back: the document that Python's CacheControl
// writes, with one addition that Python does not see.
//
// A document is the bytes "cc=4," and one MessagePack map:
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
// Python ignores unknown keys of the outer map, so all that it has no place for is under "go". An entry
// without that key is Python's own; see Entry.Foreign. The keys are written in this order, whereas any
// order is read: with the body at the end of "response", and all that is known only after the body behind
// it, a document is written as the body streams by (AppendHead, AppendTail).
//
// The last 4 bytes of a document of ours are the CRC-32C of all its other bytes but for the body, "head_sum" in its
// part. A document whose part has none, or another, is no document: a damaged head is never taken for a stored one. The
// body's own sum is in there too. Documents of Python have neither.
//
// Python keeps field values as Latin-1 text, Go as the bytes that came over the wire. In a document a byte
// of 0x80 or more is therefore the character of that value.
//
// The value of a selecting field may be a digest (see Field.Digest): the text "\thmac-sha256 " and the digest stand in the
// place of the value then, wherever that is. A field value never begins with a tab.
package serialize
