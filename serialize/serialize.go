package serialize

import (
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// ErrVersion is returned for bytes that do not begin with "cc=4,": another version of the format of
// CacheControl, or no document at all.
var ErrVersion = document.ErrVersion

// SyntaxError describes why a document could not be read: it is truncated, a value is of the wrong
// type, or a value is not possible in a response.
type SyntaxError = document.SyntaxError

// Marshal returns the document with e and its body. The length and the checksum in it are computed
// from body, not taken from e.
func Marshal(e *storage.Entry, body []byte) ([]byte, error) { return document.Marshal(e, body) }

// Unmarshal parses a document. The body that it returns is a slice of doc, and its checksum is not
// verified. The entry does not refer to doc.
//
// The error is ErrVersion or a *SyntaxError. It is also a *SyntaxError if the metadata exceeds
// storage.MaxHead.
func Unmarshal(doc []byte) (e *storage.Entry, body []byte, err error) { return document.Unmarshal(doc) }
