package cachedir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// State is the condition of an entry.
type State uint8

const (
	Sound    State = iota // usable
	Unproven              // used by Python, but not by this package, because the body may not belong to the metadata
	Torn                  // the metadata and the body do not belong together, or one is missing
	Damaged               // truncated, with values of the wrong type, or with a wrong checksum
	Foreign               // of another format or layout, possibly of another program
)

// String returns the name of the state in lower case.
func (s State) String() string {
	return nameOf(int(s), "sound", "unproven", "torn", "damaged", "foreign")
}

// nameOf returns name n, or "unknown" if there is none.
func nameOf(n int, names ...string) string {
	if n < len(names) {
		return names[n]
	}
	return "unknown"
}

// Finding is the result of inspecting an entry.
type Finding struct {
	State  State
	Err    error          // the reason if State is not Sound
	Layout Layout         // OneFile or SeparateBody; AnyLayout if the entry is the same in both
	Entry  *storage.Entry // metadata; nil if it could not be read

	head   fs.FileInfo
	body   fs.FileInfo // of the body file; nil if there is none
	offset int64       // of the body in its file
}

// Inspect reads the metadata of an entry and reports whether a store could use the entry. It does not read
// the body; see Verify. If the entry appears to be torn or damaged, Inspect reads it again, under its lock if
// it has one, because another process may be writing or removing it. An entry is torn only if it stays so until
// its files are a few seconds old. An error means that the files could not be read; it wraps ErrNotFound if they no
// longer exist.
func (it *Item) Inspect() (Finding, error) {
	switch it.Kind {
	case EntryFile:
	case BodyFile:
		return Finding{State: Torn, Layout: SeparateBody, Err: errors.New("the metadata is missing")}, nil
	default:
		return Finding{State: Foreign, Err: errors.New("not a file of an entry")}, nil
	}
	found, err := it.look()
	if err != nil || found.State == Sound || found.State == Foreign {
		return found, err
	}
	for delay := 50 * time.Microsecond; ; delay = min(2*delay, 10*time.Millisecond) {
		found, err = it.lookLocked()
		if err != nil || found.State != Torn || !found.isNew() {
			return found, err
		}
		time.Sleep(delay) // without the lock, which the writer may need
	}
}

// lookLocked is like look, but holds the lock of the entry if possible.
func (it *Item) lookLocked() (Finding, error) {
	if unlock := it.lockIfThere(); unlock != nil {
		defer unlock()
	}
	return it.look()
}

// lockIfThere takes the lock of the entry and returns the function that releases it. It returns nil if there
// is no lock file or the lock is not available soon.
func (it *Item) lockIfThere() (unlock func()) {
	ctx, cancel := context.WithTimeout(context.Background(), doubtWait)
	defer cancel()
	unlock, _ = lockThere(ctx, it.Path)
	return unlock
}

// Verify is like Inspect, but also reads and verifies the body if it has a checksum. It stops when the
// context ends.
func (it *Item) Verify(ctx context.Context) (Finding, error) {
	for try := 0; ; try++ {
		found, err := it.Inspect()
		if err != nil || found.State != Sound || found.Entry.Foreign {
			return found, err
		}
		body, err := it.sum(ctx, &found)
		if err != nil || found.State == Sound || try == 2 {
			return found, err
		}
		// A writer may be between the two renames that replace the files.
		if unlock := it.lockIfThere(); unlock != nil {
			unlock()
		}
		if stillAt(it.Path, found.head) && stillAt(found.bodyPath(it.Path), body) {
			return found, nil
		}
	}
}

// Open opens the entry for reading, as the store that wrote it would. The caller must close the body. Reading
// it fails once the context has ended. The error wraps ErrNotFound if the entry cannot be used.
func (it *Item) Open(ctx context.Context) (*storage.Response, error) {
	found, err := it.Inspect()
	if err != nil {
		return nil, err
	}
	if found.State != Sound && found.State != Unproven {
		return nil, unreadable(found.Err)
	}
	if found.Entry.Length == 0 {
		return storage.NewResponse(found.Entry, nil), nil
	}
	f, _, err := openRegular(found.bodyPath(it.Path), openQuietly)
	if err != nil {
		return nil, err
	}
	r := newFileHit(found.Entry, filePart{
		f: f.File, base: found.offset, size: found.Entry.Length, verify: !found.Entry.Foreign, want: found.Entry.Sum,
		good: func() {}, bad: func() {},
	})
	r.Body = quietBody{contextReader{ctx, r.Body}, r.Body, f}
	return r, nil
}

func (f *Finding) bodyPath(path string) string {
	if f.Layout == SeparateBody {
		return path + bodySuffix
	}
	return path
}

// look reads the metadata once.
func (it *Item) look() (Finding, error) {
	f, fi, err := openRegular(it.Path, openQuietly)
	if err != nil {
		return Finding{}, err
	}
	defer f.Close()
	body, err := lstat(it.Path + bodySuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Finding{}, fmt.Errorf("storage: %w", err)
	}
	found := Finding{Layout: OneFile, head: fi, body: body}
	e, offset, length, err := document.Decode(f, fi.Size())
	if err != nil {
		if body != nil {
			found.Layout = SeparateBody
		}
		found.fail(Damaged, err)
		if errors.Is(err, document.ErrVersion) && !isRuin(f.File) {
			found.State = Foreign
		}
		return found, readError(err)
	}
	found.Entry, found.offset = e, offset
	if length == 0 {
		found.Layout, found.offset = it.dir.bodyless(e, body != nil), 0
	}
	switch {
	case it.dir.layout != AnyLayout && it.dir.layout != found.Layout && (body != nil || length > 0):
		found.fail(Foreign, fmt.Errorf("it has the layout of a %s: directory", found.Layout))
	case found.Layout == SeparateBody:
		found.match()
	default:
		if err := document.Settle(e, length); err != nil {
			found.fail(Damaged, err)
		}
	}
	return found, nil
}

// match checks whether the body file belongs to the entry.
func (f *Finding) match() {
	switch {
	case f.body == nil:
		f.fail(Torn, errors.New("the body is missing"))
		return
	case !f.body.Mode().IsRegular():
		f.fail(Foreign, errors.New("the body is not a regular file"))
		return
	}
	_, err := fits(f.Entry, f.head, f.body)
	if errors.Is(err, errOrder) {
		f.fail(Unproven, err)
		err = document.Settle(f.Entry, f.body.Size())
	}
	if err != nil {
		f.fail(Torn, err)
	}
}

// isNew reports whether the files are so new that a writer may still be putting them in place.
func (f *Finding) isNew() bool {
	changed := f.head.ModTime()
	if f.body != nil {
		changed = latest(changed, f.body.ModTime())
	}
	age := time.Since(changed)
	return 0 <= age && age < pairAge
}

func (f *Finding) fail(s State, err error) { f.State, f.Err = s, err }

// String returns the name of the layout: "any", "file" or "separate".
func (l Layout) String() string {
	return nameOf(int(l), "any", "file", "separate")
}

// readError returns err, wrapped, if reading failed. It returns nil if the file was read but is not a valid
// entry.
func readError(err error) error {
	var syntax *document.SyntaxError
	if errors.Is(err, document.ErrVersion) || errors.As(err, &syntax) || isEOF(err) {
		return nil
	}
	return fmt.Errorf("storage: %w", err)
}

// bodyless returns the layout of an entry whose document has no body.
func (d *Directory) bodyless(e *storage.Entry, hasFile bool) Layout {
	missing := e.Length > 0 // written by this package, with a body elsewhere
	if e.Foreign {
		missing = !document.IsRedirect(e) && (rules.ContentLength(e.Header) > 0 || d.layout == SeparateBody)
	}
	if hasFile || missing {
		return SeparateBody
	}
	return AnyLayout
}

// isRuin reports whether an invalid file may be the rest of an entry: it is empty, is the beginning of a
// document, or begins with the zeros that a power failure leaves. Any other file may belong to another
// program or version.
func isRuin(f *os.File) bool {
	b := make([]byte, 5)
	n, err := f.ReadAt(b, 0)
	if err != nil && !isEOF(err) {
		return false
	}
	return n < len(b) && string(b[:n]) == "cc=4,"[:n] || n > 0 && b[0] == 0
}

// sum verifies the checksum of an entry's body, and returns the identity of the file that it read.
func (it *Item) sum(ctx context.Context, found *Finding) (fs.FileInfo, error) {
	f, fi, err := openRegular(found.bodyPath(it.Path), openQuietly)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := sumReader(contextReader{ctx, io.NewSectionReader(f, found.offset, found.Entry.Length)})
	if err == nil && sum != found.Entry.Sum {
		found.fail(Damaged, document.ErrSum)
	}
	return fi, err
}

// contextReader fails once the context has ended.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// quietBody is the body of an entry that is read from a quietFile.
type quietBody struct {
	contextReader
	body io.Closer
	file quietFile
}

func (b quietBody) Close() error {
	defer b.file.restore()
	return b.body.Close()
}

const (
	// pairAge is the age from which two files that do not belong together are torn. Writers put both in place
	// within milliseconds, but on a busy machine they may be stopped between two steps. Our writers set times
	// that are up to a second in the past.
	pairAge = 3 * time.Second

	// settleAge is the minimum age of damage before it is removed, because a program that takes no locks,
	// such as pip, may still be writing.
	settleAge = time.Minute
)

// Remove removes an entry, or a body without metadata, even if it has changed since it was found. Like
// Delete, it takes the locks of the entry. If they are not available within 10 seconds or until the context
// ends, it removes the entry without them. It is not an error if the entry no longer exists.
func (it *Item) Remove(ctx context.Context) error {
	if it.files.path == "" {
		return fmt.Errorf("storage: %s: not an entry", it.Path)
	}
	f := filesAt(it.files.path)
	// The lock is taken even if there is no lock file yet; otherwise an Update that has read the entry could
	// restore it.
	f.headLock = cmp.Or(f.headLock, f.head)
	release, lockErr := f.lock(ctx)
	err := removePair(f.path)
	if lockErr == nil {
		release()
	}
	if err != nil {
		return err
	}
	removeEmpty(it.dir.path, filepath.Dir(f.path))
	return nil
}

// Abandoned reports whether the item is a temporary file that no program is writing any more.
func (it *Item) Abandoned() bool {
	return it.Kind == TemporaryFile && abandoned(it.Path, it.info, time.Now())
}

// Clear removes an item of any kind except ForeignFile, if it has not changed since it was found. If it has
// changed, was changed within the last minute, or is locked, Clear removes nothing and returns an error that
// wraps ErrBusy. A temporary file is removed only if it is Abandoned.
func (it *Item) Clear() error {
	switch {
	case it.Kind == ForeignFile:
		return fmt.Errorf("storage: %s: not a file of a cache", it.Path)
	case it.Kind == TemporaryFile && !it.Abandoned():
		return fmt.Errorf("%w: it may still be written", ErrBusy)
	case it.Kind == TemporaryFile:
		return remove(it.Path)
	case time.Since(it.ModTime).Abs() < settleAge:
		return fmt.Errorf("%w: it changed less than a minute ago", ErrBusy)
	}
	f := filesAt(it.files.path) // locks may have been added
	f.head, f.body = it.files.head, it.files.body
	if err := f.remove(); err != nil {
		return err
	}
	removeEmpty(it.dir.path, filepath.Dir(f.path))
	return nil
}
