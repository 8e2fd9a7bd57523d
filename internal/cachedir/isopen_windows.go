package cachedir

import (
	"errors"
	"syscall"
)

// isOpen reports whether err means that a file cannot be opened, renamed or removed because it is open elsewhere. A file that
// was removed while it was open has no error of its own, but that of a file without permission.
func isOpen(err error) bool {
	const sharingViolation syscall.Errno = 32
	return errors.Is(err, sharingViolation) || errors.Is(err, syscall.ERROR_ACCESS_DENIED)
}
