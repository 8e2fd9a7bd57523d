package cachedir

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// FileCache is described in the package storage/directory.
type FileCache struct {
	tree *tree
}

// NewFileCache returns a FileCache in dir.
func NewFileCache(dir string, opts ...Option) (*FileCache, error) {
	t, err := openTree(dir, false, opts)
	if err != nil {
		return nil, err
	}
	return &FileCache{tree: t}, nil
}

// opened returns the directory, or nil if c is not usable.
func (c *FileCache) opened() *tree {
	if c == nil {
		return nil
	}
	return c.tree
}

// Traits implements storage.Describer.
func (c *FileCache) Traits() storage.Traits { return c.opened().traits(true) }

// Get returns the entry under key, or an error that wraps ErrNotFound. If the file exists but is unusable,
// the error is ErrUnreadable. If the file cannot be opened, Get returns another error. The body
// implements io.Seeker and io.WriterTo, and must be closed.
func (c *FileCache) Get(ctx context.Context, key string) (*storage.Response, error) {
	if err := c.opened().check(ctx); err != nil {
		return nil, err
	}
	path, err := c.tree.readPath(key)
	if err != nil {
		return nil, unusable(err)
	}
	if r := c.getRemembered(path); r != nil {
		return r, nil
	}
	f, fi, err := openFile(path)
	if err != nil {
		return nil, unusable(err)
	}
	c.tree.touch(path, fi)
	h := c.tree.heads.get(path, fi)
	verified := h != nil && c.tree.verified.has(path, fi, h.entry)
	if isReadWhole(fi.Size(), verified) {
		defer f.Close()
		e, body, err := c.readSmall(path, f, fi)
		if err != nil {
			return nil, unreadable(err)
		}
		return storage.NewResponse(e, body), nil
	}
	if h == nil {
		if h, err = c.readHead(path, f, fi); err != nil {
			f.Close()
			return nil, unreadable(err)
		}
		verified = c.tree.verified.has(path, fi, h.entry)
	}
	e := h.entry
	return newFileHit(e, filePart{
		f: f, base: h.offset, size: e.Length, verify: !e.Foreign && !verified, want: e.Sum,
		good: func() { c.tree.verified.add(path, fi, e) },
		bad:  func() { c.tree.drop(path, path, fi) },
	}), nil
}

// readHead reads and remembers the metadata in a file.
func (c *FileCache) readHead(path string, f *os.File, fi fs.FileInfo) (*rememberedHead, error) {
	e, offset, err := decodeFile(path, f, fi.Size())
	if err == nil && e.Length == 0 && e.Sum != 0 {
		err = document.ErrSum
	}
	if err != nil {
		return nil, err
	}
	e.Stamp = fi
	c.tree.heads.put(path, fi, e, offset, fi.Size()-e.Length)
	return &rememberedHead{fi, e, offset}, nil
}

// getRemembered returns the short entry at path if its metadata is remembered. It returns nil if not, or if
// the file cannot be read.
func (c *FileCache) getRemembered(path string) *storage.Response {
	h := c.tree.heads.last(path)
	if h == nil || h.info.Size() > shortFile {
		return nil
	}
	d, fi, err := openRegular(path, openQuick)
	if err != nil {
		return nil
	}
	defer d.Close()
	if !sameFile(h.info, fi) {
		return nil
	}
	c.tree.touch(path, fi)
	body, err := readBody(d, h.offset, h.entry)
	if err != nil {
		return nil
	}
	return storage.NewResponse(h.entry, body)
}

// readSmall reads and verifies a whole file.
func (c *FileCache) readSmall(path string, f *os.File, fi fs.FileInfo) (*storage.Entry, []byte, error) {
	doc := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, doc); err != nil {
		return nil, nil, err
	}
	e, offset, err := decodeFile(path, bytes.NewReader(doc), fi.Size())
	if err != nil {
		return nil, nil, err
	}
	body := doc[offset : offset+e.Length]
	if !e.Foreign && checksum.Sum(body) != e.Sum {
		return nil, nil, document.ErrSum
	}
	e.Stamp = fi
	c.tree.heads.put(path, fi, e, offset, fi.Size()-e.Length)
	c.tree.verified.add(path, fi, e)
	return e, body, nil
}

// readBody reads and verifies the body of an entry whose metadata is remembered.
func readBody(f io.ReaderAt, offset int64, e *storage.Entry) ([]byte, error) {
	body := make([]byte, e.Length)
	if _, err := f.ReadAt(body, offset); err != nil {
		return nil, err
	}
	if checksum.Sum(body) != e.Sum {
		return nil, document.ErrSum
	}
	return body, nil
}

// Create returns a Writer whose file appears under key when it is committed. It does not retain e.Header.
func (c *FileCache) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if err := c.opened().check(ctx); err != nil {
		return nil, err
	}
	w, err := c.newWriter(ctx, key, document.Own(e))
	if err != nil {
		return nil, err
	}
	w.given = e
	return w, nil
}

// Update replaces the metadata of the entry under key with e if the stored body is still the one that e was
// read with. It copies the body, using the kernel's support if possible.
func (c *FileCache) Update(ctx context.Context, key string, e *storage.Entry) error {
	return c.UpdateIf(ctx, key, e, nil)
}

// UpdateIf implements storage.Comparer. The entry is locked while may runs.
func (c *FileCache) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	path, unlock, err := c.opened().lockEntry(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()

	f, fi, err := openFile(path)
	if err != nil {
		return unusable(err)
	}
	defer f.Close()
	old, offset, err := decodeFile(path, f, fi.Size())
	if err != nil {
		return unreadable(err)
	}
	if stamp, _ := e.Stamp.(fs.FileInfo); !old.SameBody(e) && !(old.Foreign && sameFile(stamp, fi)) {
		return storage.ErrChanged
	}
	if may != nil && !may(old) {
		return storage.ErrChanged
	}

	next, err := c.rewritten(ctx, key, e, old, f, offset)
	if err != nil {
		return err
	}
	f.Close() // Windows does not replace an open file
	if err := replace(next.name, path); err != nil {
		next.discard()
		return err
	}
	return nil
}

// rewritten returns a new file with the metadata e and the body of the entry old, which is in f at offset.
func (c *FileCache) rewritten(ctx context.Context, key string, e, old *storage.Entry, f *os.File, offset int64) (*newFile, error) {
	own := document.Own(e)
	own.Length, own.Sum = old.Length, old.Sum
	w, err := c.newWriter(ctx, key, own)
	if err != nil {
		return nil, err
	}
	w.given = e
	if err := w.copyBody(f, offset, old); err != nil {
		w.Abort()
		if errors.Is(err, document.ErrSum) || isEOF(err) {
			return nil, unreadable(err)
		}
		return nil, fmt.Errorf("storage: %w", err)
	}
	defer w.free()
	return w.finish(false)
}

// Delete removes the entry under key, unless the cache was created with Forever.
func (c *FileCache) Delete(ctx context.Context, key string) error { return c.opened().delete(ctx, key) }

// Lease implements storage.Leaser. The lease also ends when this process does, however it ends. If Lease cannot lock a
// file or create it, it returns an error.
func (c *FileCache) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	return c.opened().lease(ctx, key, d)
}

// decodeFile reads the metadata of an entry and returns the offset of its body. It does not verify the body.
func decodeFile(path string, f io.ReaderAt, size int64) (e *storage.Entry, offset int64, err error) {
	e, offset, length, err := document.Decode(f, size)
	if err == nil {
		err = document.Settle(e, length)
	}
	if err == nil {
		err = checkAlone(path, e)
	}
	return e, offset, err
}

// checkAlone rejects an entry whose body is in a separate file. Since Python stores no checksum, it would
// otherwise pass for an entry with an empty body.
func checkAlone(path string, e *storage.Entry) error {
	if e.Foreign && e.Length == 0 && exists(path+bodySuffix) {
		return errors.New("the body is in a separate file")
	}
	return nil
}

// lengthSize is the size of the body's length in a document.
const lengthSize = 4

// fileWriter writes the file of an entry.
type fileWriter struct {
	spool
	ctx      context.Context
	given    *storage.Entry // the caller's entry, some fields of which may be set until Commit; see Store.Create
	own      *storage.Entry
	lengthAt int64 // the offset of the body's length
	headSum  uint32
	ended    bool
}

// newWriter returns a Writer for own, which it may modify.
func (c *FileCache) newWriter(ctx context.Context, key string, own *storage.Entry) (*fileWriter, error) {
	longest := c.tree.longest(math.MaxUint32)
	if own.Length > longest {
		return nil, storage.ErrTooLarge
	}
	path, err := c.tree.writePath(key)
	if err != nil {
		return nil, err
	}
	own.BodyTime = time.Time{}
	w := &fileWriter{spool: c.tree.newSpool(path, 1024+min(max(own.Length, 0), spoolSize/2), longest), ctx: ctx, own: own}
	head, err := document.AppendHead(w.buf, own)
	if err != nil {
		w.discard()
		return nil, fmt.Errorf("storage: %w", err)
	}
	w.buf, w.lengthAt = head, int64(len(head)-lengthSize)
	w.headSum = checksum.Sum(head[:w.lengthAt])
	own.Header = document.TailHeader(own.Header)
	return w, nil
}

func (w *fileWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, buffer.ErrEnded
	}
	return w.spool.Write(p)
}

// Written implements storage.RereadingWriter.
func (w *fileWriter) Written() (io.Reader, error) {
	if w.ended {
		return nil, buffer.ErrEnded
	}
	return w.written(w.lengthAt + lengthSize)
}

func (w *fileWriter) Commit() error { return w.CommitIf(nil) }

// CommitIf implements storage.ComparingWriter. The entry is locked while may runs.
func (w *fileWriter) CommitIf(may func(now *storage.Entry) bool) error {
	if w.ended {
		return buffer.ErrEnded
	}
	f, err := w.finish(true)
	defer w.free()
	if err != nil {
		return err
	}
	before := w.tree.sizeAt(w.path)
	if f.create(w.path, func() bool { return !exists(w.path + lockSuffix) }) != nil {
		if err := w.replace(f, may); err != nil {
			f.discard()
			return err
		}
	}
	w.tree.changed(w.path, before)
	w.tree.step(w.path)
	return nil
}

// replace renames f to the entry's path under the entry's lock, unless may returns false for the entry there.
func (w *fileWriter) replace(f *newFile, may func(now *storage.Entry) bool) error {
	if err := f.giveName(); err != nil {
		return err
	}
	unlock, err := lock(w.ctx, w.path)
	if err != nil {
		return err
	}
	defer unlock()
	if may != nil {
		if now := w.tree.headAt(w.path); now != nil && !may(now) {
			return storage.ErrChanged
		}
	}
	return replace(f.name, w.path)
}

// headAt returns the metadata of the entry in the file at path, or nil if it cannot be read.
func (t *tree) headAt(path string) *storage.Entry {
	f, fi, err := openFile(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if h := t.heads.get(path, fi); h != nil {
		return h.entry
	}
	e, _, err := decodeFile(path, f, fi.Size())
	if err != nil {
		return nil
	}
	return e
}

func (w *fileWriter) Abort() error {
	if !w.ended {
		w.ended = true
		w.discard()
	}
	return nil
}

// finish completes the file and closes it, as spool.close does.
func (w *fileWriter) finish(first bool) (*newFile, error) {
	w.ended = true
	if w.err == nil {
		announced := max(w.own.Length, 0)
		w.own.Length, w.own.Sum = w.n, w.sum
		w.own.Trailer, w.own.Generation, w.own.Variants = w.given.Trailer, w.given.Generation, w.given.Variants
		if announced != w.n {
			w.patch(binary.BigEndian.AppendUint32(nil, uint32(w.n)), w.lengthAt)
		}
		if tail, err := document.AppendTail(w.buf, w.own, w.headSum); err == nil {
			w.buf = tail
		} else {
			w.err = fmt.Errorf("storage: %w", err)
		}
		w.tree.noteRange(w.own)
	}
	return w.close(first)
}

// copyBody copies the body of old, which begins at offset in f. It computes or verifies the checksum if the
// body is small or has none. Otherwise it keeps old's checksum, which readers verify.
func (w *fileWriter) copyBody(f *os.File, offset int64, old *storage.Entry) error {
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if old.Foreign || old.Length <= smallFile {
		if _, err := io.CopyN(&w.spool, f, old.Length); err != nil {
			return err
		}
		if !old.Foreign && w.sum != old.Sum {
			return document.ErrSum
		}
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	_, err := io.CopyN(w.f, f, old.Length)
	w.n, w.sum = old.Length, old.Sum
	return err
}
