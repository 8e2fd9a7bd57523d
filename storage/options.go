package storage

import (
	"io/fs"
	"time"
)

// Option sets up a store. Each option says which stores it is for; the others ignore it.
type Option func(*options)

// defaultFileMode is what a file is made with, whatever FileMode says of it later.
const defaultFileMode = 0o600

type options struct {
	maxBytes int64         // 0: none given
	maxAge   time.Duration // 0: none given
	nearFor  time.Duration
	forever  bool
	fileMode fs.FileMode
	dirMode  fs.FileMode
}

func newOptions(opts []Option) options {
	o := options{nearFor: defaultNearFor, fileMode: defaultFileMode, dirMode: 0o700}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// MaxBytes bounds a DictCache to n bytes; n <= 0 leaves the default of 64 MiB.
//
// It bounds a file cache to n bytes on disk, each file rounded up to 4 KiB, whoever wrote it; n <= 0 leaves it without a
// bound. While entries are stored those used least recently go; see "Bounds" in docs/storage.md for how exact that
// is. A longer body is not stored: Write returns ErrTooLarge.
func MaxBytes(n int64) Option {
	return func(o *options) {
		if n > 0 {
			o.maxBytes = n
		}
	}
}

// MaxAge has a file cache remove entries that were not used for d, little by little while others are stored; d <= 0 keeps
// them. Use is noted once an hour.
func MaxAge(d time.Duration) Option {
	return func(o *options) {
		if d > 0 {
			o.maxAge = d
		}
	}
}

// Forever makes a file cache keep what it has: Delete does nothing, as with CacheControl's forever=True.
// Entries are still replaced. MaxBytes and MaxAge then remove none.
func Forever() Option {
	return func(o *options) { o.forever = true }
}

// FileMode sets the permissions of the files that a file cache writes. The default is 0600: stored responses
// are their user's own. It is for others who read: locks are 0600 whatever it says, so that only one user writes.
func FileMode(mode fs.FileMode) Option {
	return func(o *options) { o.fileMode = mode.Perm() }
}

// DirMode sets the permissions, before the umask, of the directories that a file cache makes. The default is 0700.
func DirMode(mode fs.FileMode) Option {
	return func(o *options) { o.dirMode = mode.Perm() }
}
