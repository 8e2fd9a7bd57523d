package cachecontrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/lossy"
	"github.com/go-cachecontrol/cachecontrol/internal/rules"
	"github.com/go-cachecontrol/cachecontrol/internal/spill"
)

// flights are the running requests that others may join.
type flights struct {
	mu    sync.Mutex // guards byKey; locked before the mutex of a flight
	byKey map[string]*flight
}

// A flight is a request to the origin whose response is shared. The caller that starts it is the leader; callers that
// join it are followers. The request runs in its own goroutine and is canceled when no caller is left. Followers wait
// for the header of the response and read the body as it arrives, if RFC 9111 allows the response to answer them as a
// stored one would. If it does not, all of them are sent to the origin at once, because one after the other each would
// wait for several responses that it cannot use. If the origin fails, all get that failure.
type flight struct {
	engine  *engine
	flights *flights
	key     string        // its key in flights
	plain   string        // key of the URL
	req     *http.Request // has a context that does not end when the leader leaves
	epoch   uint64        // send time, in the count of invalidations
	cancel  context.CancelCauseFunc

	release   func()        // ends the lease of the store
	begin     func()        // starts the request
	overdue   chan struct{} // closed when a follower has waited for long enough
	followers int           // that still wait or have not decided what to do with the result; guarded by flights.mu
	next      []*flight     // which begin when there are no such followers any more; guarded by flights.mu

	landed chan struct{} // closed when the header has arrived; the fields below do not change after that
	result answer        // for the leader
	err    error
	status Status    // of the answer, as StatusOf returns it
	shared *sharable // nil if the response is for the leader only

	damaged  func(error) // called if the body cannot be decoded; nil if that is not needed
	panicked any         // value of a panic in Base or a hook, passed on to the leader

	body sharedBody // has its own lock
}

// seat is the place of a query in a flight. The zero value is none.
type seat struct {
	flight  *flight
	reader  *bodyReader
	leads   bool
	settled bool // it is not among the followers any more
}

// settle says that the query has decided what to do. The flights that its followers have started then begin if it was the
// last one to decide.
func (s *seat) settle() {
	if s.flight == nil || s.leads || s.settled {
		return
	}
	s.settled = true
	f := s.flight
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	if f.followers--; f.followers == 0 {
		for _, next := range f.next {
			next.begin()
		}
		f.next = nil
	}
}

// leave gives up the seat, if it is not the zero value.
func (s *seat) leave() {
	if s.flight != nil {
		s.settle()
		s.reader.leave(errLeft)
		*s = seat{}
	}
}

// await waits until the flight, or another one, has landed. A follower waits for at most limit, unless that is negative;
// then the flight is overdue for all its followers. The leader waits without limit, as it would alone.
func (s *seat) await(limit time.Duration, other <-chan struct{}) error {
	f := s.flight
	if s.leads {
		return s.reader.await(f.landed, other, nil, 0)
	}
	err := s.reader.await(f.landed, other, f.overdue, limit)
	if err == errOverdue {
		f.closeToJoiners() // no other request needs to wait for it
		f.flights.mu.Lock()
		defer f.flights.mu.Unlock()
		select {
		case <-f.overdue:
		default:
			close(f.overdue)
		}
	}
	return err
}

// settling is how long a flight that a follower of another one has started waits for the other followers to join it.
const settling = 50 * time.Millisecond

// precede lets next begin when all followers of f have had the opportunity to join it. The caller holds flights.mu.
func (f *flight) precede(next *flight) {
	f.next = append(f.next, next)
	time.AfterFunc(settling, next.begin)
}

// errLeft is the reason of a reader that leaves because it does not need the body.
var errLeft = errors.New("cachecontrol: the reader has left")

// errNoAnswer is the error of a flight if Base or a hook panics or calls runtime.Goexit.
var errNoAnswer = errors.New("cachecontrol: Transport.Base or a hook has not returned")

// road is how a cache answers queries that share a response.
type road struct {
	again func(*query) (answer, error)        // answers the query of a flight, after looking for a stored response again
	stale func(*query, Status) (answer, bool) // answers from a stored response, if it may be used although the origin fails
}

// run answers the leader's query, for which why is the reason to ask the origin. It looks for a stored response, because a
// flight that has just ended, or another process, may have stored one.
func (f *flight) run(q *query, why rules.Reason, r road) {
	err := errNoAnswer
	f.release = func() {}
	defer func() {
		if f.panicked = recover(); f.panicked != nil {
			f.engine.logPanic(f.req.Context(), f.panicked)
		}
		f.land(err)
	}()
	ok := true
	if !f.engine.isFailing(f.plain) { // otherwise there would be nothing to wait for: each process has to find out by itself
		f.release, ok = f.engine.leases.Wait(q.ctx, f.key)
	}
	if !ok {
		if f.result, ok = r.stale(q, Status{Reason: rules.OriginSlow, Forward: forwardToken(why), Collapsed: true}); ok {
			err = nil
			return
		}
	}
	if q.ctx.Err() != nil { // all have left
		err = context.Cause(q.ctx)
		return
	}
	f.result, err = r.again(q)
}

// land publishes the header, or the error, to the leader and the followers.
func (f *flight) land(err error) {
	f.err = err
	if err == nil {
		f.share()
	}
	if f.shared == nil || f.shared.failure { // a failure is for those who wait now
		f.closeToJoiners()
	}
	if f.shared == nil && f.status.Outcome == Miss && !rules.Failed(f.result.resp.StatusCode) {
		f.engine.notShareable.Add(lossy.Hash(f.plain))
	}
	f.body.mu.Lock()
	f.body.published, f.body.asked = true, time.Time{}
	unwanted := len(f.body.readers) == 0
	f.body.mu.Unlock()
	close(f.landed)
	if unwanted || err != nil {
		f.body.end(err)
	}
	if !f.body.storing() {
		f.release()
	}
}

// statusFor returns the status of the answer to a request that could not share the response, if that answer is then
// found in the cache.
func (f *flight) statusFor(why rules.Reason) Status {
	if f.status.Outcome == Revalidated {
		return Status{Forward: forwardToken(why), ForwardStatus: http.StatusNotModified, Collapsed: true}
	}
	return Status{}
}

// lead returns the answer to the leader. A panic in Base or a hook is passed on.
func (f *flight) lead(b *bodyReader) (answer, error) {
	if f.err == nil {
		return f.result, nil
	}
	b.leave(f.err)
	if f.panicked != nil {
		panic(f.panicked)
	}
	return answer{}, f.err
}

// failed reports whether the origin has failed to answer, so that stale responses may be used. The leader may have got one.
func (f *flight) failed() bool {
	return f.err != nil || f.status.Outcome == Stale || f.status.Outcome == Miss && rules.ServerFailed(f.status.ForwardStatus)
}

// lost reports whether the flight says nothing about the answer that another one would get: Base or a hook has panicked or
// ended its goroutine, or the leader got a stale response that the others may not use.
func (f *flight) lost() bool {
	return f.err == errNoAnswer || errors.Is(f.err, context.Canceled) || f.status.Outcome == Stale
}

// share lets the leader and the followers read the body of the response.
func (f *flight) share() {
	a := &f.result
	f.status, f.shared = StatusOf(a.resp), a.shared
	f.body.setBody(a.resp)
	if a.damaged != nil {
		forget := a.damaged
		a.damaged = func(err error) {
			f.closeToJoiners()
			forget(err)
		}
		f.damaged = a.damaged
	}
	a.decode()
	resp := *a.resp
	resp.Request, resp.Trailer = f.body.leader.req, resp.Trailer.Clone()
	a.resp = &resp
	f.body.leader.resp = &resp
}

// closeToJoiners prevents further requests from joining.
func (f *flight) closeToJoiners() {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	f.body.mu.Lock()
	defer f.body.mu.Unlock()
	f.closeToJoinersLocked()
}

// closeToJoinersLocked is like closeToJoiners, but the caller holds both locks.
func (f *flight) closeToJoinersLocked() {
	f.body.open = false
	if f.flights.byKey[f.key] == f {
		delete(f.flights.byKey, f.key)
	}
}

// sharedChunk is the number of bytes per read of a sharedBody.
const sharedChunk = 32 << 10

// sharedBody is the body of a flight. It is read once from the origin, and by several readers, each at its own pace. It is
// read in chunks, each in its own goroutine, only while some reader waits for more.
type sharedBody struct {
	flight   *flight
	leader   *bodyReader    // the reader of the leader
	received *http.Response // response whose body it is
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

	buf spill.Buffer // what has been received
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

// start prepares the body of a flight that begins now.
func (g *sharedBody) start(f *flight) {
	g.flight, g.open, g.asked = f, true, time.Now()
}

// silentFor reports whether the origin has sent nothing for longer than limit although it was asked for more. A negative
// limit means none.
func (g *sharedBody) silentFor(limit time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return limit >= 0 && !g.asked.IsZero() && time.Since(g.asked) > limit
}

// join adds a reader.
func (g *sharedBody) join(req *http.Request) *bodyReader {
	g.mu.Lock()
	defer g.mu.Unlock()
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
	g, f := b.g, b.g.flight
	f.flights.mu.Lock()
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
		case why == http.ErrBodyReadAfterClose && !g.reading && (f.drains() || rest != nil && f.came()): // a Read that is under way is to end
			off := g.buf.Len()
			if rest != nil {
				off = b.off
			}
			drain = g.add(f.req, off)
			ahead = g.buf.Len() - off
		default:
			f.closeToJoinersLocked()
			end = true
		}
	}
	published := g.published
	g.mu.Unlock()
	f.flights.mu.Unlock()
	b.stop()
	if end {
		cause := why
		if timedOut(b.req.Context()) {
			cause = context.DeadlineExceeded // the origin is too slow, even if the program gives another cause
		}
		f.cancel(cause)
		if published { // otherwise land does this
			g.end(why)
		}
	}
	if drain != nil && !f.drain(drain, ahead, rest) {
		drain.leave(errLeft)
		drain = nil
	}
	return drain != nil
}

// drains reports whether the rest of a response that is being stored is short enough to be read without a caller.
func (f *flight) drains() bool {
	if f.engine.drainBytes <= 0 || !f.body.published || f.shared == nil || !f.shared.stored || f.body.err != nil {
		return false
	}
	left := f.body.length - f.body.buf.Len()
	return f.body.length < 0 || left > 0 && left <= f.engine.drainBytes
}

// came reports whether a response that is being stored has been received completely.
func (f *flight) came() bool {
	return f.body.published && f.shared != nil && f.shared.stored && (f.body.err == io.EOF || f.body.err == nil && f.body.length == f.body.buf.Len())
}

// drain makes the reader read the rest in the background. It reports whether that was started.
func (f *flight) drain(b *bodyReader, ahead int64, rest func(io.Reader)) bool {
	return f.engine.draining.Run(f.req.Context(), f.plain, func(ctx context.Context) {
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
		coded := io.LimitReader(b, ahead+max(f.engine.drainBytes, 0)+1) // one more, to detect EOF
		if rest != nil {
			rest(coded)
		}
		io.Copy(io.Discard, coded)
	})
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
	//lint:ignore SA1019 http.Client sets it, and so do callers of old
	case <-b.req.Cancel:
		b.leave(context.Canceled)
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
	return g.flight.shared.view.trailer(g.trailer, false)
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
func (g *sharedBody) setBody(resp *http.Response) {
	g.received, g.source, g.length = resp, resp.Body, framedLength(resp)
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
	if !g.storing() {
		g.flight.release()
	}
}

// storing reports whether the response is still being stored.
func (g *sharedBody) storing() bool {
	b, ok := g.source.(*originBody)
	return ok && b.stores && !b.ended.Load()
}

// read reads from the source. It returns a panic of the source as an error, because other requests read the body, too.
func (g *sharedBody) read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			g.flight.engine.logPanic(g.flight.req.Context(), v)
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
	alone := g.open && (full && len(g.readers) <= 1 || g.buf.Len() > g.flight.engine.maxBody)
	g.mu.Unlock()
	if alone {
		g.flight.closeToJoiners()
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
	g.flight.closeToJoiners()
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	if len(g.readers) == 0 {
		g.buf.Close()
	}
	g.mu.Unlock()
	g.flight.cancel(nil)
	if g.source != nil {
		g.close.Do(func() { g.source.Close() })
		g.flight.release()
	}
}
