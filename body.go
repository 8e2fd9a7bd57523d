package cachecontrol

import (
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-cachecontrol/cachecontrol/rfc9111"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// originBody hands the origin's body on, and counts and stores what passes. What it stores it commits at the end, which is the body's
// EOF or the last byte of its known length, and at no other place: what was cut short is never stored. Where a trailer is to
// come after the last byte, it waits for EOF, or for Close.
type originBody struct {
	io.ReadCloser
	context *originContext // of the request; nil: one that never ends
	counter *atomic.Uint64 // of what is read; nil: it was counted before
	once    sync.Once      // closes ReadCloser

	stores bool        // what passes
	ended  atomic.Bool // and is done with that: write is nil, and stays so
	whole  atomic.Bool // and has stored all of it
	closed atomic.Bool // by the caller

	turn sync.Mutex // held by Read, so that what is stored has the order in which it came

	mu    sync.Mutex // guards what follows: Close may come while Read is under way
	write *recording // nil: not, or no longer
}

// recording is a Writer with what has to happen around it.
type recording struct {
	storage.Writer
	dict storage.DictWriter // the Writer, where the store is a DictCache
	subject
	entry     *serialize.Entry
	fields    []rfc9111.HeaderField // of its header, as the exchange has them; nil: they may be others
	own       serialize.Entry       // the entry, where nobody keeps it: a DictCache does not
	length    int64                 // of the body, as the message's framing says; -1: not known
	n         int64                 // how much of it has come
	trails    bool                  // a trailer may come with EOF
	announced bool                  // a trailer is sure to come
	drains    bool                  // what the caller leaves of the body may be read in the background
	date      time.Time             // of the response
	place     string                // the key that the entry is stored under
	replaces  string                // the key of a part that goes once the entry is stored; "": there is none
	trailing  *http.Response        // whose trailer is the entry's; nil: it has none
	private   []string              // fields of the trailer that are not stored
	before    func(io.Writer) error // writes what comes before the body; nil: nothing
	after     func(io.Writer) error // writes what comes after it
	end       func()                // releases what it holds; nil: nothing
	err       error                 // what the store said where it took no more
}

func (b *originBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if !b.stores || b.ended.Load() {
		return b.read(p)
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(p)
}

// next reads on, and records what comes, whether the caller has closed the body or not. It is called with turn held.
func (b *originBody) next(p []byte) (int, error) {
	n, err := b.read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.write
	if w == nil {
		return n, err
	}
	if n > 0 {
		b.record(p[:n])
	}
	switch {
	case b.write == nil:
	case err == io.EOF && (w.length < 0 || w.n == w.length), err == nil && n > 0 && w.n == w.length && !w.trails:
		b.finish(rfc9111.ReasonNone)
	case err != nil, w.length >= 0 && w.n > w.length:
		b.finish(rfc9111.Incomplete)
	}
	return n, err
}

func (b *originBody) read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 && b.counter != nil {
		b.counter.Add(uint64(n))
	}
	if err != nil {
		b.context.release()
	}
	return n, err
}

func (b *originBody) record(p []byte) {
	w := b.write
	first := w.n == 0
	w.n += int64(len(p))
	if w.n > w.maxBody {
		b.finish(rfc9111.TooLong)
		return
	}
	if first && w.before != nil {
		if err := w.before(w); err != nil {
			b.fail(err)
			return
		}
	}
	if _, err := w.Write(p); err != nil {
		b.fail(err)
	}
}

// fail ends the recording where the store did not take a part of the body.
func (b *originBody) fail(err error) {
	if errors.Is(err, storage.ErrTooLarge) {
		b.finish(rfc9111.TooLong)
		return
	}
	b.write.err = err
	b.finish(rfc9111.StoreFailed)
}

// finish ends the recording: well, if there is no reason why not.
func (b *originBody) finish(why rfc9111.Reason) {
	w := b.write
	b.write = nil
	b.ended.Store(true)
	if why == rfc9111.ReasonNone && w.after != nil {
		if w.err = w.after(w); w.err != nil {
			why = rfc9111.StoreFailed
		}
	}
	b.whole.Store(w.conclude(why))
	if w.end != nil {
		w.end()
	}
	e := w.engine
	*w = recording{}
	e.recordings.Put(w)
}

// forget has nothing stored of a body: what is being stored, and what was under the key.
func (b *originBody) forget(ctx context.Context, e *engine, plain, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.write != nil {
		b.finish(rfc9111.Incomplete)
		return
	}
	e.remove(ctx, plain, key)
}

// Close does not wait for the origin. What is missing of a response that is being stored may be read in the background.
func (b *originBody) Close() error { return b.closeAfter(nil) }

// closeAfter is Close with rest as what reads the rest of the body in the background, if that is allowed. If nil, it is only read.
func (b *originBody) closeAfter(rest func(io.Reader)) error {
	if b.closed.Swap(true) || b.drainLater(rest) {
		return nil
	}
	if rest != nil && b.whole.Load() {
		rest(http.NoBody) // it has come, and is stored
	}
	return b.end()
}

// end closes the origin's body, and ends what is stored of it.
func (b *originBody) end() error {
	var err error
	b.once.Do(func() { err = b.ReadCloser.Close() })
	b.context.cancel()
	if !b.stores || b.ended.Load() {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch w := b.write; {
	case w == nil:
	case w.trails && w.n == w.length:
		b.finish(rfc9111.ReasonNone)
	default:
		b.finish(rfc9111.Incomplete)
	}
	return err
}

// drainWait is how long a caller waits for a body that is drained: most have their end in a buffer already, and the next request
// then finds the response stored, or the connection free.
const drainWait = 10 * time.Millisecond

// drainLater reports whether the rest of a body that its caller has closed is read in the background, because that is all that is
// missing of a response that is being stored.
func (b *originBody) drainLater(rest func(io.Reader)) bool {
	if !b.stores || b.ended.Load() || !b.turn.TryLock() { // a Read that is under way is to end
		return false
	}
	w, most := b.drainable()
	if w == nil || !b.context.detach() {
		b.turn.Unlock()
		return false
	}
	started := b.drain(w.ctx, w.engine, w.key, func() {
		defer b.turn.Unlock()
		coded := io.LimitReader(readerFunc(b.next), most)
		if rest != nil {
			rest(coded)
		}
		io.Copy(io.Discard, coded)
	})
	if !started {
		b.turn.Unlock()
	}
	return started
}

// drainable returns the recording of a body that may be drained, or nil, and how much may be read: one byte more than is allowed,
// to see an end right there.
func (b *originBody) drainable() (w *recording, most int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w = b.write
	if w == nil || !w.drains {
		return nil, 0
	}
	if left := w.length - w.n; w.length >= 0 && (left > w.drainBytes || left == 0 && !w.announced) {
		return nil, 0
	}
	return w, w.drainBytes + 1
}

// drain calls read in the background, which reads on, and then ends the body. It ends a read that takes too long. It reports false
// if too much runs already. It waits for drainWait at most.
func (b *originBody) drain(ctx context.Context, e *engine, key string, read func()) bool {
	done := make(chan struct{})
	started := e.draining.run(ctx, key, func(ctx context.Context) {
		defer close(done)
		ctx, cancel := context.WithTimeout(ctx, e.backgroundTimeout)
		defer cancel()
		defer b.end()
		defer func() {
			if v := recover(); v != nil {
				e.caught(ctx, v)
			}
		}()
		defer context.AfterFunc(ctx, func() {
			b.context.cancel()
			b.once.Do(func() { b.ReadCloser.Close() })
		})()
		read()
	})
	if started {
		timer := time.NewTimer(drainWait)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
	return started
}

// skip reads n bytes at most.
func (b *originBody) skip(n int64) { io.CopyN(io.Discard, b.ReadCloser, n) }

// slice makes the response a 206 with the range that the request asks for, or a 416 where there is none. The stored
// body holds the bytes of the representation from start up to but without end; the caller has made
// sure that the range lies within them.
func (x *exchange) slice(c *candidate, resp *http.Response, start, total int64) {
	length := total
	if total < 0 {
		length = math.MaxInt64
	}
	first, end, ok := x.byteRange.Within(length)
	if !ok {
		c.close()
		resp.Status, resp.StatusCode = "416 Range Not Satisfiable", http.StatusRequestedRangeNotSatisfiable
		maps.DeleteFunc(resp.Header, func(name string, _ []string) bool { return describesRepresentation(name) })
		resp.Header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(total, 10)}
		resp.Header["Content-Length"] = []string{"0"}
		resp.Body, resp.ContentLength, resp.Trailer = http.NoBody, 0, nil
		return
	}
	resp.Status, resp.StatusCode = "206 Partial Content", http.StatusPartialContent
	resp.Header["Content-Range"] = []string{rfc9111.ContentRange{First: first, Last: end - 1, Total: total}.String()}
	resp.Header["Content-Length"] = []string{strconv.FormatInt(end-first, 10)}
	resp.ContentLength = end - first
	dropDigests(resp.Header)
	resp.Trailer = nil // which is of the whole
	resp.Body = section(c.resp.Body, first-start, end-first)
	c.resp = nil
}

// describesRepresentation says whether a field is of the stored representation, so that a 416 must not have it: it would be as fresh,
// and as coded, as that.
func describesRepresentation(name string) bool {
	switch name {
	case "Cache-Control", "Cdn-Cache-Control", "Expires", "Pragma", "Etag", "Last-Modified", "Repr-Digest", "Digest":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}

// section returns n bytes of a body from an offset on. Where the body cannot seek, the first Read skips.
func section(body io.ReadCloser, offset, n int64) io.ReadCloser {
	s := &sectionBody{ReadCloser: body, skip: offset, left: n}
	if seeker, ok := body.(io.Seeker); ok {
		if _, err := seeker.Seek(offset, io.SeekStart); err == nil {
			s.skip = 0
		}
	}
	return s
}

type sectionBody struct {
	io.ReadCloser
	turn       sync.Mutex
	closed     atomic.Bool
	skip, left int64
}

func (s *sectionBody) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.ReadCloser.Close()
}

func (s *sectionBody) Read(p []byte) (int, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if s.skip > 0 {
		n, err := io.CopyN(io.Discard, s.ReadCloser, s.skip)
		s.skip -= n
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
	}
	if s.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.ReadCloser.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
