package serialize

import (
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// ErrVersion is returned for bytes that do not begin with "cc=4,": another version of the format of
// CacheControl, or no document at all.
var ErrVersion = document.ErrVersion

// Marshal returns the document with e and its body. The length and the checksum in it are computed
// from body, not taken from e. If the metadata is longer than 2 MiB, the error wraps storage.ErrTooLarge.
func Marshal(e *storage.Entry, body []byte) ([]byte, error) { return document.Marshal(e, body) }

// Unmarshal parses a document. The body that it returns is a slice of doc, and its checksum is not
// verified. The entry does not refer to doc.
//
// Any other error than ErrVersion says what is malformed, and at which offset. Metadata of more than 2 MiB is malformed.
func Unmarshal(doc []byte) (e *storage.Entry, body []byte, err error) { return document.Unmarshal(doc) }
