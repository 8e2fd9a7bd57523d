package storage

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

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// SeparateBodyFileCache keeps each entry in two files of a directory: the document with an empty body, and the bare
// body beside it, as PATH.body. Python's SeparateBodyFileCache can share it, and other processes on the same machine;
// pip's http-v2 directories have this layout. Memory is fixed whatever a body's size, which has no bound.
//
// The two files cannot be replaced at once, so each head says which body is its own: by length, checksum and
// modification time, whose nanoseconds are random. A pair that was copied without its times is told by its
// checksum, which is verified before Get returns it. For heads that Python wrote there is only the order of
// times (Python writes the head first) and the Content-Length; what that leaves in doubt is not returned.
//
// Bodies are verified as with FileCache: up to 64 KiB before Get returns, longer ones while they are read. The same holds
// for waiting for locks.
//
// All methods are safe for concurrent use. Every method of a nil *SeparateBodyFileCache returns ErrClosed.
type SeparateBodyFileCache struct {
	tree *tree
}

// NewSeparateBodyFileCache returns a SeparateBodyFileCache in dir, which is created with mode 0700 if it is missing. See Warning for a directory
// that other users may write to. The options are MaxBytes, MaxAge, Forever, FileMode and DirMode.
func NewSeparateBodyFileCache(dir string, opts ...Option) (*SeparateBodyFileCache, error) {
	t, err := openTree(dir, true, opts)
	if err != nil {
		return nil, err
	}
	return &SeparateBodyFileCache{tree: t}, nil
}

// Warning returns what is unsafe about the cache directory, or "" if nothing is: that every user may write to it, or that it belongs to
// another user, who can then replace stored responses. A Transport with a Logger logs it once. See "Permissions" in docs/storage.md.
func (c *SeparateBodyFileCache) Warning() string {
	if c == nil || c.tree == nil {
		return ""
	}
	return exposure(c.tree.dir)
}

// Evictions returns how many entries this process has removed so far so that the directory stays within MaxBytes.
func (c *SeparateBodyFileCache) Evictions() uint64 {
	if c == nil || c.tree == nil {
		return 0
	}
	return c.tree.bound.evictions.Load()
}

func (c *SeparateBodyFileCache) check(ctx context.Context) error {
	if c == nil || c.tree == nil {
		return ErrClosed
	}
	return ctx.Err()
}

// Get returns the entry under key, or an error that wraps ErrNotFound. Where there are files that cannot be used,
// or do not belong together, it also wraps an *UnreadableError; where a file cannot even be opened or read,
// it is another error. The body is an io.Seeker and an io.WriterTo, and must be closed.
func (c *SeparateBodyFileCache) Get(ctx context.Context, key string) (*Response, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	path, err := c.tree.readPath(key)
	if err != nil {
		return nil, unusable(key, err)
	}
	p := c.rememberedPair(path)
	if p == nil {
		p, err = c.settledPair(ctx, key, path)
		if isDoubt(err) {
			err = &UnreadableError{Key: key, Err: err}
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
		return newMemoryHit(e, nil, nil), nil
	}
	c.tree.touch(path+bodySuffix, p.bodyInfo)
	if e.Length <= smallFile && !e.Foreign { // as FileCache does
		defer p.body.Close()
		body, err := readBody(p.body, 0, e)
		if err != nil {
			c.drop(path, p.bodyInfo)
			return nil, &UnreadableError{Key: key, Err: err}
		}
		return newMemoryHit(e, body, nil), nil
	}
	m := mark(path, p.bodyInfo, e.Sum)
	verify := !e.Foreign && !p.verified && !c.tree.verified.has(m)
	return newFileHit(e, filePart{
		f: p.body, size: e.Length, verify: verify, want: e.Sum, key: key,
		good: func() { c.tree.verified.add(m) },
		bad:  func() { c.drop(path, p.bodyInfo) },
	}), nil
}

// rememberedPair returns the pair at path where its head is remembered and the body is that head's own; nil otherwise.
func (c *SeparateBodyFileCache) rememberedPair(path string) *pair {
	h := c.tree.heads.last(path)
	if h == nil || !stillAt(path, h.info) {
		return nil
	}
	body, bodyInfo, err := openFile(path + bodySuffix)
	if err != nil {
		return nil
	}
	if h.entry.BodyTime.IsZero() || !h.entry.BodyTime.Equal(bodyInfo.ModTime()) || h.entry.Length != bodyInfo.Size() {
		body.Close()
		return nil
	}
	return &pair{entry: h.entry, body: body, bodyInfo: bodyInfo}
}

// pair is a head and its body.
type pair struct {
	entry    *serialize.Entry
	headInfo fs.FileInfo // of a head that proved to belong to the body
	body     *os.File    // nil: a redirect of Python's that has none
	bodyInfo fs.FileInfo
	verified bool // the sum of the body has been
}

// pairStamp tells an entry of Python's from others.
type pairStamp struct{ head, body fs.FileInfo }

func (s *pairStamp) same(o *pairStamp) bool {
	return s != nil && o != nil && sameFile(s.head, o.head) && sameFile(s.body, o.body)
}

// doubtError says why a head and a body are not taken for a pair.
type doubtError struct{ err error }

func (e *doubtError) Error() string { return e.err.Error() }
func (e *doubtError) Unwrap() error { return e.err }

// doubtWait bounds the wait for a writer that seems to be between its two renames.
const doubtWait = 100 * time.Millisecond

// settledPair reads the pair at path. In doubt it looks again: under the lock, where no writer of ours can be between
// its two renames, or for as long as others hold that.
func (c *SeparateBodyFileCache) settledPair(ctx context.Context, key, path string) (*pair, error) {
	p, err := readWholePair(key, path)
	if !isDoubt(err) {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, doubtWait)
	defer cancel()
	for delay := 50 * time.Microsecond; ; delay *= 2 {
		unlock, lockErr := lock(endedContext, path)
		if lockErr == nil {
			defer unlock()
			return readWholePair(key, path)
		}
		if !errors.Is(lockErr, context.Canceled) { // a directory that cannot be written to
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay):
		}
		if p, err = readWholePair(key, path); !isDoubt(err) {
			return p, err
		}
	}
}

func isDoubt(err error) bool {
	var doubt *doubtError
	return errors.As(err, &doubt)
}

// readWholePair is readPair for one who has not locked the body: where neither sum nor length tells that the body is
// whole, CacheControl 0.12 may be writing it at this moment, in its place and under its lock.
func readWholePair(key, path string) (*pair, error) {
	p, err := readPair(key, path)
	if err != nil || p.body == nil || !p.entry.Foreign || contentLength(p.entry) >= 0 {
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
		return nil // pip's: it replaces whole files, and locks nothing
	case errors.Is(err, context.Canceled):
		return &doubtError{errors.New("the body is being written")}
	case err != nil: // a directory that cannot be written to
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

// readPair reads a head, opens the body beside it, and makes sure that they belong together.
func readPair(key, path string) (_ *pair, err error) {
	head, headInfo, err := openFile(path)
	if err != nil {
		return nil, unusable(key, err)
	}
	defer head.Close()
	p := new(pair)
	if headInfo.Size() > maxHead {
		return nil, &UnreadableError{Key: key, Err: errors.New("the head is too long")}
	}
	if p.entry, err = readHead(key, head); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && p.body != nil {
			p.body.Close()
		}
	}()

	p.body, p.bodyInfo, err = openFile(path + bodySuffix)
	if errors.Is(err, ErrNotFound) {
		if p.entry.Foreign && settle(p.entry, 0) == nil && isRedirect(p.entry) {
			return p, nil // CacheControl stores one with an ETag without any body
		}
		return nil, &doubtError{errors.New("the body is missing")}
	}
	if err != nil {
		return nil, unusable(key, err)
	}
	prove, err := fits(p.entry, headInfo, p.bodyInfo)
	switch {
	case err != nil:
		return nil, err
	case prove:
		sum, err := sumFile(p.body)
		if err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
		if sum != p.entry.Sum {
			return nil, &doubtError{errSum}
		}
		p.verified = true
	case !p.entry.Foreign:
		p.headInfo = headInfo
	case !stillAt(path, headInfo):
		return nil, &doubtError{errors.New("the head was replaced while its body was opened")}
	default:
		p.entry.Stamp = &pairStamp{headInfo, p.bodyInfo}
	}
	return p, nil
}

// errOrder says that Python wrote a head after its body: a new head for the old body, or one whose body is to come.
var errOrder = errors.New("the body is older than its head")

// fits says whether a body can be that of a head, and completes an entry that Python wrote. prove: only if the
// checksum is right, too.
func fits(e *serialize.Entry, head, body fs.FileInfo) (prove bool, err error) {
	if e.Foreign && body.ModTime().Before(head.ModTime()) {
		return false, &doubtError{errOrder}
	}
	if err := settle(e, body.Size()); err != nil {
		return false, &doubtError{err}
	}
	prove = body.Size() == 0 || e.BodyTime.IsZero() || !e.BodyTime.Equal(body.ModTime())
	return prove && !e.Foreign, nil
}

// maxHead bounds what is taken for a document without a body.
const maxHead = 2 * serialize.MaxHead

// headBuffers holds what readHead reads into: most heads fit.
var headBuffers = sync.Pool{New: func() any {
	b := make([]byte, 8<<10)
	return &b
}}

// readHead reads a document without a body.
func readHead(key string, f *os.File) (*serialize.Entry, error) {
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
	e, body, err := serialize.Unmarshal(doc)
	if err == nil && len(body) > 0 {
		err = errors.New("the head has a body of its own")
	}
	if err != nil {
		return nil, &UnreadableError{Key: key, Err: err}
	}
	return e, nil
}

// sumFile returns the sum of f from its start.
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
	*s = summer(serialize.UpdateSum(uint32(*s), p))
	return len(p), nil
}

// Create returns a Writer whose files appear under key when it is committed.
func (c *SeparateBodyFileCache) Create(ctx context.Context, key string, e *serialize.Entry) (Writer, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	longest := c.tree.longest(math.MaxInt64)
	if e.Length > longest {
		return nil, ErrTooLarge
	}
	path, err := c.tree.writePath(key)
	if err != nil {
		return nil, err
	}
	s := c.tree.newSpool(path, min(e.Length, spoolSize/2), longest)
	return &separateWriter{spool: s, ctx: ctx, cache: c, entry: e}, nil
}

// Update gives the entry under key the head e, if its body is still the one that e was read with. The body's file is
// left as it is.
func (c *SeparateBodyFileCache) Update(ctx context.Context, key string, e *serialize.Entry) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	path, err := c.tree.writePath(key)
	if err != nil {
		return err
	}
	if !exists(path) {
		return ErrNotFound
	}
	unlock, err := lockPair(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()

	p, err := readPair(key, path)
	if isDoubt(err) {
		return &UnreadableError{Key: key, Err: err}
	}
	if err != nil {
		return err
	}
	if p.body == nil {
		return ErrChanged // there is no body to write a head for
	}
	defer p.body.Close()
	own := stored(e)
	own.Length, own.Sum, own.BodyTime = p.entry.Length, p.entry.Sum, uniqueTime(p.bodyInfo)
	if p.entry.Foreign {
		now, _ := p.entry.Stamp.(*pairStamp)
		if then, _ := e.Stamp.(*pairStamp); !now.same(then) {
			return ErrChanged
		}
		if own.Sum, err = sumFile(p.body); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	} else if !sameBody(p.entry, e) || !p.entry.BodyTime.Equal(e.BodyTime) {
		return ErrChanged
	}
	doc, err := serialize.MarshalHead(own)
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

// Delete removes the entry under key, unless the cache is Forever.
func (c *SeparateBodyFileCache) Delete(ctx context.Context, key string) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	path, err := c.tree.writePath(key)
	if err != nil {
		return err
	}
	if c.tree.forever || !exists(path) && !exists(path+bodySuffix) {
		return nil
	}
	// As for FileCache: with the lock if it can be had, without it otherwise.
	if unlock, err := lockPair(ctx, path); err == nil {
		defer unlock()
	}
	defer c.tree.changed(path, c.tree.sizeAt(path))
	return removePair(path)
}

// drop removes the entry at path, if its body is still the one that bodyInfo describes.
func (c *SeparateBodyFileCache) drop(path string, bodyInfo fs.FileInfo) {
	unlock, err := lockPair(endedContext, path)
	if err != nil {
		return
	}
	defer unlock()
	if stillAt(path+bodySuffix, bodyInfo) {
		removePair(path)
	}
}

// removePair removes the head first: a body alone is no entry.
func removePair(path string) error {
	if err := remove(path); err != nil {
		return err
	}
	switch err := os.Remove(path + bodySuffix); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("storage: %w", err)
	case exists(path) && !exists(path+bodySuffix):
		return remove(path) // which came meanwhile: see newPair
	}
	return nil
}

// lockPair takes both locks of an entry. Python holds one at a time, so the order is ours alone.
func lockPair(ctx context.Context, path string) (unlock func(), err error) {
	unlockHead, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	unlockBody, err := lock(ctx, path+bodySuffix)
	if err != nil {
		unlockHead()
		return nil, err
	}
	return func() { unlockBody(); unlockHead() }, nil
}

// separateWriter writes a body, and at the end its head.
type separateWriter struct {
	spool
	ctx   context.Context
	cache *SeparateBodyFileCache
	entry *serialize.Entry
	ended bool
}

func (w *separateWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, errEnded
	}
	return w.spool.Write(p)
}

func (w *separateWriter) Commit() error {
	if w.ended {
		return errEnded
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
		err = p.replace(w.ctx)
	}
	if err != nil {
		p.discard()
		return err
	}
	w.tree.changed(w.path, before)
	w.tree.step(w.path)
	return nil
}

// newPair returns the entry whose body is that file.
func (w *separateWriter) newPair(body *newFile) (*newPair, error) {
	info, err := body.stat()
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	own := stored(w.entry)
	own.Length, own.Sum, own.BodyTime = w.n, w.sum, uniqueTime(info)
	doc, err := serialize.MarshalHead(own)
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

// newPair is an entry in two new files, which is to be at path.
//
// No head is left without its body, which Python would take for an empty one. So the body comes first and goes last;
// who removes an entry looks for another head when the body is gone, and who puts a head in place looks for the body
// afterwards. Where both do that without a lock, one of them sees what the other has done.
type newPair struct {
	path       string
	head, body *newFile
	bodyInfo   fs.FileInfo
	entry      *serialize.Entry
}

// replace puts both files in place. Between the two renames, and after a crash there, the old head does not fit the new
// body.
func (p *newPair) replace(ctx context.Context) error {
	if err := errors.Join(p.body.giveName(), p.head.giveName()); err != nil {
		return err
	}
	unlock, err := lockPair(ctx, p.path)
	if err != nil {
		return err
	}
	defer unlock()
	if err := replace(p.body.name, p.path+bodySuffix); err != nil {
		return err
	}
	return replaceHead(p.head.name, p.path, p.bodyInfo)
}

// errBodyGone is returned when an entry was removed again because its body had gone.
var errBodyGone = fmt.Errorf("%w: the body was removed while its head was stored", ErrNotFound)

// replaceHead puts the head of a body in place, under the locks of the entry. If the body has gone, which an eviction may do without
// a lock when there is no lock file yet, it removes the head again and returns errBodyGone.
func replaceHead(head, path string, body fs.FileInfo) error {
	if err := replace(head, path); err != nil {
		return err
	}
	if stillAt(path+bodySuffix, body) {
		return nil
	}
	return takeBack(path)
}

// takeBack removes a head whose body has gone, and returns errBodyGone.
func takeBack(path string) error { return cmp.Or(remove(path), errBodyGone) }

// createBody puts the body in place where nothing was before, without the entry's locks, as create does. It returns an error,
// and changes nothing, where that is not so or may not be.
func (p *newPair) createBody() error {
	return p.body.create(p.path+bodySuffix, func() bool {
		return !exists(p.path) && !exists(p.path+lockSuffix) && !exists(p.path+bodySuffix+lockSuffix)
	})
}

// createHead puts the head beside the body that createBody has put in place. Until then no entry is visible. If another writer has
// stored an entry meanwhile, or the body was removed, it takes the locks. If the body is no longer there, another writer's entry stays, as
// if this one had been stored before it; a head without its body is removed again, and errBodyGone returned.
func (p *newPair) createHead(ctx context.Context) error {
	created := p.head.create(p.path, func() bool { return true }) == nil
	if created && p.bodyThere() {
		return nil
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

// bodyThere reports whether the body is in place.
func (p *newPair) bodyThere() bool { return stillAt(p.path+bodySuffix, p.bodyInfo) }

// headThere reports whether the head is in place.
func (p *newPair) headThere() bool {
	f, _, err := openFile(p.path)
	if err != nil {
		return false
	}
	defer f.Close()
	e, err := readHead("", f)
	return err == nil && sameBody(e, p.entry) && e.BodyTime.Equal(p.entry.BodyTime)
}

// discard removes what is not in place.
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
