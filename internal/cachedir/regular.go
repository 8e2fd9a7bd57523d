package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// endedContext makes lock return at once if the lock is not free.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// errIrregular is returned for files that a cache never creates: a link, pipe, socket or device instead of a
// file, or a link instead of a directory.
var errIrregular = errors.New("not a regular file")

// unreadable returns the error of an entry that cannot be used because of err.
func unreadable(err error) error { return fmt.Errorf("%w: %w", storage.ErrUnreadable, err) }

// unusable converts err, returned when a file of an entry was opened, to ErrUnreadable if the file is not one that a
// cache creates.
func unusable(err error) error {
	if errors.Is(err, errIrregular) {
		return unreadable(err)
	}
	return err
}

// openFile opens the regular file at path.
func openFile(path string) (*os.File, fs.FileInfo, error) { return openRegular(path, open) }

// opened is an *os.File or a descriptor.
type opened interface {
	Stat() (fs.FileInfo, error)
	Close() error
}

// openRegular opens the regular file at path. It does not follow links. If path is neither a regular file nor
// a directory, the error wraps errIrregular.
func openRegular[F opened](path string, open func(string) (F, error)) (F, fs.FileInfo, error) {
	var none F
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil, storage.ErrNotFound
	}
	if err != nil {
		if fi, e := lstat(path); isLoop(err) || e == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
			err = fmt.Errorf("%s: %w", path, errIrregular)
		}
		return none, nil, fmt.Errorf("storage: %w", err)
	}
	fi, err := f.Stat()
	switch {
	case err != nil:
	case fi.IsDir():
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	case !fi.Mode().IsRegular():
		err = fmt.Errorf("%s: %w", path, errIrregular)
	}
	if err != nil {
		f.Close()
		return none, nil, fmt.Errorf("storage: %w", err)
	}
	return f, fi, nil
}

// A quietFile is a file that a tool inspects. Reading it does not count as use of its entry: if the system changes the access time
// of the file, Close sets it again.
type quietFile struct {
	*os.File
	before fs.FileInfo // nil if the access time does not change
}

// openQuietly is open for tools that only inspect entries.
func openQuietly(path string) (f quietFile, err error) {
	f.File, f.before, err = openUnused(path)
	return f, err
}

func (f quietFile) Close() error {
	defer f.restore()
	return f.File.Close()
}

// restore sets the access time that the file had when it was opened, unless the file has been replaced. The file is closed.
func (f quietFile) restore() {
	if f.before == nil {
		return
	}
	now, err := lstat(f.Name())
	if err != nil || !sameFile(now, f.before) {
		return
	}
	before, known := accessTime(f.before)
	if after, _ := accessTime(now); known && !after.Equal(before) {
		setTimes(f.Name(), before, time.Time{})
	}
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// unchanged reports whether the file at path is the one described by fi, or does not exist if fi is nil.
func unchanged(path string, fi fs.FileInfo) bool {
	now, err := lstat(path)
	if fi == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && sameFile(now, fi)
}

// sameFile reports whether a and b describe the same file with the same content. Since the inode numbers of
// removed files are reused, it also compares times and sizes.
func sameFile(a, b fs.FileInfo) bool {
	return a != nil && b != nil && sameInode(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// stillAt reports whether the file at path is the one described by fi.
func stillAt(path string, fi fs.FileInfo) bool {
	now, err := lstat(path)
	return err == nil && sameFile(now, fi)
}
