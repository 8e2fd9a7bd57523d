package document

import (
	"errors"
	"fmt"
)

// ErrVersion is returned for bytes that do not begin with "cc=4,": another version of the format of
// CacheControl, or no document at all.
var ErrVersion = errors.New("serialize: not a cc=4 document")

// SyntaxError describes why a document could not be read: it is truncated, a value is of the wrong
// type, or a value is not possible in a response.
type SyntaxError struct {
	Offset int64 // position in the document, in bytes
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("serialize: offset %d: %s", e.Offset, e.Msg)
}
