package cachecontrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/spill"
)

// errLeft is the reason of a reader that leaves because it does not need the body.
var errLeft = errors.New("cachecontrol: the reader has left")

// sharedChunk is the number of bytes per read of a sharedBody.
const sharedChunk = 32 << 10

// sharedBody is the body of a flight. It is read once from the origin, and by several readers, each at its own pace. It is
// read in chunks, each in its own goroutine, only while some reader waits for more.
type sharedBody struct {
	engine  *engine
	req     *http.Request // the request to the origin
	key     string        // of its URL
	retire  func()        // called when no further request can join
	cancel  context.CancelCauseFunc
	release func() // ends the lease of the store

	leader   *bodyReader    // the reader of the leader
	received *http.Response // response whose body it is
	shared   *sharable      // as in flight
	length   int64          // of the body; -1 if not known
	source   io.ReadCloser
	close    sync.Once // guards the Close of source

	mu        sync.Mutex // guards what follows
	open      bool       // others may join, so the body is kept from the start
	published bool       // the header, or an error, has been published
	readers   map[*bodyReader]struct{}
	reading   bool
	asked     time.Time     // when the origin was asked for the header, or for more of the body; zero if it is not being asked
	more      chan struct{} // closed when more has been read; nil if no reader waits
	err       error         // error or io.EOF after the last byte; nil if not reached
	trailer   http.Header

	buf spill.Buffer // the received bytes
}

// bodyReader is the view that one request has of a sharedBody. The request is a reader from the time when it joins.
type bodyReader struct {
	g    *sharedBody
	req  *http.Request
	resp *http.Response // gets the trailer at the end
	stop func() bool    // stops watching the request's context

	reading sync.Mutex // serializes concurrent Reads

	// Guarded by g.mu.
	off  int64
	err  error         // why it has left
	shut bool          // the caller has called Close
	gone chan struct{} // closed when it has left
}

// silentFor reports whether the origin has sent nothing for longer than limit although it was asked for more. A negative
// limit means none.
func (g *sharedBody) silentFor(limit time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return limit >= 0 && !g.asked.IsZero() && time.Since(g.asked) > limit
}

// join adds a reader. It returns nil if no further request can join.
func (g *sharedBody) join(req *http.Request) *bodyReader {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		return nil
	}
	return g.add(req, 0)
}

// add adds a reader that begins at off. The caller holds the lock.
func (g *sharedBody) add(req *http.Request, off int64) *bodyReader {
	b := &bodyReader{g: g, req: req, off: off, gone: make(chan struct{})}
	if g.readers == nil {
		g.readers = make(map[*bodyReader]struct{})
	}
	g.readers[b] = struct{}{}
	ctx := req.Context()
	b.stop = context.AfterFunc(ctx, func() { b.leave(context.Cause(ctx)) })
	return b
}

// leave removes the reader. If it was the last one, leave ends the flight, unless the rest of the body is to be
// drained.
func (b *bodyReader) leave(why error) { b.leaveAfter(why, nil) }

// leaveAfter is like leave, but if rest is not nil and the reader is the last one, it calls rest in the background to
// read what the reader has not read, if that is allowed. If rest is nil, the rest of the body is read and discarded.
func (b *bodyReader) leaveAfter(why error, rest func(io.Reader)) (drains bool) {
	g := b.g
	g.mu.Lock()
	end := false
	var drain *bodyReader
	var ahead int64 // bytes for drain that have already been received
	if b.err == nil {
		b.err = why
		close(b.gone)
		delete(g.readers, b)
		switch {
		case len(g.readers) > 0:
		case why == http.ErrBodyReadAfterClose && !g.reading && (g.drains() || rest != nil && g.came()): // a Read that is under way is to end
			off := g.buf.Len()
			if rest != nil {
				off = b.off
			}
			drain = g.add(g.req, off)
			ahead = g.buf.Len() - off
		default:
			g.open = false
			end = true
		}
	}
	published := g.published
	g.mu.Unlock()
	b.stop()
	if end {
		g.retire()
		cause := why
		if timedOut(b.req.Context()) {
			cause = context.DeadlineExceeded // the origin is too slow, even if the program gives another cause
		}
		g.cancel(cause)
		if published { // otherwise land does this
			g.end(why)
		}
	}
	if drain != nil && !g.drain(drain, ahead, rest) {
		drain.leave(errLeft)
		drain = nil
	}
	return drain != nil
}

// drains reports whether the rest of a response that is being stored is short enough to be read without a caller.
func (g *sharedBody) drains() bool {
	if g.engine.drainBytes <= 0 || !g.stored() || g.err != nil {
		return false
	}
	left := g.length - g.buf.Len()
	return g.length < 0 || left > 0 && left <= g.engine.drainBytes
}

// came reports whether a response that is being stored has been received completely.
func (g *sharedBody) came() bool {
	return g.stored() && (g.err == io.EOF || g.err == nil && g.length == g.buf.Len())
}

// stored reports whether there is a response that is being stored, or was. The caller holds the lock.
func (g *sharedBody) stored() bool { return g.published && g.shared != nil && g.shared.stored }

// drain makes the reader read the rest in the background. It reports whether that was started.
func (g *sharedBody) drain(b *bodyReader, ahead int64, rest func(io.Reader)) bool {
	return g.engine.draining.Run(g.req.Context(), g.key, func(ctx context.Context) {
		left := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			b.leave(context.Cause(ctx))
			close(left)
		})
		defer func() {
			if !stop() {
				<-left // so that Transport.Close waits until the origin's body is closed
			}
			b.leave(errLeft)
		}()
		coded := io.LimitReader(b, ahead+max(g.engine.drainBytes, 0)+1) // one more, to detect EOF
		if rest != nil {
			rest(coded)
		}
		io.Copy(io.Discard, coded)
	})
}

// closeToJoiners prevents further requests from joining.
func (g *sharedBody) closeToJoiners() {
	g.mu.Lock()
	g.open = false
	g.mu.Unlock()
	g.retire()
}

// errOverdue is the error that await returns after its limit.
var errOverdue = errors.New("cachecontrol: another request for the URL has no answer yet")

// await waits until c or other is closed. It returns errOverdue if overdue is closed, or after limit if that is positive. If
// the reader has left, it returns the reason.
func (b *bodyReader) await(c, other, overdue <-chan struct{}, limit time.Duration) error {
	var timeout <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-c:
		return nil
	case <-other:
		return nil
	case <-timeout:
		return errOverdue
	case <-overdue:
		return errOverdue
	case <-b.gone:
	//lint:ignore SA1019 http.Client sets it, and so do old programs
	case <-b.req.Cancel:
		if abandoned(b.req) {
			b.leave(context.Canceled)
		} else {
			b.leave(context.DeadlineExceeded)
		}
	}
	b.g.mu.Lock()
	defer b.g.mu.Unlock()
	return b.err
}

func (b *bodyReader) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	for {
		n, more, err := b.readAvailable(p)
		switch {
		case err != nil:
			b.leave(err)
			return 0, err
		case more == nil:
			return n, nil
		}
		if err := b.await(more, nil, nil, 0); err != nil {
			return 0, err
		}
	}
}

// readAvailable copies available bytes to p. If there are none, it starts a read and returns a channel that is closed when bytes
// have arrived.
func (b *bodyReader) readAvailable(p []byte) (n int, more <-chan struct{}, err error) {
	g := b.g
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case b.shut && (b.err == nil || b.err == io.EOF):
		return 0, nil, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, nil, b.err
	case len(p) == 0:
		return 0, nil, nil
	case b.off < g.buf.Len():
		off := b.off
		g.mu.Unlock() // the disk may be slow
		n, err = g.buf.ReadAt(p, off)
		g.mu.Lock()
	case g.err != nil:
		if b.resp != nil && g.trailer != nil {
			b.resp.Trailer = g.trailerFor(b)
		}
		return 0, nil, g.err
	default:
		if !g.reading {
			g.reading, g.asked = true, time.Now()
			go g.readChunk()
		}
		if g.more == nil {
			g.more = make(chan struct{})
		}
		return 0, g.more, nil
	}
	b.off += int64(n)
	return n, nil, err
}

// trailerFor returns the trailer for a reader. The leader gets all of it, because the response was sent for its
// request.
func (g *sharedBody) trailerFor(b *bodyReader) http.Header {
	if b == g.leader {
		return g.trailer.Clone()
	}
	return g.shared.view.hitTrailer(g.trailer, false)
}

// Close does not wait for a Read in progress.
func (b *bodyReader) Close() error { return b.CloseAfter(nil) }

// CloseAfter is Close with rest as in leaveAfter. It calls rest with nil if nothing more is read.
func (b *bodyReader) CloseAfter(rest func(io.Reader)) error {
	why := context.Cause(b.req.Context())
	if why == nil {
		why = http.ErrBodyReadAfterClose
	}
	if !b.leaveAfter(why, rest) && rest != nil {
		rest(nil)
	}
	b.g.mu.Lock()
	b.shut = true
	b.g.mu.Unlock()
	return nil
}

// setBody makes the body of resp the source of g, and sets the body of resp to the leader's reader.
func (g *sharedBody) setBody(resp *http.Response, shared *sharable) {
	g.received, g.source, g.length, g.shared = resp, resp.Body, framedLength(resp), shared
	resp.Body = g.leader
	if w, ok := g.source.(io.Writer); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &switchedBody{g.leader, w} // no one has asked to upgrade, but a 101 must remain writable
	}
}

// switchedBody is the body of a 101, which is a connection.
type switchedBody struct {
	*bodyReader
	io.Writer
}

// readChunk reads the next chunk from the source.
func (g *sharedBody) readChunk() {
	g.makeRoom()
	want := max(g.buf.Len(), sharedChunk/8)
	if g.length >= 0 {
		want = g.length + 1 - g.buf.Len()
	}
	room := g.buf.Room(sharedChunk/8, int(min(max(want, 512), sharedChunk)))
	n, err := g.read(room[:min(len(room), sharedChunk)])
	g.buf.Add(n)
	if err == io.EOF {
		g.mu.Lock()
		g.trailer = g.received.Trailer.Clone()
		g.mu.Unlock()
	}
	if err != nil {
		g.end(err)
	}
	g.mu.Lock()
	g.reading, g.asked = false, time.Time{}
	if g.more != nil {
		close(g.more)
		g.more = nil
	}
	g.mu.Unlock()
	g.releaseUnlessStoring()
}

// releaseUnlessStoring ends the lease if the response is stored, or will not be.
func (g *sharedBody) releaseUnlessStoring() {
	if b, ok := g.source.(*originBody); !ok || !b.stores || b.ended.Load() {
		g.release()
	}
}

// read reads from the source. It returns a panic of the source as an error, because other requests read the body, too.
func (g *sharedBody) read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			g.engine.logPanic(g.req.Context(), v)
			n, err = 0, fmt.Errorf("cachecontrol: the body panics: %v", v)
		}
	}()
	n, err = g.source.Read(p)
	_ = p[:n:len(p)] // panics if the count is invalid
	return n, err
}

// makeRoom moves a full buffer to a file, or drops bytes that no reader needs. If a long body has only one reader so
// far, it closes the flight to others, so that no file is needed.
func (g *sharedBody) makeRoom() {
	full := g.buf.Full()
	g.mu.Lock()
	alone := g.open && (full && len(g.readers) <= 1 || g.buf.Len() > g.engine.maxBody)
	g.mu.Unlock()
	if alone {
		g.closeToJoiners()
	}
	g.mu.Lock()
	discard := !g.open && g.allRead()
	if discard {
		g.buf.Discard()
	}
	g.mu.Unlock()
	if full && !discard {
		g.buf.Spill()
	}
}

func (g *sharedBody) allRead() bool {
	for b := range g.readers {
		if b.off < g.buf.Len() {
			return false
		}
	}
	return true
}

// end records what follows the last byte, and closes the source. If there are no readers, it removes the file, too.
func (g *sharedBody) end(err error) {
	g.closeToJoiners()
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	if len(g.readers) == 0 {
		g.buf.Close()
	}
	g.mu.Unlock()
	g.cancel(nil)
	if g.source != nil {
		g.close.Do(func() { g.source.Close() })
	}
	if g.engine.leases != nil {
		go func() { // it may wait for the store, and a caller may wait for the end
			if b, ok := g.source.(*originBody); ok {
				b.waitStored()
			}
			g.release()
		}()
	}
}
