package serialize

import (
	"errors"
	"fmt"
)

// ErrVersion says that the bytes do not begin with "cc=4,": another version of CacheControl's format, or no
// document at all.
var ErrVersion = errors.New("serialize: not a cc=4 document")

// SyntaxError says why a document could not be read: cut short, of the wrong types, or holding what a
// response cannot hold.
type SyntaxError struct {
	Offset int64 // where in the document, in bytes
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("serialize: offset %d: %s", e.Offset, e.Msg)
}
