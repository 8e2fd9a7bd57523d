package cachedir

import (
	"cmp"
	"io/fs"
	"time"
)

// Option configures a FileCache or a SeparateBodyFileCache.
type Option func(*options)

// The permissions unless Modes sets others. Files are created with defaultFileMode in any case.
const (
	defaultFileMode = 0o600
	defaultDirMode  = 0o700
)

type options struct {
	maxBytes int64         // zero means no limit
	maxAge   time.Duration // zero means no limit
	forever  bool
	fileMode fs.FileMode
	dirMode  fs.FileMode
}

func newOptions(opts []Option) options {
	o := options{fileMode: defaultFileMode, dirMode: defaultDirMode}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// The options are described in the package storage/directory.

func MaxBytes(n int64) Option {
	return func(o *options) { o.maxBytes = max(n, 0) }
}

func MaxAge(d time.Duration) Option {
	return func(o *options) { o.maxAge = max(d, 0) }
}

func Forever() Option {
	return func(o *options) { o.forever = true }
}

func Modes(file, dir fs.FileMode) Option {
	return func(o *options) {
		o.fileMode, o.dirMode = cmp.Or(file.Perm(), defaultFileMode), cmp.Or(dir.Perm(), defaultDirMode)
	}
}
