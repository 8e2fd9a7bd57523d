package storage

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

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// State says what can be told of an entry.
type State uint8

// The states.
const (
	Sound    State = iota // it can be used
	Unproven              // Python uses it; whether the body is the head's own cannot be told, and our stores do not use it
	Torn                  // head and body do not belong together, or one is missing
	Damaged               // cut short, of the wrong types, with a wrong checksum
	Foreign               // of another format or layout: somebody may know what it is
)

// String returns the name of the state, in lower case.
func (s State) String() string {
	return [...]string{"sound", "unproven", "torn", "damaged", "foreign"}[s]
}

// Finding is what an entry proved to be.
type Finding struct {
	State  State
	Err    error            // why it is not Sound
	Layout Layout           // OneFile or SeparateBody; AnyLayout: it is the same in both
	Entry  *serialize.Entry // the head; nil where it could not be read

	head   fs.FileInfo
	offset int64 // where the body begins, in its file
}

// Inspect reads the head of an entry, and says whether a store could use it. The body is not read: see Verify. What
// looks torn or damaged is looked at again, under the entry's lock where there is one, as somebody may have been
// writing or removing it. The error says that the files could not be read at all; it wraps ErrNotFound where they are
// gone.
func (it *Item) Inspect() (Finding, error) {
	switch it.Kind {
	case EntryFile:
	case BodyFile:
		return Finding{State: Torn, Layout: SeparateBody, Err: errors.New("the head is missing")}, nil
	default:
		return Finding{State: Foreign, Err: errors.New("not the file of an entry")}, nil
	}
	found, err := it.look()
	if err != nil || found.State == Sound || found.State == Foreign {
		return found, err
	}
	if unlock := it.lockIfThere(); unlock != nil {
		defer unlock()
	}
	return it.look()
}

// lockIfThere takes the lock of an entry, if it has one and it can be had soon; nil otherwise.
func (it *Item) lockIfThere() (unlock func()) {
	ctx, cancel := context.WithTimeout(context.Background(), doubtWait)
	defer cancel()
	unlock, _ = lockThere(ctx, it.Path)
	return unlock
}

// Verify is Inspect, and reads the body of an entry that has a checksum. It gives up when the context ends.
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
		// Somebody may be between the two renames that replace head and body.
		if unlock := it.lockIfThere(); unlock != nil {
			unlock()
		}
		if stillAt(it.Path, found.head) && stillAt(found.bodyPath(it.Path), body) {
			return found, nil
		}
	}
}

// Open returns the entry for reading, as a store does that keeps it so. The body must be closed; reading it fails once
// the context has ended. The error wraps ErrNotFound where the entry cannot be used.
func (it *Item) Open(ctx context.Context) (*Response, error) {
	found, err := it.Inspect()
	if err != nil {
		return nil, err
	}
	if found.State != Sound && found.State != Unproven {
		return nil, &UnreadableError{Key: it.Hash, Err: found.Err}
	}
	if found.Entry.Length == 0 {
		return newMemoryHit(found.Entry, nil, nil), nil
	}
	f, _, err := openRegular(found.bodyPath(it.Path), openQuietly)
	if err != nil {
		return nil, err
	}
	r := newFileHit(found.Entry, filePart{
		f: f, base: found.offset, size: found.Entry.Length, verify: !found.Entry.Foreign, want: found.Entry.Sum, key: it.Hash,
		good: func() {}, bad: func() {},
	})
	r.Body = struct {
		contextReader
		io.Closer
	}{contextReader{ctx, r.Body}, r.Body}
	return r, nil
}

func (f *Finding) bodyPath(path string) string {
	if f.Layout == SeparateBody {
		return path + bodySuffix
	}
	return path
}

// look reads the head once.
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
	found := Finding{Layout: OneFile, head: fi}
	e, offset, length, err := serialize.Decode(f, fi.Size())
	if err != nil {
		if body != nil {
			found.Layout = SeparateBody
		}
		found.fail(Damaged, err)
		if errors.Is(err, serialize.ErrVersion) && !isRuin(f) {
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
		found.fail(Foreign, fmt.Errorf("stored as a %s: directory has it", found.Layout))
	case found.Layout != SeparateBody:
		if err := settle(e, length); err != nil {
			found.fail(Damaged, err)
		}
	case body == nil:
		found.fail(Torn, errors.New("the body is missing"))
	case !body.Mode().IsRegular():
		found.fail(Foreign, errors.New("the body is not a regular file"))
	default:
		if _, err := fits(e, fi, body); errors.Is(err, errOrder) {
			found.fail(Unproven, err)
			err = settle(e, body.Size())
			if err != nil {
				found.fail(Torn, err)
			}
		} else if err != nil {
			found.fail(Torn, err)
		}
	}
	return found, nil
}

func (f *Finding) fail(s State, err error) { f.State, f.Err = s, err }

// String returns a name of the layout: "any", "file" or "separate".
func (l Layout) String() string {
	return [...]string{"any", "file", "separate"}[l]
}

// readError returns err if it is one of reading, not of what was read.
func readError(err error) error {
	var syntax *serialize.SyntaxError
	if errors.Is(err, serialize.ErrVersion) || errors.As(err, &syntax) || isEOF(err) {
		return nil
	}
	return fmt.Errorf("storage: %w", err)
}

// bodyless returns the layout of an entry whose document has no body.
func (d *Directory) bodyless(e *serialize.Entry, hasFile bool) Layout {
	missing := e.Length > 0 // it is ours, and would have one
	if e.Foreign {
		missing = !isRedirect(e) && (contentLength(e) > 0 || d.layout == SeparateBody)
	}
	if hasFile || missing {
		return SeparateBody
	}
	return AnyLayout
}

// isRuin says whether a file that is no document was one, or was to become one: it is empty, the beginning of one, or
// begins with the zeros that a power cut leaves. Everything else may be of another program, or of another version.
func isRuin(f *os.File) bool {
	b := make([]byte, 5)
	n, err := f.ReadAt(b, 0)
	if err != nil && !isEOF(err) {
		return false
	}
	return n < len(b) && string(b[:n]) == "cc=4,"[:n] || n > 0 && b[0] == 0
}

// sum reads the body of an entry of ours, and returns which file that was.
func (it *Item) sum(ctx context.Context, found *Finding) (fs.FileInfo, error) {
	f, fi, err := openRegular(found.bodyPath(it.Path), openQuietly)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := sumReader(contextReader{ctx, io.NewSectionReader(f, found.offset, found.Entry.Length)})
	if err == nil && sum != found.Entry.Sum {
		found.fail(Damaged, errSum)
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

const (
	// settleAge is how old damage must be before it is removed: a program that takes no locks, as pip, may still write.
	settleAge = time.Minute

	// tempAge is how old a temporary file must be that does not tell whether somebody writes it: longer than any
	// download.
	tempAge = 24 * time.Hour
)

// ErrBusy says that something was left in place because somebody may be at work on it.
var ErrBusy = errors.New("storage: left in place")

// Remove removes an entry, or a body without a head, whatever is there by now, as Delete does: under its locks, and
// without them where they cannot be had within 10 seconds or until the context ends. That it is gone is no error.
func (it *Item) Remove(ctx context.Context) error {
	if it.files.path == "" {
		return fmt.Errorf("storage: %s: not an entry", it.Path)
	}
	f := filesAt(it.files.path)
	f.headLock = cmp.Or(f.headLock, f.head) // taken where there is none yet, too, or an Update that has read the entry puts it back
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

// Abandoned reports whether nobody writes a temporary file any more.
func (it *Item) Abandoned() bool {
	return it.Kind == TemporaryFile && abandoned(it.Path, it.info, time.Now())
}

// Clear removes what was found, of whatever kind but ForeignFile, if it is still as it was then. It returns an error
// that wraps ErrBusy, and removes nothing, if that has changed since, changed within the last minute, or somebody holds
// one of its locks; of temporary files, if they are not Abandoned.
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
	f := filesAt(it.files.path) // its locks are not known
	f.head, f.body = it.files.head, it.files.body
	if err := f.remove(); err != nil {
		return err
	}
	removeEmpty(it.dir.path, filepath.Dir(f.path))
	return nil
}

// unchanged reports whether the file at path is the one that fi describes; nil: that there is none.
func unchanged(path string, fi fs.FileInfo) bool {
	now, err := lstat(path)
	if fi == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return err == nil && sameFile(now, fi)
}
