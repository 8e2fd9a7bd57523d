package cachedir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/buffer"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// SeparateBodyFileCache is described in the package storage/directory.
type SeparateBodyFileCache struct {
	tree *tree
}

// NewSeparateBodyFileCache returns a SeparateBodyFileCache in dir.
func NewSeparateBodyFileCache(dir string, opts ...Option) (*SeparateBodyFileCache, error) {
	t, err := openTree(dir, true, opts)
	if err != nil {
		return nil, err
	}
	return &SeparateBodyFileCache{tree: t}, nil
}

// opened returns the directory, or nil if c is not usable.
func (c *SeparateBodyFileCache) opened() *tree {
	if c == nil {
		return nil
	}
	return c.tree
}

// Traits implements storage.Describer.
func (c *SeparateBodyFileCache) Traits() storage.Traits { return c.opened().traits(false) }

// Get returns the entry under key, or an error that wraps ErrNotFound. If there are files but they are
// unusable or do not belong together, the error is ErrUnreadable. If a file cannot be opened or
// read, Get returns another error. The body implements io.Seeker and io.WriterTo, and must be closed.
func (c *SeparateBodyFileCache) Get(ctx context.Context, key string) (*storage.Response, error) {
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
	p := c.rememberedPair(path)
	if p == nil {
		p, err = c.settledPair(ctx, path)
		if isDoubt(err) {
			err = unreadable(err)
		}
		if err != nil {
			return nil, err
		}
		if p.headInfo != nil {
			c.tree.heads.put(path, p.headInfo, p.entry, 0, p.headInfo.Size())
		}
	}
	e := p.entry
	if p.body == nil {
		return storage.NewResponse(e, nil), nil
	}
	c.tree.touch(path+bodySuffix, p.bodyInfo)
	verified := p.verified || c.tree.verified.has(path, p.bodyInfo, e)
	if !e.Foreign && isReadWhole(e.Length, verified) {
		body, err := readBody(p.body, 0, e)
		p.body.Close()
		if err != nil {
			c.tree.drop(path, path+bodySuffix, p.bodyInfo)
			return nil, unreadable(err)
		}
		c.tree.verified.add(path, p.bodyInfo, e)
		return storage.NewResponse(e, body), nil
	}
	return newFileHit(e, filePart{
		f: p.body, size: e.Length, verify: !e.Foreign && !verified, want: e.Sum,
		good: func() { c.tree.verified.add(path, p.bodyInfo, e) },
		bad:  func() { c.tree.drop(path, path+bodySuffix, p.bodyInfo) },
	}), nil
}

// getRemembered returns the short entry at path if its metadata is remembered and the body belongs to it. It returns nil if not,
// or if a file cannot be read.
func (c *SeparateBodyFileCache) getRemembered(path string) *storage.Response {
	h := c.tree.heads.last(path)
	if h == nil || h.entry.Foreign || h.entry.Length > shortFile || !stillAt(path, h.info) {
		return nil
	}
	bodyPath := path + bodySuffix
	d, fi, err := openRegular(bodyPath, openQuick)
	if err != nil {
		return nil
	}
	defer d.Close()
	if !hasBody(h.entry, fi) {
		return nil
	}
	c.tree.touch(bodyPath, fi)
	body, err := readBody(d, 0, h.entry)
	if err != nil {
		return nil
	}
	return storage.NewResponse(h.entry, body)
}

// hasBody reports whether the body of an entry is in the file that is described by fi.
func hasBody(e *storage.Entry, fi fs.FileInfo) bool {
	return !e.BodyTime.IsZero() && e.BodyTime.Equal(fi.ModTime()) && e.Length == fi.Size()
}

// rememberedPair returns the pair at path if its metadata is remembered and the body belongs to it, and nil
// otherwise.
func (c *SeparateBodyFileCache) rememberedPair(path string) *pair {
	h := c.tree.heads.last(path)
	if h == nil || !stillAt(path, h.info) {
		return nil
	}
	body, bodyInfo, err := openFile(path + bodySuffix)
	if err != nil {
		return nil
	}
	if !hasBody(h.entry, bodyInfo) {
		body.Close()
		return nil
	}
	return &pair{entry: h.entry, body: body, bodyInfo: bodyInfo}
}

// pair holds the metadata of an entry and its open body file.
type pair struct {
	entry    *storage.Entry
	headInfo fs.FileInfo // of the metadata file; set if it can be remembered
	body     *os.File    // nil for a redirect that Python stored without a body
	bodyInfo fs.FileInfo
	verified bool // whether the checksum of the body has been verified
}

// pairStamp is the Stamp of an entry that Python wrote.
type pairStamp struct{ head, body fs.FileInfo }

func (s *pairStamp) same(o *pairStamp) bool {
	return s != nil && o != nil && sameFile(s.head, o.head) && sameFile(s.body, o.body)
}

// doubtError is the reason why two files are not considered an entry and its body.
type doubtError struct{ err error }

func (e *doubtError) Error() string { return e.err.Error() }

func (e *doubtError) Unwrap() error { return e.err }

// doubtWait limits the wait for a writer that may be between its two renames.
const doubtWait = 100 * time.Millisecond

// settledPair reads the pair at path. If the files do not belong together, it reads them again: under the
// lock, when none of our writers can be between its two renames, or repeatedly while others hold the lock.
func (c *SeparateBodyFileCache) settledPair(ctx context.Context, path string) (*pair, error) {
	p, err := readWholePair(path)
	if !isDoubt(err) {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, doubtWait)
	defer cancel()
	for delay := 50 * time.Microsecond; ; delay *= 2 {
		unlock, lockErr := lock(endedContext, path)
		if lockErr == nil {
			defer unlock()
			return readWholePair(path)
		}
		if !errors.Is(lockErr, context.Canceled) { // the directory is not writable
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay):
		}
		if p, err = readWholePair(path); !isDoubt(err) {
			return p, err
		}
	}
}

func isDoubt(err error) bool {
	var doubt *doubtError
	return errors.As(err, &doubt)
}

// readWholePair is like readPair, but for callers that do not hold the lock of the body. If neither checksum
// nor length shows that the body is complete, it checks that CacheControl 0.12 is not writing the body, which
// it does in place and under its lock.
func readWholePair(path string) (*pair, error) {
	p, err := readPair(path)
	if err != nil || p.body == nil || !p.entry.Foreign || rules.ContentLength(p.entry.Header) >= 0 {
		return p, err
	}
	if err := stillWhole(path+bodySuffix, p); err != nil {
		p.body.Close()
		return nil, err
	}
	return p, nil
}

func stillWhole(bodyPath string, p *pair) error {
	unlock, err := lockThere(endedContext, bodyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // written by pip, which replaces whole files and takes no locks
	case errors.Is(err, context.Canceled):
		return &doubtError{errors.New("the body is being written")}
	case err != nil: // the directory is not writable
		return nil
	}
	defer unlock()
	now, err := p.body.Stat()
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	if !sameFile(now, p.bodyInfo) {
		return &doubtError{errors.New("the body was being written")}
	}
	return nil
}

// readPair reads the metadata, opens the body, and checks that they belong together.
func readPair(path string) (_ *pair, err error) {
	head, headInfo, err := openFile(path)
	if err != nil {
		return nil, unusable(err)
	}
	defer head.Close()
	p := new(pair)
	if headInfo.Size() > maxHead {
		return nil, unreadable(errors.New("the metadata is too long"))
	}
	if p.entry, err = readHead(head); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && p.body != nil {
			p.body.Close()
		}
	}()

	p.body, p.bodyInfo, err = openFile(path + bodySuffix)
	if errors.Is(err, storage.ErrNotFound) {
		if p.entry.Foreign && document.Settle(p.entry, 0) == nil && document.IsRedirect(p.entry) {
			return p, nil // CacheControl stores a redirect with an ETag without a body
		}
		return nil, &doubtError{errors.New("the body is missing")}
	}
	if err != nil {
		return nil, unusable(err)
	}
	if err := p.match(path, headInfo); err != nil {
		return nil, err
	}
	return p, nil
}

// match checks that the body belongs to the metadata in the file at path.
func (p *pair) match(path string, headInfo fs.FileInfo) error {
	prove, err := fits(p.entry, headInfo, p.bodyInfo)
	switch {
	case err != nil:
		return err
	case prove:
		sum, err := sumFile(p.body)
		if err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		if sum != p.entry.Sum {
			return &doubtError{document.ErrSum}
		}
		p.verified = true
	case !p.entry.Foreign:
		p.headInfo = headInfo
	case !stillAt(path, headInfo):
		return &doubtError{errors.New("the metadata was replaced while the body was opened")}
	default:
		p.entry.Stamp = &pairStamp{headInfo, p.bodyInfo}
	}
	return nil
}

// errOrder means that Python wrote the metadata after the body: new metadata for an old body, or metadata
// whose body has not been written yet.
var errOrder = errors.New("the body is older than the metadata")

// fits returns an error if the body cannot belong to e, and completes an entry that Python wrote. If prove is
// true, the body belongs to e only if its checksum is right.
func fits(e *storage.Entry, head, body fs.FileInfo) (prove bool, err error) {
	if e.Foreign && body.ModTime().Before(head.ModTime()) {
		return false, &doubtError{errOrder}
	}
	if err := document.Settle(e, body.Size()); err != nil {
		return false, &doubtError{err}
	}
	prove = body.Size() == 0 || e.BodyTime.IsZero() || !e.BodyTime.Equal(body.ModTime())
	return prove && !e.Foreign, nil
}

// maxHead limits the size of a metadata file.
const maxHead = 2 * buffer.MaxHead

// headBuffers holds buffers for readHead that are large enough for most metadata files.
var headBuffers = sync.Pool{New: func() any {
	b := make([]byte, 8<<10)
	return &b
}}

// readHead reads a metadata file.
func readHead(f *os.File) (*storage.Entry, error) {
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	n, err := f.Read(*buf)
	if err != nil && !isEOF(err) {
		return nil, fmt.Errorf("storage: %w", err)
	}
	doc := (*buf)[:n]
	if n == len(*buf) {
		rest, err := io.ReadAll(io.LimitReader(f, maxHead))
		if err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
		doc = append(doc[:n:n], rest...)
	}
	e, body, err := document.Unmarshal(doc)
	if err == nil && len(body) > 0 {
		err = errors.New("the metadata is followed by a body")
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return e, nil
}

// sumFile returns the checksum of the whole of f.
func sumFile(f *os.File) (uint32, error) { return sumReader(io.NewSectionReader(f, 0, math.MaxInt64)) }

func sumReader(r io.Reader) (uint32, error) {
	var s summer
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	_, err := io.CopyBuffer(&s, readerOnly{r}, *buf)
	return uint32(s), err
}

type summer uint32

func (s *summer) Write(p []byte) (int, error) {
	*s = summer(checksum.Update(uint32(*s), p))
	return len(p), nil
}

// Create returns a Writer whose files appear under key when it is committed.
func (c *SeparateBodyFileCache) Create(ctx context.Context, key string, e *storage.Entry) (storage.Writer, error) {
	if err := c.opened().check(ctx); err != nil {
		return nil, err
	}
	longest := c.tree.longest(math.MaxInt64)
	if e.Length > longest {
		return nil, storage.ErrTooLarge
	}
	path, err := c.tree.writePath(key)
	if err != nil {
		return nil, err
	}
	s := c.tree.newSpool(path, min(e.Length, spoolSize/2), longest)
	return &separateWriter{spool: s, ctx: ctx, cache: c, entry: e}, nil
}

// Update replaces the metadata of the entry under key with e if the stored body is still the one that e was
// read with. It does not touch the body file.
func (c *SeparateBodyFileCache) Update(ctx context.Context, key string, e *storage.Entry) error {
	return c.UpdateIf(ctx, key, e, nil)
}

// UpdateIf implements storage.Comparer. The entry is locked while may runs.
func (c *SeparateBodyFileCache) UpdateIf(ctx context.Context, key string, e *storage.Entry, may func(now *storage.Entry) bool) error {
	path, unlock, err := c.opened().lockEntry(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()

	p, err := readPair(path)
	if isDoubt(err) {
		return unreadable(err)
	}
	if err != nil {
		return err
	}
	if p.body == nil {
		return storage.ErrChanged // metadata without a body file is not written
	}
	defer p.body.Close()
	if may != nil && !may(p.entry) {
		return storage.ErrChanged
	}
	own, err := p.updated(e)
	if err != nil {
		return err
	}
	doc, err := document.MarshalHead(own)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	c.tree.noteRange(own)
	head, err := c.tree.tempFile(path, doc, false)
	if err != nil {
		return err
	}
	if err := replaceHead(head.name, path, p.bodyInfo); err != nil {
		head.discard()
		return err
	}
	return nil
}

// updated returns the metadata to write for e, an update of the pair. The error is ErrChanged if e has another body.
func (p *pair) updated(e *storage.Entry) (*storage.Entry, error) {
	own := document.Own(e)
	own.Length, own.Sum, own.BodyTime = p.entry.Length, p.entry.Sum, uniqueTime(p.bodyInfo)
	if !p.entry.Foreign {
		if !p.entry.SameBody(e) || !p.entry.BodyTime.Equal(e.BodyTime) {
			return nil, storage.ErrChanged
		}
		return own, nil
	}
	now, _ := p.entry.Stamp.(*pairStamp)
	if then, _ := e.Stamp.(*pairStamp); !now.same(then) {
		return nil, storage.ErrChanged
	}
	var err error
	if own.Sum, err = sumFile(p.body); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return own, nil
}

// Delete removes the entry under key, unless the cache was created with Forever.
func (c *SeparateBodyFileCache) Delete(ctx context.Context, key string) error {
	return c.opened().delete(ctx, key)
}

// Lease implements storage.Leaser as the Lease of a FileCache does.
func (c *SeparateBodyFileCache) Lease(ctx context.Context, key string, d time.Duration) (release func(), ok bool, err error) {
	return c.opened().lease(ctx, key, d)
}

// separateWriter writes a body file and, on Commit, its metadata file.
type separateWriter struct {
	spool
	ctx   context.Context
	cache *SeparateBodyFileCache
	entry *storage.Entry
	ended bool
}

func (w *separateWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, buffer.ErrEnded
	}
	return w.spool.Write(p)
}

// Written implements storage.RereadingWriter.
func (w *separateWriter) Written() (io.Reader, error) {
	if w.ended {
		return nil, buffer.ErrEnded
	}
	return w.written(0)
}

func (w *separateWriter) Commit() error { return w.CommitIf(nil) }

// CommitIf implements storage.ComparingWriter. The entry is locked while may runs.
func (w *separateWriter) CommitIf(may func(now *storage.Entry) bool) error {
	if w.ended {
		return buffer.ErrEnded
	}
	w.ended = true
	body, err := w.close(true)
	defer w.free()
	if err != nil {
		return err
	}
	p, err := w.newPair(body)
	if err != nil {
		body.discard()
		return err
	}
	before := w.tree.sizeAt(w.path)
	if p.createBody() == nil {
		err = p.createHead(w.ctx)
	} else {
		err = p.replace(w.ctx, may)
	}
	if err != nil {
		p.discard()
		return err
	}
	w.tree.changed(w.path, before)
	w.tree.step(w.path)
	return nil
}

// newPair returns the new entry with the given body file.
func (w *separateWriter) newPair(body *newFile) (*newPair, error) {
	info, err := body.stat()
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	own := document.Own(w.entry)
	own.Length, own.Sum, own.BodyTime = w.n, w.sum, uniqueTime(info)
	doc, err := document.MarshalHead(own)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	w.tree.noteRange(own)
	head, err := w.tree.newFile(w.path, doc, false)
	if err != nil {
		return nil, err
	}
	return &newPair{w.path, head, body, info, own}, nil
}

// newPair is a new entry, in two files that are to be renamed to path and path.body.
//
// A metadata file must not be left without a body file, because Python would take it for an entry with an
// empty body. So the body file is created first and removed last. After removing a body file, a process
// checks for a new metadata file. After creating a metadata file, it checks for the body file. If two
// processes do this without a lock, at least one of them sees the change of the other.
type newPair struct {
	path       string
	head, body *newFile
	bodyInfo   fs.FileInfo
	entry      *storage.Entry
}

// replace renames both files, unless may returns false for the stored entry. Between the two renames, and after a
// crash there, the old metadata does not match the new body.
func (p *newPair) replace(ctx context.Context, may func(now *storage.Entry) bool) error {
	if err := errors.Join(p.body.giveName(), p.head.giveName()); err != nil {
		return err
	}
	unlock, err := lockPair(ctx, p.path)
	if err != nil {
		return err
	}
	defer unlock()
	if may != nil {
		if now, err := readPair(p.path); err == nil {
			if now.body != nil {
				now.body.Close()
			}
			if !may(now.entry) {
				return storage.ErrChanged
			}
		}
	}
	if err := replace(p.body.name, p.path+bodySuffix); err != nil {
		return err
	}
	return replaceHead(p.head.name, p.path, p.bodyInfo)
}

// errBodyGone is returned if a new entry was removed again because its body file had been removed.
var errBodyGone = fmt.Errorf("%w: the body was removed while the metadata was stored", storage.ErrNotFound)

// replaceHead renames the metadata file, under the locks of the entry. If the body file has been removed, it
// removes the metadata file again and returns errBodyGone. An eviction can remove the body without a lock
// while there is no lock file.
func replaceHead(head, path string, body fs.FileInfo) error {
	if err := replace(head, path); err != nil {
		return err
	}
	if stillAt(path+bodySuffix, body) {
		return nil
	}
	return takeBack(path)
}

// takeBack removes a metadata file whose body file was removed, and returns errBodyGone.
func takeBack(path string) error { return cmp.Or(remove(path), errBodyGone) }

// createBody puts the body file in place without taking the entry's locks, as newFile.create does. If there
// is already a file or lock file of the entry, or the file system does not support it, createBody changes
// nothing and returns an error.
func (p *newPair) createBody() error {
	return p.body.create(p.path+bodySuffix, func() bool {
		return !exists(p.path) && !exists(p.path+lockSuffix) && !exists(p.path+bodySuffix+lockSuffix)
	})
}

// createHead puts the metadata file in place after createBody; only then is the entry visible. If another
// writer has stored an entry or the body file was removed meanwhile, createHead takes the locks. If the body
// file is no longer there, another writer's entry is kept, as if this one had been stored before it. Metadata
// without a body file is removed again, without the locks if they are held, and createHead returns errBodyGone.
func (p *newPair) createHead(ctx context.Context) error {
	created := p.head.create(p.path, func() bool { return true }) == nil
	if created && p.bodyThere() {
		return nil
	}
	if created && !exists(p.path+bodySuffix) {
		ctx = endedContext // the metadata has to be removed at once
	}
	unlock, err := lockPair(ctx, p.path)
	if err == nil {
		defer unlock()
	}
	switch body := p.bodyThere(); {
	case !created && body && err == nil:
		if err = p.head.giveName(); err == nil {
			err = replaceHead(p.head.name, p.path, p.bodyInfo)
		}
		return err
	case !created && body:
		remove(p.path + bodySuffix)
		return err
	case !body && p.headThere():
		return takeBack(p.path)
	}
	p.discard()
	return nil
}

// bodyThere reports whether the body file is in place.
func (p *newPair) bodyThere() bool { return stillAt(p.path+bodySuffix, p.bodyInfo) }

// headThere reports whether the metadata file is in place.
func (p *newPair) headThere() bool {
	f, _, err := openFile(p.path)
	if err != nil {
		return false
	}
	defer f.Close()
	e, err := readHead(f)
	return err == nil && e.SameBody(p.entry) && e.BodyTime.Equal(p.entry.BodyTime)
}

// discard removes the files that are not in place.
func (p *newPair) discard() {
	p.head.discard()
	p.body.discard()
}

func (w *separateWriter) Abort() error {
	if !w.ended {
		w.ended = true
		w.discard()
	}
	return nil
}
