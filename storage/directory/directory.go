// Package directory stores HTTP responses in a cache directory, which can be shared with Python's CacheControl and with
// other processes on the same machine.
//
//	NewFileCache                  one file for each entry
//	NewSeparateBodyFileCache      bodies in separate files; for long bodies
package directory

import (
	"context"
	"io/fs"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
)

// FileCache stores each entry in one file of a directory. The directory can be shared with Python's FileCache.
//
// Bodies are streamed when they are written and read, so that memory use is fixed. A file of up to 64 KiB is
// verified before Get returns its entry. A longer body is verified while it is read: if its checksum is
// wrong, the read that would complete it returns an error that wraps ErrUnreadable, and the entry is removed. A file that
// passed verification is not verified again until its size or modification time changes. Reads that use Seek
// to skip bytes are not verified.
//
// A body may have up to 4 GiB - 1 bytes, the limit of the format; Write returns ErrTooLarge beyond. Python
// stores no checksums, so only the length of its bodies is checked. A FileCache and a SeparateBodyFileCache
// need different directories.
//
// Commit, Update and Delete wait for the lock of the entry until the context ends, or for 10 seconds if it
// has no deadline. Commit uses the context that was passed to Create. If Delete does not get the lock, it
// removes the entry without it.
//
// A FileCache implements storage.Store and the optional interfaces for stores on this machine, storage.Comparer among
// them. All methods are safe for concurrent use. Every method of a nil *FileCache that returns an error returns
// storage.ErrClosed.
type FileCache = cachedir.FileCache

// NewFileCache returns a FileCache in dir. If dir does not exist, it is created with mode 0700 or that of
// Modes. If other users may write to dir, see storage.Traits.
func NewFileCache(dir string, opts ...Option) (*FileCache, error) {
	return cachedir.NewFileCache(dir, opts...)
}

// SeparateBodyFileCache stores each entry in two files of a directory: the metadata in PATH, and the body in
// PATH.body. The directory can be shared with Python's SeparateBodyFileCache. The http-v2 directories of pip have this
// layout. Memory use is fixed, and the length of a body is not limited.
//
// The two files cannot be replaced together, so the metadata identifies its body by length, checksum and
// modification time, whose nanoseconds are random. If the time differs, as in a directory that was copied
// without its times, the checksum is verified before Get returns the entry. Metadata written by Python
// contains none of these. For those entries only Content-Length and the order of the modification times can
// be checked, since Python writes the metadata first. If they leave a doubt, Get does not return the entry.
//
// Bodies are verified as with FileCache: up to 64 KiB before Get returns, longer ones while they are read.
// The methods wait for locks as those of FileCache do, and the same interfaces are implemented.
type SeparateBodyFileCache = cachedir.SeparateBodyFileCache

// NewSeparateBodyFileCache returns a SeparateBodyFileCache in dir. If dir does not exist, it is created with
// mode 0700 or that of Modes. If other users may write to dir, see storage.Traits.
func NewSeparateBodyFileCache(dir string, opts ...Option) (*SeparateBodyFileCache, error) {
	return cachedir.NewSeparateBodyFileCache(dir, opts...)
}

// Option configures a FileCache or a SeparateBodyFileCache.
type Option = cachedir.Option

// MaxBytes limits the size of the cache on disk to n bytes. Zero or a negative value means no limit.
//
// The size of each file is rounded up to 4 KiB. Entries that other programs have written count, too. As entries are
// stored, the least recently used entries are removed. Section "Bounds" of docs/storage.md says how exact the limit
// is. A body longer than n bytes is not stored; Write returns storage.ErrTooLarge.
func MaxBytes(n int64) Option { return cachedir.MaxBytes(n) }

// MaxAge removes entries that have not been used for d, a few at a time as others are stored. Zero or a negative value
// means no limit. The time of use is recorded at most once an hour.
func MaxAge(d time.Duration) Option { return cachedir.MaxAge(d) }

// Forever keeps the entries: Delete does nothing, as with CacheControl's forever=True, and MaxBytes and MaxAge remove
// nothing. Entries can still be replaced, and damaged ones are removed.
func Forever() Option { return cachedir.Forever() }

// Modes sets the permissions of the files, and those of the directories that are created, before the umask. Zero means 0600
// and 0700, because a stored response belongs to its user alone. The option can allow other users to read entries. Lock
// files always have mode 0600, so that only one user can write.
func Modes(file, dir fs.FileMode) Option { return cachedir.Modes(file, dir) }

// Trim removes the entries of a cache directory that have not been used for maxAge, and others until all have at most
// maxBytes bytes on disk, with each file rounded up to 4 KiB. Zero or a negative value means no limit. The directory
// may be one of either file cache or of Python's, and other programs may be using it. The least recently used entries
// are removed first. The time of use is the access time of the files, which is exact to an hour at best; entries whose
// ages differ by less than a percent are removed in any order. Entries whose locks are held, or that are used
// meanwhile, are kept. Trim also removes abandoned temporary files, empty directories, and bodies, metadata and locks
// that have had no entry for an hour, and files of leases that ended an hour ago. It does not touch files that do not
// belong to a cache.
//
// Trim returns the size of the remaining entries, counted as for maxBytes. Its memory use does not depend on the size
// of the directory. When the context ends, Trim returns its error. If a file cannot be read or removed, although it is
// not in use, Trim continues and returns the first such error at the end.
func Trim(ctx context.Context, dir string, maxBytes int64, maxAge time.Duration) (bytes int64, err error) {
	t, err := cachedir.Trim(ctx, dir, cachedir.Limits{MaxBytes: maxBytes, MaxAge: maxAge}, nil)
	return t.Bytes, err
}
