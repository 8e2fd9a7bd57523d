package directory

import (
	"io/fs"
	"time"
)

// Option configures a FileCache or a SeparateBodyFileCache.
type Option func(*options)

// defaultFileMode is the mode that files are created with before FileMode is applied.
const defaultFileMode = 0o600

type options struct {
	maxBytes int64         // zero means unset
	maxAge   time.Duration // zero means unset
	forever  bool
	fileMode fs.FileMode
	dirMode  fs.FileMode
}

func newOptions(opts []Option) options {
	o := options{fileMode: defaultFileMode, dirMode: 0o700}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// MaxBytes limits the size of a file cache on disk to n bytes. The size of each file is rounded up to 4 KiB.
// Entries that other programs have written count, too. If n <= 0, there is no limit. As entries are stored,
// the least recently used entries are removed. Section "Bounds" of docs/storage.md says how exact the limit
// is. A body longer than n bytes is not stored; Write returns ErrTooLarge.
func MaxBytes(n int64) Option {
	return func(o *options) {
		if n > 0 {
			o.maxBytes = n
		}
	}
}

// MaxAge makes a file cache remove entries that have not been used for d. It removes a few at a time as
// others are stored. If d <= 0, age is not limited. The time of use is recorded at most once an hour.
func MaxAge(d time.Duration) Option {
	return func(o *options) {
		if d > 0 {
			o.maxAge = d
		}
	}
}

// Forever makes a file cache keep its entries: Delete does nothing, as with CacheControl's forever=True, and
// MaxBytes and MaxAge remove nothing. Entries can still be replaced, and damaged ones are removed.
func Forever() Option {
	return func(o *options) { o.forever = true }
}

// FileMode sets the permissions of the files that a file cache writes. The default is 0600, because a stored
// response belongs to its user alone. The option can allow other users to read entries. It does not apply to
// lock files, which always have mode 0600, so that only one user can write.
func FileMode(mode fs.FileMode) Option {
	return func(o *options) { o.fileMode = mode.Perm() }
}

// DirMode sets the permissions, before the umask, of the directories that a file cache creates. The default
// is 0700.
func DirMode(mode fs.FileMode) Option {
	return func(o *options) { o.dirMode = mode.Perm() }
}
